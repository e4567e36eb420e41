// Files, folders and ZIP archives on their way to a label.

import { send, stepName } from "./api.js";
import { complain, say } from "./dom.js";
import { loadPhotos } from "./state.js";
import { texts } from "./texts.js";

const AT_ONCE = 4;
const PICTURE = /\.(jpe?g|png|gif|webp|bmp|tiff?|avif|heic|heif|ppm|pgm|pbm|jfif)$/i;

/** @param {File} file */
const isArchive = (file) => file.name.toLowerCase().endsWith(".zip");

/** A file that a folder of photos may have beside its photos. @param {File} file */
const isNoise = (file) => file.name.startsWith(".") || !(file.type.startsWith("image/") || PICTURE.test(file.name) || isArchive(file));

/** @param {string} label @param {File[]} files @param {boolean} [fromFolder] */
export async function upload(label, files, fromFolder = false) {
  const queue = fromFolder ? files.filter((file) => !isNoise(file)) : [...files];
  const total = queue.length;
  const step = stepName();
  const counts = { added: 0, known: 0, done: 0 };
  /** @type {string[]} */
  const problems = [];
  const work = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      try {
        const path = isArchive(file) ? "archives" : "photos";
        const { added, known } = await send(path, { label, name: file.name, step }, file);
        counts.added += added;
        counts.known += known;
      } catch (problem) {
        problems.push(`${file.name}: ${problem instanceof Error ? problem.message : problem}`);
      }
      counts.done += 1;
      say(texts.adding(counts.done, total, label));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (problems.length) complain(texts.notAdded(problems));
  else if (total) say(texts.added(counts.added, counts.known, label));
  await loadPhotos();
}

/** Files of a drop, with those in folders. @param {DataTransfer} transfer @returns {Promise<{files: File[], fromFolder: boolean}>} */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null)).filter((entry) => entry !== null);
  if (!entries.some((entry) => entry?.isDirectory)) return { files: [...transfer.files], fromFolder: false };
  /** @type {File[]} */
  const files = [];
  for (const entry of entries) await walk(entry, files);
  return { files, fromFolder: true };
}

/** @param {any} entry @param {File[]} files */
async function walk(entry, files) {
  if (entry.isFile) {
    files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const one of some) await walk(one, files);
  }
}
