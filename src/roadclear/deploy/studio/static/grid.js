// The photos of a label, or those without one, as a list of thumbnails. Only the rows in sight are in the document, so thousands of photos scroll well.

import { picture } from "./api.js";
import { button, complain, make, write } from "./dom.js";
import { byId, move, otherLabels, setAside, state, UNLABELLED } from "./state.js";
import { texts } from "./texts.js";
import { dropped, upload } from "./upload.js";
import { openView } from "./view.js";

const CELL = 92;
const SPARE_ROWS = 3;
const DRAGGED = "application/x-roadclear-photos";

export class Grid {
  /** @param {string} label @param {number} number */
  constructor(label, number) {
    this.label = label;
    /** @type {import("./state.js").Photo[]} */
    this.photos = [];
    /** @type {Set<string>} */
    this.selected = new Set();
    this.active = 0;
    this.anchor = 0;
    this.columns = 1;
    /** @type {HTMLButtonElement[]} */
    this.moving = [];
    this.cell = CELL;
    /** @type {Map<string, HTMLElement>} */
    this.shown = new Map();
    this.build(number);
    new ResizeObserver(() => this.layOut()).observe(this.list);
  }

  /** @param {number} number */
  build(number) {
    const heading = `label-${number}`;
    this.count = make("span", { class: "count" });
    this.chosen = make("span", { class: "count" });
    const files = make("input", { type: "file", multiple: true, accept: "image/*,.zip", "aria-label": texts.addTo(this.label) });
    const folder = make("input", { type: "file", multiple: true, webkitdirectory: true, "aria-label": texts.addFolderTo(this.label) });
    files.addEventListener("change", () => this.add(files, false));
    folder.addEventListener("change", () => this.add(folder, true));
    this.moving = this.destinations().map(({ label, key }) => button(this.words(label), () => this.moveTo(label), { title: key }));
    this.setting = button(texts.setAside, () => this.setChosenAside(), { title: "X" });
    this.opening = button(texts.open, () => this.open(), { title: "Enter" });
    this.space = make("div", { class: "space", role: "presentation" });
    this.empty = make("p", { class: "empty" }, texts.dropHere(this.label));
    this.list = make("div", { class: "photos", role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": texts.photosOf(this.label), id: `photos-${number}` }, this.space);
    this.bar = make("div", { class: "bar" }, ...this.moving, this.setting, this.opening);
    this.well = make("div", { class: "well" }, this.list, this.empty);
    this.element = make(
      "section",
      { class: `label label-${number}`, "aria-labelledby": heading },
      make("header", {}, make("h2", { id: heading }, texts.labelName(this.label)), this.count, this.chosen,
        make("label", { class: "button main" }, texts.add, files), make("label", { class: "button" }, texts.addFolder, folder)),
      this.bar,
      this.well,
    );
    this.list.addEventListener("scroll", () => this.render(), { passive: true });
    this.list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    this.list.addEventListener("click", (/** @type {MouseEvent} */ event) => this.click(event));
    this.list.addEventListener("dblclick", () => this.open());
    this.list.addEventListener("focus", () => this.render());
    this.list.addEventListener("dragstart", (/** @type {DragEvent} */ event) => this.drag(event));
    this.takeDrops();
  }

  takeDrops() {
    const over = (/** @type {boolean} */ on) => this.element.classList.toggle("over", on);
    this.element.addEventListener("dragover", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      over(true);
    });
    this.element.addEventListener("dragleave", (/** @type {DragEvent} */ event) => {
      if (!this.element.contains(/** @type {Node | null} */ (event.relatedTarget))) over(false);
    });
    this.element.addEventListener("drop", async (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      over(false);
      if (!event.dataTransfer) return;
      const ids = event.dataTransfer.getData(DRAGGED);
      if (ids) {
        if (this.label !== UNLABELLED) move(JSON.parse(ids), this.label);
        else if (JSON.parse(ids).some((/** @type {string} */ id) => byId.get(id)?.label)) complain(texts.keepsLabel);
        return;
      }
      const { files, fromFolder } = await dropped(event.dataTransfer);
      upload(this.label, files, fromFolder);
    });
  }

  /** @param {HTMLInputElement} input @param {boolean} fromFolder */
  async add(input, fromFolder) {
    const files = [...(input.files ?? [])];
    input.value = "";
    await upload(this.label, files, fromFolder);
  }

  /** @param {import("./state.js").Photo[]} photos */
  set(photos) {
    const before = this.photos[this.active]?.id;
    this.photos = photos;
    const same = photos.findIndex((photo) => photo.id === before);
    this.active = same >= 0 ? same : Math.max(0, Math.min(this.active, photos.length - 1));
    this.selected = new Set([...this.selected].filter((id) => byId.get(id)?.label === this.label));
    write(this.count, texts.photoCount(photos.length));
    this.empty.hidden = photos.length > 0;
    this.element.classList.toggle("bare", !photos.length);
    this.layOut();
  }

  layOut() {
    const width = this.list.clientWidth;
    if (!width) return;
    this.columns = Math.max(2, Math.floor(width / CELL));
    this.cell = Math.floor(width / this.columns);
    this.space.style.height = `${Math.ceil(this.photos.length / this.columns) * this.cell}px`;
    this.render();
  }

  render() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / this.cell) - SPARE_ROWS) * this.columns;
    const rows = Math.ceil(this.list.clientHeight / this.cell) + 2 * SPARE_ROWS;
    const last = Math.min(this.photos.length, first + rows * this.columns);
    const wanted = new Map();
    for (let place = first; place < last; place++) wanted.set(this.photos[place].id + this.photos[place].stamp, place);
    if (this.photos.length) wanted.set(this.photos[this.active].id + this.photos[this.active].stamp, this.active);
    for (const [key, element] of this.shown)
      if (!wanted.has(key)) {
        element.remove();
        this.shown.delete(key);
      }
    for (const [key, place] of wanted) {
      const element = this.shown.get(key) ?? this.thumbnail(this.photos[place]);
      if (!element.isConnected) this.space.append(element);
      this.shown.set(key, element);
      this.place(element, place);
    }
    const chosen = this.selected.size;
    write(this.chosen, texts.selected(chosen));
    for (const control of [...this.moving, this.setting, this.opening]) control.disabled = !this.photos.length;
    if (this.photos.length) this.list.setAttribute("aria-activedescendant", `photo-${this.photos[this.active].id}`);
    else this.list.removeAttribute("aria-activedescendant");
  }

  /** @param {import("./state.js").Photo} photo */
  thumbnail(photo) {
    const image = make("img", { src: picture(photo, "small"), alt: "", draggable: false, decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(make("span", { class: "broken" }, photo.name)));
    return make("div", { role: "option", id: `photo-${photo.id}`, class: "photo", draggable: true, "data-id": photo.id }, image, make("span", { class: "badge", "aria-hidden": "true" }));
  }

  /** @param {HTMLElement} element @param {number} place */
  place(element, place) {
    const photo = this.photos[place];
    element.style.transform = `translate(${(place % this.columns) * this.cell}px, ${Math.floor(place / this.columns) * this.cell}px)`;
    element.style.width = element.style.height = `${this.cell}px`;
    element.dataset.place = String(place);
    element.setAttribute("aria-posinset", String(place + 1));
    element.setAttribute("aria-setsize", String(this.photos.length));
    element.setAttribute("aria-selected", String(this.selected.has(photo.id)));
    element.classList.toggle("active", place === this.active);
    const answer = state.numbers.answers?.[photo.id];
    const right = !answer || answer[1];
    element.classList.toggle("wrong", !right);
    const badge = /** @type {HTMLElement} */ (element.lastElementChild);
    write(badge, right ? "" : texts.wrongBadge);
    const called = right ? this.label : otherLabels(this.label)[0];
    const positive = state.numbers.labels?.positive;
    const share = answer ? texts.percent(called === positive ? answer[0] : 1 - answer[0], 0) : null;
    const name = texts.photoName(photo.name, answer ? called : null, share);
    element.setAttribute("aria-label", name);
    element.title = name;
  }

  /** Photos that a command is for: the selected ones, else the one with the focus. */
  targets() {
    if (this.selected.size) return [...this.selected];
    const photo = this.photos[this.active];
    return photo ? [photo.id] : [];
  }

  /** The labels that photos can move to from here, each with its key. */
  destinations() {
    if (this.label !== UNLABELLED) return otherLabels(this.label).map((label) => ({ label, key: "M" }));
    return state.labels.map((label, number) => ({ label, key: String(number + 1) }));
  }

  /** What a button says that moves photos to a label. @param {string} label */
  words(label) {
    return this.label === UNLABELLED ? texts.give(label) : texts.move(label);
  }

  /** @param {string} label */
  moveTo(label) {
    const ids = this.targets();
    this.selected.clear();
    return ids.length ? move(ids, label) : null;
  }

  /** Move the chosen photos by a key. @param {string} key */
  moveByKey(key) {
    const wanted = this.destinations().find((one) => one.key === key.toUpperCase());
    if (wanted) this.moveTo(wanted.label);
    return wanted !== undefined;
  }

  setChosenAside() {
    const ids = this.targets();
    this.selected.clear();
    return ids.length ? setAside(ids) : null;
  }

  open() {
    if (this.photos.length) openView(this);
  }

  /** @param {number} place @param {boolean} [extend] */
  goTo(place, extend = false) {
    this.active = Math.max(0, Math.min(this.photos.length - 1, place));
    if (extend) this.select(this.anchor, this.active);
    else this.anchor = this.active;
    const top = Math.floor(this.active / this.columns) * this.cell;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (top + this.cell > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + this.cell - this.list.clientHeight;
    this.render();
  }

  /** @param {number} from @param {number} to */
  select(from, to) {
    for (let place = Math.min(from, to); place <= Math.max(from, to); place++) this.selected.add(this.photos[place].id);
  }

  /** @param {number} place */
  toggle(place) {
    const { id } = this.photos[place];
    if (!this.selected.delete(id)) this.selected.add(id);
  }

  /** @param {MouseEvent} event */
  click(event) {
    const option = /** @type {Element} */ (event.target).closest("[data-place]");
    if (!(option instanceof HTMLElement)) return;
    const place = Number(option.dataset.place);
    if (event.shiftKey) this.select(this.anchor, place);
    else if (event.ctrlKey || event.metaKey) this.toggle(place);
    else {
      this.selected.clear();
      this.selected.add(this.photos[place].id);
    }
    this.goTo(place, false);
  }

  /** @param {DragEvent} event */
  drag(event) {
    const option = /** @type {Element} */ (event.target).closest("[data-id]");
    if (!(option instanceof HTMLElement) || !event.dataTransfer) return;
    const id = option.dataset.id ?? "";
    event.dataTransfer.setData(DRAGGED, JSON.stringify(this.selected.has(id) ? [...this.selected] : [id]));
    event.dataTransfer.effectAllowed = "move";
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.photos.length) return;
    const page = this.columns * Math.max(1, Math.floor(this.list.clientHeight / this.cell));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page, Home: -this.photos.length, End: this.photos.length };
    const modified = event.ctrlKey || event.metaKey;
    if (event.key in steps) this.goTo(this.active + /** @type {any} */ (steps)[event.key], event.shiftKey);
    else if (event.key === " ") this.toggle(this.active);
    else if (modified && event.key === "a") this.select(0, this.photos.length - 1);
    else if (event.key === "Escape") this.selected.clear();
    else if (modified || event.altKey) return;
    else if (event.key === "Enter") this.open();
    else if (event.key === "x" || event.key === "Delete") this.setChosenAside();
    else if (!this.moveByKey(event.key)) return;
    event.preventDefault();
    this.render();
  }
}
