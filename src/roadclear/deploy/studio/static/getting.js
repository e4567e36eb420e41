// Get photos: with the camera, or from the web by two phrases.

import { post, send, stepName } from "./api.js";
import { Camera } from "./camera.js";
import { button, complain, make, write } from "./dom.js";
import { state, watch } from "./state.js";
import { texts } from "./texts.js";

const FRAME_MS = 150;
const FRAME_SIDE = 1280;

const camera = new Camera();
camera.video.hidden = true;
const counted = make("p", { class: "soft", role: "status" });
const holders = make("div", { class: "choices" });
const start = button(texts.useCamera, toggle);
const searched = make("p", { role: "status", "aria-live": "polite" });
const phraseFields = make("div", {});
const perLabel = make("input", { type: "number", min: 1, max: 2000, value: 100, required: true });
const contact = make("input", { type: "text", autocomplete: "email" });
const begin = make("button", { type: "submit", class: "main" }, texts.collectStart);
const stop = button(texts.collectStop, () => post("collect/stop").catch(complain), { disabled: true });
const form = make(
  "form",
  { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); collect(); } },
  phraseFields,
  make("label", {}, texts.perLabel, perLabel),
  make("label", {}, texts.contact, contact),
  make("div", { class: "bar" }, begin, stop),
  searched,
);

export const getPanel = make(
  "div",
  { class: "get" },
  make("h3", {}, texts.takePhotos),
  make("p", { class: "soft" }, texts.takeHint),
  make("div", { class: "bar" }, start),
  camera.video,
  holders,
  counted,
  make("h3", {}, texts.collect),
  make("p", { class: "soft" }, texts.collectHint),
  form,
);

let labels = "";
let holding = "";
const counts = { kept: 0, blurred: 0, equal: 0 };

watch(["photos"], () => {
  if (labels === state.labels.join("/")) return;
  labels = state.labels.join("/");
  phraseFields.replaceChildren(
    ...state.labels.map((label) => make("label", {}, texts.phrase(label), make("input", { type: "text", required: true, value: texts.phrases[label] ?? label }))),
  );
  holders.replaceChildren(...state.labels.map(holder));
});

/** @param {string} label */
function holder(label) {
  const element = button(texts.hold(label), () => {}, { disabled: !camera.running });
  const begin = (/** @type {Event} */ event) => {
    event.preventDefault();
    element.focus();
    hold(label);
  };
  const end = () => (holding = "");
  element.addEventListener("pointerdown", begin);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) element.addEventListener(name, end);
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) begin(event);
  });
  return element;
}

/** @param {string} label */
async function hold(label) {
  if (holding === label || !camera.running) return;
  holding = label;
  const step = stepName();
  try {
    while (holding === label && camera.running) {
      const frame = await camera.frame(FRAME_SIDE);
      if (frame) {
        const { verdict } = await send("frames", { label, step }, frame);
        counts[/** @type {"kept" | "blurred" | "equal"} */ (verdict)] += 1;
        write(counted, texts.frames(counts));
      }
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
    }
  } catch (problem) {
    complain(problem);
    holding = "";
  }
}

async function toggle() {
  try {
    if (camera.running) camera.stop();
    else await camera.start();
  } catch {
    complain(texts.noCamera);
  }
  camera.video.hidden = !camera.running;
  write(start, camera.running ? texts.stopCamera : texts.useCamera);
  for (const element of holders.children) /** @type {HTMLButtonElement} */ (element).disabled = !camera.running;
}

async function collect() {
  const phrases = [...phraseFields.querySelectorAll("input")].map((input) => input.value);
  try {
    await post("collect", { phrases, per_label: Number(perLabel.value), contact: contact.value });
  } catch (problem) {
    complain(problem);
  }
}

/** @param {any} values */
export function collectState(values) {
  const running = values.state === "running" || values.state === "stopping";
  begin.disabled = running;
  stop.disabled = values.state !== "running";
  const words = {
    running: () => texts.collecting(values.stage, values.done, values.total),
    stopping: () => texts.stopping,
    stopped: () => texts.stopped,
    done: () => texts.collected(values),
    failed: () => texts.failed(values.problem),
  };
  write(searched, /** @type {any} */ (words)[values.state]?.() ?? "");
}
