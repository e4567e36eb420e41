// The page: files and camera in, answers and maps out.
"use strict";

const known = JSON.parse(document.getElementById("known").textContent);
const element = (id) => document.getElementById(id);
const POSITIVE = [213, 94, 0], NEGATIVE = [0, 114, 178], STRONGEST = 0.75, BAND = 256, SHOWN = 640, MOST = 60;
scaling.rowsFirst = known.rowsFirst;
let predict = null, ready = false, stream = null, waiting = Promise.resolve();

async function unpack(name) {
  if (known.served) return fetchPart(name);
  const holder = element("part-" + name), text = atob(holder.textContent);
  holder.remove();
  const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const whole = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(whole).arrayBuffer());
}

async function loadModel() {
  const module = URL.createObjectURL(new Blob([await unpack("ort")], {type: "text/javascript"}));
  predict = await openModel(await import(module), await unpack("wasm"), await unpack("model"), known.size);
  URL.revokeObjectURL(module);
}

async function start() {
  if (known.served) offerBoth();
  else await loadModel();
  ready = true;
  element("files").disabled = false;
  element("camera").disabled = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
  say("Ready.");
  if (!known.served && location.protocol.startsWith("http") && navigator.serviceWorker) navigator.serviceWorker.register("sw.js").catch(() => {});
}

function asksServer() {
  return known.served && predict === null;
}

function say(words) {
  element("status").textContent = words;
}

// The square of a picture that the browser decoded, on white, in bands: phones refuse large canvases.
function squareOfPicture(picture, width, height) {
  const squash = squasher(width, height, known.size, width, height), canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = Math.min(BAND, height);
  const context = canvas.getContext("2d", {willReadFrequently: true, alpha: false});
  for (let first = 0; first < height; first += BAND) {
    const count = Math.min(BAND, height - first);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, count);
    context.drawImage(picture, 0, first, width, count, 0, 0, width, count);
    squash.push(context.getImageData(0, 0, width, count).data, 4, first, count);
  }
  return squash.finish();
}

async function answerFile(file) {
  const picture = await createImageBitmap(file, {colorSpaceConversion: "none"}).catch(() => null);
  if (asksServer()) return askServerOf(file, picture);
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (picture === null) throw new Error("This browser cannot read the file as a photo.");
  let square = null;
  if (isJpeg(bytes)) {
    try {
      square = squareOfJpeg(bytes, known.size);
    } catch (error) {
      console.info(`${file.name}: read by the browser (${error.message})`);
    }
  }
  square = square || squareOfPicture(picture, picture.width, picture.height);
  return {found: await predict(square), picture, width: picture.width, height: picture.height};
}

function words(found) {
  const label = found.probability >= known.threshold ? known.positive : known.negative;
  return {
    answer: found.unsure ? `unsure (${label})` : label,
    share: `${(100 * found.probability).toFixed(1)}% ${known.positive}`,
    notes: [
      ...(found.unsure ? ["Unsure: too close to call."] : []),
      ...(found.unfamiliar ? ["Unfamiliar: the model has not seen the like."] : []),
    ],
  };
}

function card(title) {
  const made = document.createElement("div");
  made.className = "card";
  made.innerHTML = '<canvas role="img"></canvas><p class="answer"></p><div class="scale" aria-hidden="true"><span></span></div><p class="share"></p><div class="notes"></div><p class="soft name"></p>';
  made.querySelector(".name").textContent = title;
  return made;
}

function fill(made, result, title) {
  const said = words(result.found);
  made.querySelector(".answer").textContent = said.answer;
  made.querySelector(".share").textContent = said.share;
  made.querySelector(".scale span").style.width = `${100 * result.found.probability}%`;
  made.querySelector(".notes").replaceChildren(...said.notes.map((note) => {
    const line = document.createElement("p");
    line.className = "note";
    line.textContent = note;
    return line;
  }));
  made.dataset.logit = result.found.logit;
  made.dataset.unsure = result.found.unsure;
  made.dataset.unfamiliar = result.found.unfamiliar;
  const canvas = made.querySelector("canvas");
  canvas.setAttribute("aria-label", `${title}: ${said.answer}, ${said.share}`);
  draw(canvas, result);
  return said;
}

// The photo in grey with the map over it, as roadclear draws heatmaps; without the map, the photo.
function draw(canvas, result) {
  const {picture, width, height, found} = result, scale = Math.min(1, SHOWN / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (!element("map").checked) return;
  const image = context.getImageData(0, 0, canvas.width, canvas.height), pixels = image.data;
  const side = Math.round(Math.sqrt(found.heatmap.length)), limit = Math.max(0.1, ...found.heatmap.map(Math.abs));
  const across = places(canvas.width, side), down = places(canvas.height, side);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    const [top, low, part] = down[y];
    for (let x = 0; x < canvas.width; x++, at += 4) {
      const [left, right, share] = across[x];
      const above = found.heatmap[top * side + left] * (1 - share) + found.heatmap[top * side + right] * share;
      const below = found.heatmap[low * side + left] * (1 - share) + found.heatmap[low * side + right] * share;
      const value = (above * (1 - part) + below * part) / limit;
      const grey = 48 + 0.7216 * (0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]);
      const opacity = STRONGEST * Math.min(1, Math.abs(value)), colour = value > 0 ? POSITIVE : NEGATIVE;
      for (let k = 0; k < 3; k++) pixels[at + k] = grey * (1 - opacity) + colour[k] * opacity;
    }
  }
  context.putImageData(image, 0, 0);
}

// For each pixel the two cells around it, and the share of the second.
function places(length, side) {
  return Array.from({length}, (_, k) => {
    const place = Math.min(side - 1, Math.max(0, ((k + 0.5) * side) / length - 0.5)), first = Math.floor(place);
    return [first, Math.min(side - 1, first + 1), place - first];
  });
}

async function small(picture, width, height) {
  const scale = Math.min(1, SHOWN / Math.max(width, height));
  return createImageBitmap(picture, {
    resizeWidth: Math.max(1, Math.round(width * scale)), resizeHeight: Math.max(1, Math.round(height * scale)),
    resizeQuality: "medium",
  });
}

async function take(files) {
  const photos = [...files];
  let answered = 0;
  for (const [k, file] of photos.entries()) {
    say(`Photo ${k + 1} of ${photos.length}: ${file.name}`);
    await new Promise((done) => setTimeout(done));
    const item = document.createElement("li"), made = card(file.name);
    item.append(made);
    try {
      const result = await answerFile(file);
      result.picture = await small(result.picture, result.width, result.height);
      const said = fill(made, result, file.name);
      made.redraw = () => draw(made.querySelector("canvas"), result);
      say(`${file.name}: ${said.answer}, ${said.share}. ${said.notes.join(" ")}`);
      answered += 1;
    } catch (error) {
      made.querySelector("canvas").remove();
      made.querySelector(".scale").remove();
      made.querySelector(".answer").textContent = "No answer";
      made.querySelector(".share").textContent = error.message;
      say(`${file.name}: ${error.message}`);
    }
    element("results").prepend(item);
    while (element("results").children.length > MOST) element("results").lastChild.remove();
  }
  if (photos.length > 1) say(`${answered} of ${photos.length} photos have an answer.`);
}

function queue(files) {
  if (files.length && ready) waiting = waiting.then(() => take(files));
}

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}, audio: false});
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`);
    return;
  }
  const video = element("video"), live = element("live"), made = card("");
  video.srcObject = stream;
  await video.play();
  made.className = "";
  live.append(made);
  live.hidden = false;
  element("camera").textContent = "Stop the camera";
  let last = "";
  while (stream !== null) {
    if (video.videoWidth) {
      const frame = await createImageBitmap(video), {width, height} = frame;
      const found = asksServer() ? await askServerOfFrame(frame) : await predict(squareOfPicture(frame, width, height));
      if (found === null) continue;
      const result = {found, picture: frame, width, height};
      if (stream === null) break;
      const said = fill(made, result, "Camera");
      frame.close();
      const heard = [said.answer, ...said.notes].join(". ");
      if (heard !== last) say(`Camera: ${heard}`);
      last = heard;
    }
    await new Promise((done) => setTimeout(done, 30));
  }
  made.remove();
}

function stopCamera() {
  stream.getTracks().forEach((track) => track.stop());
  stream = null;
  element("live").hidden = true;
  element("camera").textContent = "Use the camera";
  say("The camera is off.");
}

element("files").addEventListener("change", (event) => {
  queue([...event.target.files]);
  event.target.value = "";
});
element("camera").addEventListener("click", () => (stream === null ? startCamera() : stopCamera()));
element("map").addEventListener("change", () => {
  for (const made of document.querySelectorAll("#results .card")) if (made.redraw) made.redraw();
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") queue([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => queue([...event.clipboardData.files]));
start().catch((error) => say(`The model cannot be loaded: ${error.message}`));
