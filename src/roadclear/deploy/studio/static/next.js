// What to do next: one photo after the other, each decided by one key.

import { get, picture } from "./api.js";
import { button, complain, isTyping, make, write } from "./dom.js";
import { draw, load } from "./draw.js";
import { byId, keep, move, setAside, state, watch } from "./state.js";
import { texts } from "./texts.js";

const LISTED = 3;

/** Kinds of what there is to do, and the reasons of each. @type {Record<string, string[]>} */
const KINDS = {
  files: ["unreadable", "unsupported", "too-small", "blank"],
  labels: ["wrong-label", "conflicting-label", "look-alikes-disagree"],
  copies: ["duplicate", "look-alike"],
  unsure: ["unsure"],
  unlabelled: ["label-next"],
};

/** @type {any} */
let task = null;
let deciding = false;
let withMap = true;
let kind = "";

const count = make("p", { class: "soft" });
const why = make("p", { class: "why" });
const told = make("p", {});
const canvas = make("canvas", { role: "img" });
const besides = make("div", { class: "besides" });
const note = make("p", { class: "soft" });
const keys = make("div", { class: "choices" });
const mapBox = make("input", { type: "checkbox", checked: true, onchange: () => { withMap = mapBox.checked; paint(); } });
const body = make("div", { class: "task", tabIndex: -1 }, why, told, canvas, keys, make("label", { class: "check", title: "H" }, mapBox, texts.showMap), note, besides);
const kinds = make("div", { class: "kinds", role: "group", "aria-label": texts.kinds });
export const nextPanel = make("div", {}, count, kinds, body);

/** @param {string} key @param {string} words @param {() => Promise<any>} action @param {boolean} suggested */
const choice = (key, words, action, suggested) =>
  button(words, () => decide(action), { class: suggested ? "main" : "", "aria-keyshortcuts": key, "data-key": key });

/** @param {() => Promise<any>} action */
async function decide(action) {
  if (deciding) return;
  deciding = true;
  const inside = nextPanel.contains(document.activeElement);
  try {
    await action();
  } catch (problem) {
    complain(problem);
  }
  deciding = false;
  if (inside) body.focus({ preventScroll: true });
}

/** @param {any} one */
function choices(one) {
  const photo = byId.get(one.id);
  const copy = [...KINDS.copies, ...KINDS.files].includes(one.reason);
  return [
    ...state.labels.map((label, number) =>
      choice(String(number + 1), texts.is(label), () => (photo?.label === label ? keep(one) : move([one.id], label)), one.suggested === label)),
    choice("s", texts.setAside, () => setAside([one.id]), copy),
    choice("k", one.label ? texts.keep : texts.notNow, () => keep(one), false),
  ];
}

/** How many photos there are to look at, or that they are being looked for. @param {number} left */
function counted(left) {
  const { stage, done, total, running } = state.searching;
  const looking = running && total ? texts.lookingAt(stage, done, total) : "";
  if (left) return looking || (kinds.hidden ? texts.tasks(left) : "");
  return looking || (state.searched < state.version ? texts.searching : `${texts.tasks(0)} ${texts.noTasks}`);
}

/** Buttons for the kinds that there are. A kind that is done gives way to all. @param {any[]} there */
function showKinds(there) {
  const sizes = Object.fromEntries(Object.entries(KINDS).map(([name, reasons]) => [name, there.filter(({ reason }) => reasons.includes(reason)).length]));
  if (!sizes[kind]) kind = "";
  const names = ["", ...Object.keys(KINDS).filter((name) => sizes[name])];
  const wanted = names.map((name) => ({ name, words: texts.kind(name, name ? sizes[name] : there.length), pressed: String(name === kind) }));
  kinds.hidden = names.length < 3;
  const known = [...kinds.children].map((/** @type {any} */ one) => one.dataset.kind).join();
  if (kinds.children.length !== names.length || known !== names.join()) kinds.replaceChildren(...names.map((name) => button("", () => { kind = name; show(); }, { class: "kind", "data-kind": name })));
  wanted.forEach(({ words, pressed }, number) => {
    write(/** @type {HTMLElement} */ (kinds.children[number]), words);
    kinds.children[number].setAttribute("aria-pressed", pressed);
  });
}

async function show() {
  const there = state.tasks.filter((one) => byId.has(one.id));
  showKinds(there);
  const shown = there.filter(({ reason }) => !kind || KINDS[kind].includes(reason));
  write(count, counted(shown.length));
  count.hidden = !count.textContent;
  const [first] = shown;
  body.hidden = !first;
  const same = first && task && first.id === task.id && first.reason === task.reason;
  task = first ?? null;
  if (!task) return;
  write(why, texts.reasons[task.reason] ?? task.reason);
  const share = task.probability === null ? "" : ` ${texts.taskAnswer(state.numbers.labels?.positive ?? "", texts.percent(task.probability, 0))}`;
  write(told, `${texts.taskLabel(task.name, task.label)}${share}${task.detail ? ` ${task.detail}.` : ""}`);
  if (!same) keys.replaceChildren(...choices(task));
  besides.replaceChildren(
    ...task.beside.slice(0, LISTED).filter((/** @type {any} */ other) => byId.has(other.id)).map((/** @type {any} */ other) =>
      make("figure", {}, make("img", { src: picture(/** @type {any} */ (byId.get(other.id)), "small"), alt: "" }), make("figcaption", {}, other.name))),
  );
  if (!same) await paint();
}

async function paint() {
  const one = task;
  const photo = one && byId.get(one.id);
  if (!photo) return;
  canvas.setAttribute("aria-label", photo.name);
  try {
    const [image, map] = await Promise.all([load(picture(photo, "large")), withMap ? get(`maps/${photo.id}`).catch(() => null) : null]);
    if (one !== task && one?.id !== task?.id) return;
    canvas.hidden = false;
    draw(canvas, image, map);
    const { positive, negative } = state.numbers.labels ?? {};
    write(note, map ? texts.mapHint(positive, negative) : "");
  } catch {
    canvas.hidden = true;
    write(note, texts.noPicture);
  }
}

/** Decide by a key. The page passes keys on that are pressed in the panel, or nowhere in particular. @param {KeyboardEvent} event */
export function nextKey(event) {
  if (!task || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return false;
  if (event.key === "h") {
    mapBox.click();
    return true;
  }
  const chosen = keys.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!(chosen instanceof HTMLElement)) return false;
  chosen.click();
  return true;
}

watch(["tasks", "photos", "numbers", "searching"], show);
show();
