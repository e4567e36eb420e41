// Photos with their maps, in the colours of roadclear's own pictures: orange speaks for the positive label, blue against.

const POSITIVE = [213, 94, 0];
const NEGATIVE = [0, 114, 178];
const STRONGEST = 0.75;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource & {width: number, height: number}} picture
 * @param {{heatmap: number[][], limit: number} | null} map
 */
export function draw(canvas, picture, map) {
  const width = /** @type {any} */ (picture).naturalWidth || /** @type {any} */ (picture).videoWidth || picture.width;
  const height = /** @type {any} */ (picture).naturalHeight || /** @type {any} */ (picture).videoHeight || picture.height;
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: Boolean(map) }));
  context.drawImage(picture, 0, 0, width, height);
  if (map) layOver(context, width, height, map);
}

/** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {{heatmap: number[][], limit: number}} map */
function layOver(context, width, height, { heatmap, limit }) {
  const image = context.getImageData(0, 0, width, height);
  const pixels = image.data;
  const across = places(width, heatmap[0].length);
  const down = places(height, heatmap.length);
  for (let y = 0; y < height; y++) {
    const [top, bottom, share] = down[y];
    const upper = heatmap[top];
    const lower = heatmap[bottom];
    for (let x = 0; x < width; x++) {
      const [left, right, part] = across[x];
      const above = upper[left] + part * (upper[right] - upper[left]);
      const below = lower[left] + part * (lower[right] - lower[left]);
      const value = Math.max(-1, Math.min(1, (above + share * (below - above)) / limit));
      const opacity = STRONGEST * Math.abs(value);
      const colour = value > 0 ? POSITIVE : NEGATIVE;
      const at = 4 * (y * width + x);
      const grey = 48 + (184 / 255) * (0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]);
      for (let c = 0; c < 3; c++) pixels[at + c] = grey * (1 - opacity) + colour[c] * opacity;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Neighbouring cells of each pixel, and the share of the second. @param {number} pixels @param {number} cells @returns {[number, number, number][]} */
const places = (pixels, cells) =>
  Array.from({ length: pixels }, (_, pixel) => {
    const at = Math.max(0, Math.min(cells - 1, ((pixel + 0.5) * cells) / pixels - 0.5));
    const first = Math.floor(at);
    return [first, Math.min(first + 1, cells - 1), at - first];
  });

/** @param {string} address @returns {Promise<HTMLImageElement>} */
export function load(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("no picture"));
    image.src = address;
  });
}
