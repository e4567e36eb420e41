// What the page knows, and the changes that a person makes.

import { get, post } from "./api.js";
import { complain, say } from "./dom.js";
import { texts } from "./texts.js";

/**
 * @typedef {{id: string, name: string, label: string, stamp: string}} Photo
 * @typedef {{labels: string[], photos: Photo[], version: number, undo: number, folder: string, command: string, numbers: any, tasks: any[], gain: any, searched: number, searching: any, training: any, order: "name" | "doubt"}} State
 */

/** @type {State} */
export const state = {
  labels: [], photos: [], version: 0, undo: 0, folder: "", command: "", numbers: {}, tasks: [], gain: null, searched: 0, searching: {}, training: {}, order: "name",
};

/** @type {Map<string, Photo>} */
export let byId = new Map();

/** @type {Map<string, Set<() => void>>} */
const watchers = new Map();

/** @param {string[]} topics @param {() => void} action */
export function watch(topics, action) {
  for (const topic of topics) {
    if (!watchers.has(topic)) watchers.set(topic, new Set());
    watchers.get(topic)?.add(action);
  }
}

/** @param {string} topic */
export const tell = (topic) => watchers.get(topic)?.forEach((action) => action());

/** The label of photos without one. */
export const UNLABELLED = "";

/** The labels that a photo can get. @param {string} label The label that it has. */
export const otherLabels = (label) => state.labels.filter((other) => other !== label);

/** Calls one after the other; a call that came meanwhile asks once more. @param {() => Promise<void>} load */
function oneAtATime(load) {
  let running = false;
  let again = false;
  return async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      do {
        again = false;
        await load();
      } while (again);
    } catch (problem) {
      complain(problem);
    } finally {
      running = false;
    }
  };
}

export const loadPhotos = oneAtATime(async () => {
  const known = await get("photos");
  state.labels = known.labels;
  state.version = known.version;
  state.undo = known.undo;
  state.folder = known.folder;
  state.command = known.command;
  state.photos = known.photos.map((/** @type {any[]} */ [id, name, label, stamp]) => ({ id, name, label: known.labels[label] ?? UNLABELLED, stamp }));
  byId = new Map(state.photos.map((photo) => [photo.id, photo]));
  tell("photos");
});

export const loadNumbers = oneAtATime(async () => {
  state.numbers = await get("numbers");
  tell("numbers");
});

export const loadTasks = oneAtATime(async () => {
  state.tasks = await get("tasks");
  tell("tasks");
});

/** @param {Promise<any>} request @param {(changed: number) => string} words */
async function change(request, words) {
  try {
    const done = await request;
    if (done.left.length) complain(texts.left(done.left));
    else if (done.gone) complain(texts.gone(done.gone));
    else say(words(done.changed.length));
    await loadPhotos();
    await loadTasks();
    return done;
  } catch (problem) {
    complain(problem);
    return null;
  }
}

/** @param {string[]} photos @param {string} label */
export const move = (photos, label) => change(post("move", { photos, label }), (n) => texts.moved(n, label));

/** @param {string[]} photos */
export const setAside = (photos) => change(post("set-aside", { photos }), texts.wasSetAside);

export const undo = () => change(post("undo"), texts.undone);

/** @param {string[]} labels */
export const rename = (labels) => change(post("labels", { labels }), () => texts.renamed(labels));

/** @param {any} task */
export async function keep(task) {
  await post("keep", { photo: task.id, reason: task.reason });
  say(texts.kept);
  await loadTasks();
}
