// The page: its parts, its keys, and the news from the studio.

import { listen } from "./api.js";
import { button, isTyping, make, messages, write } from "./dom.js";
import { collectState, getPanel } from "./getting.js";
import { Grid } from "./grid.js";
import { nextKey, nextPanel } from "./next.js";
import { numbersElement } from "./numbers.js";
import { loadNumbers, loadPhotos, loadTasks, rename, state, tell, undo, UNLABELLED, watch } from "./state.js";
import { exportButton, exportState, takePanel } from "./taking.js";
import { texts } from "./texts.js";
import { tryPanel } from "./try.js";
import { viewDialog } from "./view.js";

const folder = make("span", { class: "folder" });
const undoButton = button(texts.undo, undo);
const lost = make("p", { class: "lost", role: "alert", hidden: true }, texts.disconnected);
const columns = make("div", { class: "columns" });
const beside = make("div", { class: "beside" });
const order = button(texts.doubtFirst, () => {
  state.order = state.order === "doubt" ? "name" : "doubt";
  order.setAttribute("aria-pressed", String(state.order === "doubt"));
  showPhotos();
}, { class: "quiet", "aria-pressed": "false" });
const names = [0, 1].map((number) => make("input", { type: "text", maxLength: 60, required: true, "aria-label": number ? texts.secondLabel : texts.firstLabel }));
const naming = make("form", { class: "naming", hidden: true, "aria-label": texts.nameLabels, onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); rename(names.map((name) => name.value)); } },
  make("span", {}, texts.nameLabels), ...names, make("button", { type: "submit" }, texts.rename));
const keysDialog = make("dialog", { class: "keys", "aria-labelledby": "keys-title" },
  make("header", {}, make("h2", { id: "keys-title" }, texts.keysTitle), button(texts.close, () => keysDialog.close())),
  make("dl", {}, ...texts.keyTable.flatMap(([keys, words]) => [make("dt", {}, keys), make("dd", {}, words)])));

const tabs = [
  { id: "next", short: texts.nextShort, name: texts.nextTab, panel: nextPanel },
  { id: "try", short: texts.tryShort, name: texts.tryTab, panel: tryPanel },
  { id: "get", short: texts.getShort, name: texts.getTab, panel: getPanel },
  { id: "take", short: texts.takeShort, name: texts.takeTab, panel: takePanel },
].map((tab) => ({
  ...tab,
  control: make("button", { type: "button", role: "tab", id: `tab-${tab.id}`, "aria-controls": `panel-${tab.id}`, onclick: () => choose(tab.id) }, tab.short),
  region: make("section", { role: "tabpanel", id: `panel-${tab.id}`, "aria-label": tab.name, tabIndex: 0 }, make("h2", {}, tab.name), tab.panel),
}));
const tablist = make("div", { role: "tablist", "aria-label": texts.tabs, class: "tabs" }, ...tabs.map(({ control }) => control));

/** @param {string} id */
function choose(id) {
  for (const tab of tabs) {
    const chosen = tab.id === id;
    tab.control.setAttribute("aria-selected", String(chosen));
    tab.control.tabIndex = chosen ? 0 : -1;
    tab.region.hidden = !chosen;
  }
}

tablist.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const at = tabs.findIndex(({ control }) => control === document.activeElement);
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by === undefined || at < 0) return;
  const tab = tabs[(at + by + tabs.length) % tabs.length];
  choose(tab.id);
  tab.control.focus();
  event.preventDefault();
});
exportButton.addEventListener("click", () => choose("take"));

document.getElementById("app")?.append(
  make("header", { class: "top" },
    make("h1", {}, texts.title), folder, messages,
    make("div", { class: "bar" }, order, button(texts.keys, () => keysDialog.showModal(), { class: "quiet keys-button" }), undoButton, exportButton)),
  lost,
  make("main", {}, numbersElement, naming,
    make("div", { class: "work" },
      make("div", { class: "rail" }, tablist, ...tabs.map(({ region }) => region)),
      make("div", { class: "all" }, columns, beside))),
  viewDialog,
  keysDialog,
);
choose("next");

/** @type {Grid[]} */
let grids = [];

function showPhotos() {
  const wanted = [...state.labels, UNLABELLED];
  if (grids.map(({ label }) => label).join("/") !== wanted.join("/")) {
    grids = wanted.map((label, number) => new Grid(label, number));
    const elements = grids.map(({ element }) => element);
    beside.replaceChildren(...elements.splice(-1));
    columns.replaceChildren(...elements);
    names.forEach((name, number) => (name.value = state.labels[number]));
  }
  for (const grid of grids) grid.set(sorted(state.photos.filter(({ label }) => label === grid.label)));
  write(folder, state.folder);
  folder.title = state.folder;
  undoButton.disabled = !state.undo;
  undoButton.title = texts.undoHint(state.undo);
  naming.hidden = state.photos.length > 0;
}

/** @param {import("./state.js").Photo[]} photos */
function sorted(photos) {
  const { answers, labels } = state.numbers;
  if (state.order === "name" || !answers) return photos;
  const own = (/** @type {import("./state.js").Photo} */ photo) => {
    const answer = answers[photo.id];
    return answer ? (photo.label === labels.positive ? answer[0] : 1 - answer[0]) : -1;
  };
  return [...photos].sort((a, b) => own(a) - own(b));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || isTyping(event.target) || viewDialog.open || keysDialog.open) return;
  if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
    undo();
    event.preventDefault();
    return;
  }
  const nowhere = event.target === document.body;
  const next = tabs[0].region;
  if ((nowhere || next.contains(/** @type {Node} */ (event.target))) && !next.hidden && nextKey(event)) event.preventDefault();
});
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

watch(["photos"], showPhotos);
watch(["numbers"], () => (state.order === "doubt" ? showPhotos() : grids.forEach((grid) => grid.render())));
watch(["tasks"], () => write(tabs[0].control, state.tasks.length ? `${texts.nextShort} (${state.tasks.length})` : texts.nextShort));

listen(
  {
    photos: ({ version }) => version > state.version && loadPhotos(),
    numbers: loadNumbers,
    tasks: ({ version }) => { state.searched = version; loadTasks(); },
    searching: (values) => { state.searching = values; tell("searching"); },
    training: (values) => { state.training = values; tell("training"); },
    gain: ({ gain }) => { state.gain = gain; tell("gain"); },
    folder: ({ problem }) => { write(lost, problem || texts.disconnected); lost.hidden = !problem; },
    collect: collectState,
    export: exportState,
  },
  (connected) => {
    if (!connected) write(lost, texts.disconnected);
    lost.hidden = connected;
    if (connected) {
      loadPhotos();
      loadNumbers();
      loadTasks();
    }
  },
);
