// Keeps the page for use without a network. The host's answer comes first, so that a new page is seen.
"use strict";

const KEPT = "page";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.add("./")).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith(fetch(event.request).then(async (answer) => {
    if (answer.ok) (await caches.open(KEPT)).put("./", answer.clone());
    return answer;
  }).catch(() => caches.match("./")));
});
