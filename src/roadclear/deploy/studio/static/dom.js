// Small helpers for elements. Text always goes in as text, so names with markup in them stay names.

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] Properties of the element; names with a dash are attributes.
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, String(value));
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else /** @type {any} */ (element)[name] = value;
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** @param {HTMLElement} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} label @param {(event: Event) => void} action @param {Record<string, any>} [properties] */
export const button = (label, action, properties = {}) => make("button", { type: "button", onclick: action, ...properties }, label);

const status = make("p", { class: "said", role: "status", "aria-live": "polite" });
const alert = make("p", { class: "alert", role: "alert" });
export const messages = make("div", { class: "messages" }, status, alert);
let clearing = 0;

/** Tell the person something, also by the screen reader. @param {string} text */
export function say(text) {
  write(status, text);
  clearTimeout(clearing);
  clearing = setTimeout(() => {
    write(status, "");
    write(alert, "");
  }, 12000);
}

/** @param {unknown} problem */
export function complain(problem) {
  say("");
  write(alert, problem instanceof Error ? problem.message : String(problem));
}

/** Whether keys are for typing here. @param {EventTarget | null} target */
export const isTyping = (target) =>
  target instanceof HTMLElement && target.matches("input:not([type=checkbox]):not([type=file]), textarea, select");
