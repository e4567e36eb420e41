// Try it: a photo or the camera, answered by the model that Export takes away.

import { send } from "./api.js";
import { Camera } from "./camera.js";
import { button, complain, make, write } from "./dom.js";
import { draw, load } from "./draw.js";
import { texts } from "./texts.js";

const LIVE_SIDE = 640;
const PAUSE_MS = 60;

const answer = make("p", { class: "answer" });
const share = make("p", {});
const notes = make("p", { class: "soft" });
const bar = make("div", { class: "share", "aria-hidden": "true" }, make("span"));
const canvas = make("canvas", { role: "img", hidden: true, "aria-label": texts.tryTab });
const mapBox = make("input", { type: "checkbox", checked: true, onchange: () => repaint() });
const file = make("input", { type: "file", accept: "image/*", "aria-label": texts.tryChoose });
const camera = new Camera();
const live = button(texts.useCamera, toggleCamera);
const result = make("div", { role: "status", "aria-live": "polite", "aria-label": texts.confusion }, answer, share, notes);

export const tryPanel = make(
  "div",
  { class: "try" },
  make("div", { class: "bar" }, make("label", { class: "button main" }, texts.tryButton, file), live, make("label", { class: "check" }, mapBox, texts.showMap)),
  make("p", { class: "soft" }, texts.tryDrop),
  result,
  bar,
  canvas,
);

/** @type {{picture: any, map: any} | null} */
let last = null;

function repaint() {
  if (last) draw(canvas, last.picture, mapBox.checked ? last.map : null);
}

/** @param {Blob} photo @param {any} [picture] What to draw; the photo itself where there is none. */
async function ask(photo, picture) {
  const values = await send("try", {}, photo);
  const shown = picture ?? (await show(photo));
  last = { picture: shown, map: values.map };
  canvas.hidden = false;
  repaint();
  write(answer, texts.answer(values));
  write(share, texts.answerShare(values));
  const said = [values.unfamiliar && texts.unfamiliar, values.unsure && texts.unsureNote, texts.took(values.milliseconds), values.outdated && texts.outdated];
  write(notes, said.filter(Boolean).join(" · "));
  /** @type {HTMLElement} */ (bar.firstChild).style.width = `${100 * values.probability}%`;
  result.dataset.answer = values.answer;
  result.dataset.logit = values.logit;
}

/** @param {Blob} photo */
async function show(photo) {
  const address = URL.createObjectURL(photo);
  try {
    return await load(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** @param {Blob} photo */
async function tryPhoto(photo) {
  write(answer, texts.waiting);
  write(share, "");
  write(notes, "");
  try {
    await ask(photo);
  } catch (problem) {
    write(answer, "");
    complain(problem);
  }
}

async function toggleCamera() {
  if (camera.running) {
    camera.stop();
    write(live, texts.useCamera);
    return;
  }
  try {
    await camera.start();
  } catch {
    complain(texts.noCamera);
    return;
  }
  write(live, texts.stopCamera);
  write(answer, texts.waiting);
  result.setAttribute("aria-live", "off"); // a screen reader would never finish with an answer every moment
  try {
    while (camera.running) {
      const frame = await camera.frame(LIVE_SIDE);
      if (frame) await ask(frame, camera.canvas);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  } catch (problem) {
    complain(problem);
    camera.stop();
    write(live, texts.useCamera);
  }
  result.setAttribute("aria-live", "polite");
}

file.addEventListener("change", () => {
  const [photo] = file.files ?? [];
  file.value = "";
  if (photo) tryPhoto(photo);
});
tryPanel.addEventListener("dragover", (/** @type {DragEvent} */ event) => event.preventDefault());
tryPanel.addEventListener("drop", (/** @type {DragEvent} */ event) => {
  event.preventDefault();
  const photo = event.dataTransfer?.files[0];
  if (photo) tryPhoto(photo);
});
