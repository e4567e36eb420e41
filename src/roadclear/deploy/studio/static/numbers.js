// The numbers of the model: the accuracy with its interval first, and what the last change did.

import { make, write } from "./dom.js";
import { state, watch } from "./state.js";
import { texts } from "./texts.js";

const FEWEST = 10;

const value = make("p", { class: "hero" });
const interval = make("p", { class: "interval" });
const basis = make("p", { class: "soft" });
const scale = make("div", { class: "scale", "aria-hidden": "true" }, make("span", { class: "span" }), make("span", { class: "dot" }));
const busy = make("p", { class: "busy" });
const spoken = make("p", { class: "hidden", role: "status", "aria-live": "polite" });
const unsure = make("p", { class: "figure" });
const unsureOf = make("p", { class: "soft" });
const promise = make("p", { class: "soft" });
const table = make("table", {});
const went = make("p", {});
const change = make("p", { class: "soft" });
const advice = make("p", { title: texts.adviceRule });
const gain = make("p", { class: "soft" });

/** @param {string} name @param {...Node} parts */
const part = (name, ...parts) => make("div", { class: "part" }, make("h3", {}, name), ...parts);

export const numbersElement = make(
  "section",
  { class: "numbers", "aria-label": texts.accuracy },
  make("div", { class: "part lead" }, make("h2", {}, texts.accuracy), make("div", { class: "row" }, value, make("div", {}, interval, basis)), scale, busy, spoken),
  part(texts.change, went, change),
  part(texts.more, advice, gain),
  part(texts.confusion, table),
  part(texts.unsure, make("div", { class: "row" }, unsure, unsureOf), promise),
);


function show() {
  const { numbers, training } = state;
  const known = numbers.accuracy !== undefined;
  const { accuracy } = numbers;
  write(value, known ? texts.percent(accuracy.value) : texts.noNumbers);
  value.classList.toggle("none", !known);
  write(interval, known ? texts.interval(accuracy.interval) : numbers.problem ? missing(numbers.problem) : "");
  write(basis, known ? texts.accuracyOf(numbers.photos, numbers.groups, numbers.seen) : "");
  scale.hidden = !known;
  if (known) drawScale(accuracy);
  write(unsure, known ? texts.percent(numbers.unsure.value) : "–");
  write(unsureOf, known ? texts.unsureOf(numbers.unsure.n, numbers.unsure.interval) : "");
  write(promise, known && numbers.promise ? texts.promise(numbers.promise) : "");
  const compared = known && numbers.change && numbers.before !== null;
  write(went, compared ? texts.went(numbers.before, accuracy.value) : texts.noChange);
  write(change, compared ? texts.changed(numbers.change) : "");
  write(advice, known ? texts.advice(numbers.advice) : "–");
  write(gain, known && state.gain && state.gain.value !== null ? texts.gain(state.gain) : "");
  if (known) fill(numbers);
  else table.replaceChildren();
  numbersElement.dataset.version = numbers.version ?? 0;
  const running = Boolean(training.running);
  numbersElement.setAttribute("aria-busy", String(running));
  write(busy, running ? texts.trainingStage(training.stage ?? texts.training, training.done ?? 0, training.total ?? 0) : known ? texts.after(numbers.since_change) : "");
}

/** Say how many photos are missing, in the place of the error. @param {string} problem */
function missing(problem) {
  const short = state.labels
    .map((label) => ({ label, missing: FEWEST - state.photos.filter((photo) => photo.label === label).length }))
    .filter(({ missing }) => missing > 0);
  return short.length ? texts.needPhotos(short) : problem;
}

/** A scale from one half to one: a coin is right in half of the cases. @param {{value: number, interval: number[]}} estimate */
function drawScale(estimate) {
  const place = (/** @type {number} */ share) => `${100 * Math.max(0, Math.min(1, (share - 0.5) / 0.5))}%`;
  const [low, high] = estimate.interval;
  const [span, dot] = /** @type {HTMLElement[]} */ ([...scale.children]);
  span.style.left = place(low);
  span.style.right = `${100 - parseFloat(place(high))}%`;
  dot.style.left = place(estimate.value);
}

/** @param {any} numbers */
function fill({ confusion, labels }) {
  const order = [labels.positive, labels.negative];
  table.replaceChildren(
    make("caption", { class: "hidden" }, texts.confusionCaption),
    make("tr", {}, make("th", { scope: "col" }, make("span", {}, texts.labelled)), ...order.map((label) => make("th", { scope: "col" }, make("span", {}, texts.answered), label))),
    ...order.map((label) =>
      make("tr", {}, make("th", { scope: "row" }, label), ...order.map((answer) => make("td", { class: label === answer ? "right" : "wrong" }, confusion[label][answer].toLocaleString("en")))),
    ),
  );
}

watch(["numbers"], () => {
  const { accuracy } = state.numbers;
  if (!accuracy) return;
  write(spoken, texts.said(texts.percent(accuracy.value), texts.range(accuracy.interval)));
});
watch(["numbers", "training", "gain", "photos"], show);
show();
