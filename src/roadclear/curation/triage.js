const button = document.querySelector("button");
const chosen = () => [...document.querySelectorAll("input:checked")];
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const count = () => {
  const decided = chosen().length;
  button.textContent = `Save ${decided} ${decided === 1 ? "decision" : "decisions"}`;
  button.disabled = decided === 0;
};
const save = () => {
  const rows = [button.dataset.header, ...chosen().map((input) => input.value)].map(bytes);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(rows, { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
document.addEventListener("change", count);
window.addEventListener("pageshow", count);
button.addEventListener("click", save);
button.hidden = false;
count();
