// Requests to the studio on this machine.

const AGAIN_MS = 2000;

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function ask(path, options) {
  const answer = await fetch(`/api/${path}`, options);
  const values = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(values.error ?? `${answer.status} ${answer.statusText}`);
  return values;
}

export const get = ask;

/** @param {string} path @param {object} [values] */
export const post = (path, values = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) });

/** @param {string} path @param {Record<string, string>} query @param {Blob} body */
export const send = (path, query, body) =>
  ask(`${path}?${new URLSearchParams(query)}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body });

/** @param {{id: string, stamp: string}} photo @param {"small" | "large"} size */
export const picture = (photo, size) => `/api/pictures/${photo.id}?size=${size}&stamp=${photo.stamp}`;

/** @param {Record<string, (values: any) => void>} handlers @param {(connected: boolean) => void} connection */
export function listen(handlers, connection) {
  const source = new EventSource("/api/events");
  source.addEventListener("open", () => connection(true));
  source.addEventListener("error", () => {
    connection(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(handlers, connection), AGAIN_MS);
  });
  for (const [kind, handler] of Object.entries(handlers))
    source.addEventListener(kind, (event) => handler(JSON.parse(/** @type {MessageEvent} */ (event).data)));
}

export const stepName = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
