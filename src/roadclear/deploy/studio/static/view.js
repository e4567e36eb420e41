// The large view of one photo, with its map.

import { get, picture } from "./api.js";
import { button, make, write } from "./dom.js";
import { draw, load } from "./draw.js";
import { state, undo, watch } from "./state.js";
import { texts } from "./texts.js";

/** @type {import("./grid.js").Grid | null} */
let grid = null;
let withMap = false;
let asked = 0;

const canvas = make("canvas", { role: "img" });
const name = make("h2", { id: "view-name" });
const note = make("p", { class: "soft" });
const mapBox = make("input", { type: "checkbox", onchange: () => { withMap = mapBox.checked; show(); } });
const moving = make("span", { class: "bar" });
const dialog = make(
  "dialog",
  { class: "view", "aria-labelledby": "view-name" },
  make("header", {}, name, button(texts.close, () => dialog.close(), { class: "quiet" })),
  make("div", { class: "stage" }, canvas),
  note,
  make("footer", {},
    button(texts.previous, () => step(-1), { title: "←" }), button(texts.next, () => step(1), { title: "→" }),
    make("label", { class: "check", title: "H" }, mapBox, texts.showMap), moving, button(texts.setAside, () => grid?.setChosenAside(), { title: "X" })),
);
export const viewDialog = dialog;

dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  else if (modified) return;
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key === "x" || event.key === "Delete") grid?.setChosenAside();
  else if (event.key === "h") mapBox.click();
  else if (!grid?.moveByKey(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
});
dialog.addEventListener("close", () => grid?.list.focus());
watch(["photos", "numbers"], () => dialog.open && show());

/** @param {import("./grid.js").Grid} from */
export function openView(from) {
  grid = from;
  grid.selected.clear();
  moving.replaceChildren(...from.destinations().map(({ label, key }) => button(from.words(label), () => from.moveTo(label), { title: key })));
  if (!dialog.open) dialog.showModal();
  show();
}

/** @param {number} by */
function step(by) {
  grid?.goTo(grid.active + by);
  show();
}

async function show() {
  const photo = grid?.photos[grid.active];
  if (!grid || !photo) {
    dialog.close();
    return;
  }
  const mine = ++asked;
  write(name, photo.name);
  canvas.setAttribute("aria-label", photo.name);
  try {
    const [image, map] = await Promise.all([load(picture(photo, "large")), withMap ? get(`maps/${photo.id}`).catch(() => null) : null]);
    if (mine !== asked) return;
    draw(canvas, image, map);
    const { positive, negative } = state.numbers.labels ?? {};
    write(note, withMap ? (map ? texts.mapHint(positive, negative) : texts.noMap) : "");
  } catch {
    if (mine === asked) write(note, texts.noPicture);
  }
}
