// Answers through the server that the page comes from.
"use strict";

const PATIENCE = 5, QUALITY = 0.95;

async function fetchPart(name) {
  const answer = await fetch(`page/${known.sha256}/${name}`);
  if (!answer.ok) throw new Error("the server has another model now: load the page again");
  return new Uint8Array(await answer.arrayBuffer());
}

// Ask for the answer to a photo. A server that is busy is asked again.
async function askServer(photo) {
  let answer;
  for (let k = 0; k < PATIENCE; k++) {
    answer = await fetch("predict?map=true", {method: "POST", body: photo, headers: {"Content-Type": "application/octet-stream"}})
      .catch(() => { throw new Error("the server does not answer"); });
    if (answer.status !== 503) break;
    await new Promise((done) => setTimeout(done, 1000 * Number(answer.headers.get("Retry-After") || 1)));
  }
  const said = await answer.json().catch(() => ({error: `the server answers with the status ${answer.status}`}));
  if (!said.photos) throw new Error(said.error);
  const [photoSaid] = said.photos;
  if (photoSaid.error) throw new Error(photoSaid.error);
  Object.assign(known, said.model);
  const {probability, unsure, unfamiliar, map} = photoSaid;
  return {probability, unsure, unfamiliar, logit: map.logit, offset: map.offset, heatmap: map.values.flat()};
}

// Some photos are read by the server and not by the browser. Their map is drawn on grey.
async function askServerOf(file, shown) {
  const found = await askServer(file);
  const picture = shown || await createImageBitmap(new ImageData(known.size, known.size));
  return {found, picture, width: picture.width, height: picture.height};
}

// Null where the server has no answer. The camera goes on with a later frame.
async function askServerOfFrame(frame) {
  const canvas = document.createElement("canvas");
  canvas.width = frame.width;
  canvas.height = frame.height;
  canvas.getContext("2d", {alpha: false}).drawImage(frame, 0, 0);
  try {
    return await askServer(await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY)));
  } catch (error) {
    frame.close();
    say(`Camera: ${error.message}`);
    await new Promise((done) => setTimeout(done, 1000));
    return null;
  }
}

// The model is loaded when it is chosen first, and then stays until the server has another one.
function offerBoth() {
  if (!known.inBrowser) return;
  const choice = element("local");
  let loaded = null, sha256 = "";
  choice.addEventListener("change", async () => {
    predict = null;
    if (!choice.checked) return;
    choice.disabled = true;
    try {
      if (sha256 !== known.sha256) {
        say("The model is loading.");
        await loadModel();
        [loaded, sha256] = [predict, known.sha256];
      }
      predict = loaded;
      say("Ready. Photos stay on this device.");
    } catch (error) {
      choice.checked = false;
      say(`The model cannot be loaded: ${error.message}`);
    }
    choice.disabled = false;
  });
}
