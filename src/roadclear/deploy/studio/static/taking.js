// Take away: the run folder, the report, the model and the web page, and the command that makes them.

import { post } from "./api.js";
import { button, complain, make, say, write } from "./dom.js";
import { state, watch } from "./state.js";
import { texts } from "./texts.js";

const progress = make("p", { role: "status", "aria-live": "polite" });
const commands = make("pre", { tabIndex: 0, "aria-label": texts.command });
const files = make("ul", { class: "files" });
const refused = make("p", { class: "soft" });
const copy = button(texts.copy, async () => {
  try {
    await navigator.clipboard.writeText(commands.textContent ?? "");
    say(texts.copied);
  } catch (problem) {
    complain(problem);
  }
});
/** @type {string[]} */
let made = [];

export const takePanel = make(
  "div",
  {},
  make("p", { class: "soft" }, texts.takeHow),
  progress,
  files,
  refused,
  make("h3", {}, texts.command),
  commands,
  make("div", { class: "bar" }, copy),
);

export const exportButton = button(texts.export, startExport, { class: "main", title: texts.exportHint });

export async function startExport() {
  try {
    await post("export");
  } catch (problem) {
    complain(problem);
  }
}

/** @param {any} values */
export function exportState(values) {
  exportButton.disabled = values.state === "running";
  if (values.state === "running") {
    write(progress, texts.exporting(values.stage, values.done, values.total));
    files.replaceChildren();
    write(refused, "");
  } else if (values.state === "failed") write(progress, texts.failed(values.problem));
  else if (values.state === "done") {
    write(progress, texts.exported(values.folder));
    made = values.commands;
    files.replaceChildren(...Object.keys(texts.files).filter((name) => name in values.files).map((name) => row(name, values.files[name])));
    write(refused, values.refused ? texts.noPage(values.refused) : "");
  }
  show();
}

/** @param {string} name @param {number} bytes */
function row(name, bytes) {
  const opens = name === "report.html";
  const link = make("a", { href: `/api/taken/${name}`, ...(opens ? { target: "_blank", rel: "noopener" } : { download: name }) }, texts.files[name]);
  return make("li", {}, link, make("span", { class: "soft" }, `${texts.fileHint[name]} (${texts.bytes(bytes)})`));
}

function show() {
  write(commands, made.length ? made.join("\n") : state.command);
}

watch(["photos"], show);
