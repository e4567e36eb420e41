// Every English text of the page. A translation is another module with the same names.

/** @param {number} n @param {string} one @param {string} [many] */
const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** @param {number | null} share @param {number} [digits] */
const percent = (share, digits = 1) => (share === null ? "–" : `${(100 * share).toFixed(digits)}%`);

/** @param {number} share */
const points = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;

/** @param {(number | null)[]} interval */
const range = ([low, high]) => (low === null || high === null ? "no interval yet" : `${percent(low)} to ${percent(high)}`);

export const texts = {
  percent,
  range,
  title: "roadclear studio",
  undo: "Undo",
  undoHint: (/** @type {number} */ n) => (n ? `Take the last change back (${count(n, "photo")}), Ctrl+Z` : "There is nothing to take back"),
  export: "Export",
  exportHint: "Train as the command line does, and take the model away",
  keys: "Keys",
  keysTitle: "Keys of this page",
  close: "Close",
  keyTable: [
    ["Arrows, Home, End", "go from photo to photo"],
    ["Space", "select the photo, or take it out of the selection"],
    ["Shift + arrows, Ctrl + A", "select several photos, or all"],
    ["Enter", "open the large view"],
    ["M", "move to the other label"],
    ["1, 2", "give unlabelled photos the first or the second label"],
    ["X or Delete", "set aside"],
    ["Ctrl + Z", "undo"],
    ["1, 2, S, K", "decide on the photo under “What to do next”"],
    ["H", "show or hide the map"],
  ],
  disconnected: "The studio does not answer. Nothing is lost: start it again with the same folder.",
  loading: "The page is loading.",

  accuracy: "Accuracy",
  accuracyOf: (/** @type {number} */ n, /** @type {number} */ groups, /** @type {number} */ seen) =>
    `cross-validated on ${count(n, "photo")}` +
    (groups < n ? ` in ${count(groups, "group")} of look-alikes or scenes` : "") +
    (seen ? `, without ${seen.toLocaleString("en")} that the earlier model knows` : ""),
  interval: (/** @type {(number | null)[]} */ ends) => `95% interval ${range(ends)}`,
  noNumbers: "No numbers yet",
  trainingStage: (/** @type {string} */ stage, /** @type {number} */ done, /** @type {number} */ total) =>
    total ? `${stage}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : "Training",
  training: "Training",
  after: (/** @type {number} */ seconds) => `${seconds.toFixed(1)} s after the last change`,
  needPhotos: (/** @type {{label: string, missing: number}[]} */ short) =>
    `Add ${short.map(({ label, missing }) => `at least ${count(missing, "photo")} to ${label}`).join(", and ")}. A hundred of each is a good start.`,
  said: (/** @type {string} */ value, /** @type {string} */ ends) => `Accuracy ${value}, 95% interval ${ends}.`,

  unsure: "Unsure",
  unsureOf: (/** @type {number} */ n, /** @type {(number | null)[]} */ ends) => `of ${count(n, "photo")}; ${range(ends)}`,
  promise: (/** @type {{wanted: number, stated: number, kept: boolean, confidence: number, wrong: number, answered: number, needed: number}} */ p) => {
    const stated = `At most ${percent(p.stated)} of the answers to the others are wrong (${percent(p.confidence, 0)} confidence).`;
    if (p.kept) return stated;
    const found = p.wrong ? `here ${p.wrong.toLocaleString("en")} of ${p.answered.toLocaleString("en")} are wrong` : `so far there are ${p.answered.toLocaleString("en")}`;
    return `${stated} To promise ${percent(p.wanted, 0)}, ${p.needed.toLocaleString("en")} photos must be answered without a mistake; ${found}.`;
  },
  confusion: "Answers",
  confusionCaption: "Photos by label and by answer, each answered by a model that never saw it",
  labelled: "labelled",
  answered: "answered",
  change: "Last change",
  noChange: "No change yet.",
  went: (/** @type {number} */ before, /** @type {number} */ now) => `Accuracy went from ${percent(before)} to ${percent(now)}.`,
  changed: (/** @type {{accuracy: {value: number | null, interval: (number | null)[]}, photos: number, better: number, worse: number, told_apart: boolean}} */ change) => {
    const { value, interval } = change.accuracy;
    if (value === null) return "";
    const ends = interval[0] === null || interval[1] === null ? "" : ` (${points(interval[0])} to ${points(interval[1])})`;
    const flips = change.better || change.worse ? ` ${count(change.better, "answer")} became right, ${change.worse.toLocaleString("en")} wrong.` : " No answer changed.";
    const verdict = change.told_apart ? "" : change.better + change.worse ? " That may be chance." : "";
    return `By the labels of now, the model changed by ${points(value)} points${ends} on ${count(change.photos, "photo")}.${flips}${verdict}`;
  },
  more: "More photos",
  advice: (/** @type {any} */ advice) => {
    const { rule, label, labels } = advice;
    const other = Object.keys(labels).find((name) => name !== label) ?? "";
    if (rule === "errors")
      return `More photos of ${label} would help most: ${percent(labels[label].wrong.value)} of them are answered wrongly, and ${percent(labels[other].wrong.value)} of ${other}.`;
    if (rule === "few")
      return `More photos of ${label} would help most: there are ${labels[label].photos.toLocaleString("en")}, and ${labels[other].photos.toLocaleString("en")} of ${other}.`;
    return "Neither label stands out: add photos of both.";
  },
  adviceRule:
    "A label stands out if the 95% interval of the difference between both shares of wrong answers excludes zero, or if the label has less than half of the other label’s photos.",
  gain: (/** @type {{photos: number[], value: number, interval: number[]}} */ gain) =>
    `From ${gain.photos[0].toLocaleString("en")} to ${gain.photos[1].toLocaleString("en")} photos the accuracy changed by ${points(gain.value)} points (${points(gain.interval[0])} to ${points(gain.interval[1])}).`,

  labelName: (/** @type {string} */ label) => label || "Unlabelled",
  photosOf: (/** @type {string} */ label) => (label ? `Photos of ${label}` : "Unlabelled photos"),
  photoCount: (/** @type {number} */ n) => count(n, "photo"),
  selected: (/** @type {number} */ n) => (n ? `${n.toLocaleString("en")} selected` : ""),
  add: "Add photos",
  addTo: (/** @type {string} */ label) => (label ? `Add photos to ${label}` : "Add unlabelled photos"),
  addFolder: "Folder",
  addFolderTo: (/** @type {string} */ label) => (label ? `Add a folder to ${label}` : "Add a folder of unlabelled photos"),
  move: (/** @type {string} */ label) => `Move to ${label}`,
  give: (/** @type {string} */ label) => `Label as ${label}`,
  setAside: "Set aside",
  open: "Open",
  doubtFirst: "Most doubtful first",
  dropHere: (/** @type {string} */ label) =>
    label ? `Drop photos, a folder or a ZIP file here: they become photos of ${label}.` : "Drop photos whose label you do not know. “Next” says which to label first.",
  keepsLabel: "A photo that has a label keeps one. Set it aside instead, or undo.",
  photoName: (/** @type {string} */ name, /** @type {string | null} */ answer, /** @type {string | null} */ share) =>
    answer === null ? name : `${name}, answered ${answer}, ${share}`,
  wrongBadge: "≠",
  firstLabel: "First label",
  secondLabel: "Second label",
  nameLabels: "Name the two labels",
  rename: "Rename",
  renamed: (/** @type {string[]} */ labels) => `The labels are ${labels[0]} and ${labels[1]}.`,
  adding: (/** @type {number} */ done, /** @type {number} */ total, /** @type {string} */ label) =>
    `Adding ${label ? `photos to ${label}` : "unlabelled photos"}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}.`,
  added: (/** @type {number} */ added, /** @type {number} */ known, /** @type {string} */ label) =>
    `${count(added, "photo")} added${label ? ` to ${label}` : ", unlabelled"}.` + (known ? ` ${count(known, "file")} were here already.` : ""),
  notAdded: (/** @type {string[]} */ problems) => `${count(problems.length, "file")} could not be added: ${problems[0]}`,
  moved: (/** @type {number} */ n, /** @type {string} */ label) => `${count(n, "photo")} moved to ${label}.`,
  wasSetAside: (/** @type {number} */ n) => `${count(n, "photo")} set aside.`,
  undone: (/** @type {number} */ n) => (n ? `Taken back: ${count(n, "photo")}.` : "There is nothing to take back."),
  left: (/** @type {{file: string, why: string}[]} */ left) => `${left[0].file} ${left[0].why}.` + (left.length > 1 ? ` ${left.length - 1} more stayed.` : ""),
  gone: (/** @type {number} */ n) => `${count(n, "photo")} ${n === 1 ? "is" : "are"} no longer there.`,

  view: "Photo",
  previous: "Previous",
  next: "Next",
  showMap: "Map",
  mapHint: (/** @type {string} */ positive, /** @type {string} */ negative) => `Orange speaks for ${positive}, blue for ${negative}.`,
  noMap: "There is no map of this photo yet.",
  noPicture: "This file cannot be shown.",

  tabs: "Tools",
  nextTab: "What to do next",
  nextShort: "Next",
  tryTab: "Try it",
  tryShort: "Try",
  getTab: "Get photos",
  getShort: "Get photos",
  takeTab: "Take away",
  takeShort: "Take away",

  tasks: (/** @type {number} */ n) => (n ? `${count(n, "photo")} to look at` : "Nothing is left to look at."),
  searching: "Looking for what to do next.",
  lookingAt: (/** @type {string} */ stage, /** @type {number} */ done, /** @type {number} */ total) =>
    `${stage || "Looking"}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}`,
  noTasks: "Broken and doubled photos, labels that are probably wrong, unsure and unlabelled photos appear here.",
  kinds: "Kinds of what to do",
  kind: (/** @type {string} */ name, /** @type {number} */ n) =>
    `${/** @type {Record<string, string>} */ ({ "": "All", files: "Files", labels: "Labels", copies: "Copies", unsure: "Unsure", unlabelled: "Unlabelled" })[name]} ${n.toLocaleString("en")}`,
  reasons: /** @type {Record<string, string>} */ ({
    unreadable: "This file cannot be read.",
    unsupported: "This file is of a format that is not read.",
    "too-small": "This photo is very small.",
    blank: "This picture has one flat colour.",
    "conflicting-label": "The same picture is under both labels.",
    duplicate: "This is a copy of another photo.",
    "look-alike": "This photo looks like another one.",
    "wrong-label": "This label is probably wrong.",
    "look-alikes-disagree": "Look-alikes of this photo have the other label.",
    unsure: "The model is undecided about this photo.",
    "label-next": "This photo has no label. Its label would help.",
  }),
  taskLabel: (/** @type {string} */ name, /** @type {string} */ label) => (label ? `${name} is labelled ${label}.` : `${name}.`),
  taskAnswer: (/** @type {string} */ positive, /** @type {string} */ share) => `The model gives ${share} to ${positive}.`,
  besides: "Beside it",
  keep: "Keep as it is",
  notNow: "Not now",
  is: (/** @type {string} */ label) => `It is ${label}`,
  kept: "Kept as it is.",

  tryChoose: "Choose a photo to try",
  tryButton: "Choose a photo",
  tryDrop: "Or drop a photo here. The answer comes from the model that Export takes away.",
  useCamera: "Use the camera",
  stopCamera: "Stop the camera",
  noCamera: "The camera cannot be used: allow it in the browser.",
  waiting: "The model answers soon.",
  answer: (/** @type {any} */ a) => (a.unsure ? `Unsure (${a.label})` : a.label),
  answerShare: (/** @type {any} */ a) => `${percent(a.probability)} ${a.positive}`,
  unfamiliar: "Unfamiliar: the model has seen nothing like this photo, so its answer means little.",
  unsureNote: "Unsure: the probability is too near the threshold for the promise of this model.",
  took: (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`,
  outdated: "by the model before your last change",

  takePhotos: "With the camera",
  takeHint: "Hold a button, or its key while a button has the focus. Blurred and equal frames are dropped.",
  hold: (/** @type {string} */ label) => `Hold to take photos of ${label}`,
  frames: (/** @type {{kept: number, blurred: number, equal: number}} */ f) =>
    `${f.kept.toLocaleString("en")} kept, ${f.blurred.toLocaleString("en")} blurred, ${f.equal.toLocaleString("en")} equal`,
  collect: "From the web",
  collectHint: "Searches Openverse and Wikimedia Commons. Sources and licences go to sources.csv.",
  phrase: (/** @type {string} */ label) => `Photos of ${label} show`,
  phrases: /** @type {Record<string, string>} */ ({ crossing: "people crossing the road", empty: "empty road" }),
  perLabel: "Photos per label",
  contact: "Your e-mail address or web page, told to every host",
  collectStart: "Collect",
  collectStop: "Stop",
  collecting: (/** @type {string} */ stage, /** @type {number} */ done, /** @type {number} */ total) =>
    stage ? `${stage}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : "Searching",
  stopping: "Stopping after the photos that are on their way",
  stopped: "Stopped. What was collected stays.",
  collected: (/** @type {any} */ c) =>
    `Collected: ${Object.entries(c.photos).map(([label, n]) => `${Number(n).toLocaleString("en")} ${label}`).join(", ")}. ${c.rejected.toLocaleString("en")} rejected.` +
    (Object.keys(c.licences).length ? ` Licences: ${Object.entries(c.licences).map(([name, n]) => `${name} ${n}`).join(", ")}.` : "") +
    (c.failures.length ? ` ${c.failures[0]}` : ""),

  takeHow: "Export trains on all photos as the command line does, checks the result, and offers it here.",
  command: "The command that does the same",
  copy: "Copy",
  copied: "Copied.",
  exporting: (/** @type {string} */ stage, /** @type {number} */ done, /** @type {number} */ total) =>
    total ? `Export: ${stage}, ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : "Export: starting",
  exported: (/** @type {string} */ folder) => `Exported to ${folder}.`,
  failed: (/** @type {string} */ problem) => `That did not work: ${problem}`,
  noPage: (/** @type {string} */ why) => `There is no web page: ${why}`,
  files: /** @type {Record<string, string>} */ ({
    "report.html": "Report",
    "model.onnx": "Model",
    "index.html": "Web page",
    "run.zip": "Run folder",
  }),
  fileHint: /** @type {Record<string, string>} */ ({
    "report.html": "report.html, every number with its interval",
    "model.onnx": "model.onnx, photo in and answer out, for every runtime of ONNX",
    "index.html": "index.html, answers photos and the camera in any browser, without a network",
    "run.zip": "ZIP of everything that the training left",
  }),
  bytes: (/** @type {number} */ n) => (n > 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.ceil(n / 1e3)} kB`),
};
