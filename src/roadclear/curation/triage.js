const [save, accept, clear] = ["save", "accept", "clear"].map((id) => document.getElementById(id));
const report = document.getElementById("report");
const figures = [...document.querySelectorAll("figure")];
const inputs = [...document.querySelectorAll("input")];
let current = null;
let unsaved = false;

const chosen = () => inputs.filter((input) => input.checked);
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const undecided = (figure) => !figure.querySelector("input:checked");
const suggestions = () => figures.filter(undecided).flatMap((figure) => [...figure.querySelectorAll("[data-suggested]")]);

const show = () => {
  const decided = chosen().length;
  const open = suggestions().length;
  save.textContent = `Save ${counted(decided, "decision")}`;
  accept.textContent = open ? `Accept all ${counted(open, "suggestion")}` : "No suggestion is left";
  save.disabled = clear.disabled = decided === 0;
  accept.disabled = open === 0;
};
const changed = (message) => {
  unsaved = chosen().length > 0;
  report.textContent = message;
  show();
};
const left = () => `${counted(figures.filter(undecided).length, "photo")} without a decision.`;

const goTo = (figure, open) => {
  current = figure;
  const details = figure.querySelector("details");
  if (details && open !== undefined) details.open = open;
  (figure.querySelector("summary") ?? figure).focus({ preventScroll: true });
  figure.scrollIntoView({ block: "nearest" });
};
const step = (by) => {
  const next = current === null ? figures[0] : figures[figures.indexOf(current) + by];
  if (next) goTo(next, current?.querySelector("details")?.open || undefined);
};
const decide = (key) => {
  if (current === null && figures.length) goTo(figures[0]);
  const input = current?.querySelector(`input[data-key="${key}"]`);
  if (!input) return;
  input.checked = !input.checked;
  changed(left());
};

save.addEventListener("click", () => {
  const rows = [save.dataset.header, ...chosen().map((input) => input.value)].map(bytes);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(rows, { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  changed(`${counted(chosen().length, "decision")} went to decisions.csv in the browser's folder for downloads. Now run the command of step 3.`);
  unsaved = false;
});
accept.addEventListener("click", () => {
  const accepted = suggestions();
  for (const input of accepted) input.checked = true;
  changed(`Accepted: ${counted(accepted.length, "suggestion")}. ${left()}`);
});
clear.addEventListener("click", () => {
  for (const input of chosen()) input.checked = false;
  changed("All decisions were taken back.");
});
document.addEventListener("change", () => changed(left()));
document.addEventListener("focusin", (event) => {
  current = event.target.closest("figure") ?? current;
});
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.open) event.target.closest("figure").scrollIntoView({ block: "start" });
  },
  true,
);
document.addEventListener("click", (event) => {
  // A radio button that has the focus answers arrow keys itself. After the mouse, the focus goes to the photo.
  if (event.target.matches("input") && event.detail) goTo(event.target.closest("figure"));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = event.key.toLowerCase();
  if (["1", "2", "s"].includes(key)) decide(key);
  else if (key === "escape" && current) goTo(current, false);
  else if (event.target.matches("input")) return;
  else if (key === "arrowright") step(1);
  else if (key === "arrowleft") step(-1);
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
window.addEventListener("pageshow", show);
accept.hidden = inputs.every((input) => input.dataset.suggested === undefined);
document.getElementById("bar").hidden = document.getElementById("keys").hidden = figures.length === 0;
show();
