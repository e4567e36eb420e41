// From pixels to the square that the model takes, with the arithmetic of Pillow's bilinear resampling.
"use strict";

const PRECISION = 22;
const scaling = {rowsFirst: true};

// First position and weights in 22-bit fixed point of each of `size` outputs, over `length` of `count` samples.
function weightsOf(count, length, size) {
  const scale = length / size, support = Math.max(scale, 1), found = [];
  for (let k = 0; k < size; k++) {
    const centre = (k + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const to = Math.min(count, Math.trunc(centre + support + 0.5));
    const shares = [];
    for (let x = from; x < to; x++) shares.push(Math.max(0, 1 - Math.abs((x - centre + 0.5) / support)));
    const sum = shares.reduce((total, share) => total + share, 0);
    found.push({from, weights: Int32Array.from(shares, (share) => Math.trunc(0.5 + (share / sum) * (1 << PRECISION)))});
  }
  return found;
}

// Squash pixels that come in bands of rows. `wide` and `high` are the part of the pixels that the photo covers.
// Each of the two passes rounds to 8 bits, so their order matters. Pillow before 13 always takes columns first. Pillow
// 13 takes rows first where much more is shrunk from top to bottom than from left to right.
function squasher(width, height, size, wide, high) {
  const columns = weightsOf(width, wide, size), rows = weightsOf(height, high, size);
  return scaling.rowsFirst && height - size > 2 * Math.max(width - size, 0) ? rowsFirst(width, size, columns, rows)
    : columnsFirst(width, height, size, columns, rows);
}

function columnsFirst(width, height, size, columns, rows) {
  const half = new Uint8ClampedArray(height * size * 3), line = 3 * size;
  function push(pixels, channels, first, count) {
    for (let y = 0; y < count; y++) squashRow(pixels, channels, channels * width * y, columns, half, line * (first + y));
  }
  function finish() {
    const square = new Uint8ClampedArray(line * size);
    rows.forEach(({from, weights}, y) => {
      for (let x = 0; x < line; x++) {
        let sum = 1 << (PRECISION - 1);
        for (let k = 0; k < weights.length; k++) sum += half[(from + k) * line + x] * weights[k];
        square[y * line + x] = sum >> PRECISION;
      }
    });
    return square;
  }
  return {push, finish};
}

function rowsFirst(width, size, columns, rows) {
  const sums = new Int32Array(3 * width * size).fill(1 << (PRECISION - 1));
  let start = 0;
  function add(pixels, channels, row, y) {
    while (start < size && rows[start].from + rows[start].weights.length <= y) start += 1;
    for (let k = start; k < size && rows[k].from <= y; k++) {
      const weight = rows[k].weights[y - rows[k].from];
      let out = 3 * width * k;
      for (let x = 0, at = row; x < width; x++, at += channels, out += 3) {
        sums[out] += pixels[at] * weight;
        sums[out + 1] += pixels[at + 1] * weight;
        sums[out + 2] += pixels[at + 2] * weight;
      }
    }
  }
  function push(pixels, channels, first, count) {
    for (let y = 0; y < count; y++) add(pixels, channels, channels * width * y, first + y);
  }
  function finish() {
    const half = Uint8ClampedArray.from(sums, (sum) => sum >> PRECISION), square = new Uint8ClampedArray(3 * size * size);
    for (let y = 0; y < size; y++) squashRow(half, 3, 3 * width * y, columns, square, 3 * size * y);
    return square;
  }
  return {push, finish};
}

function squashRow(pixels, channels, row, columns, into, out) {
  for (const {from, weights} of columns) {
    let r = 1 << (PRECISION - 1), g = r, b = r, at = row + channels * from;
    for (let k = 0; k < weights.length; k++, at += channels) {
      const weight = weights[k];
      r += pixels[at] * weight;
      g += pixels[at + 1] * weight;
      b += pixels[at + 2] * weight;
    }
    into[out++] = r >> PRECISION;
    into[out++] = g >> PRECISION;
    into[out++] = b >> PRECISION;
  }
}

// The square of a JPEG, decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 that is at least as large.
function squareOfJpeg(bytes, size) {
  const jpeg = parseJpeg(bytes), {width, height} = jpeg.frame;
  const room = Math.min(Math.floor(width / size), Math.floor(height / size));
  const by = [8, 4, 2].find((scale) => room >= scale) || 1;
  const squash = squasher(Math.ceil(width / by), Math.ceil(height / by), size, width / by, height / by);
  jpegRows(jpeg, 8 / by, (rgb, first, count) => squash.push(rgb, 3, first, count));
  return upright(squash.finish(), size, jpeg.orientation);
}

function squareOfPixels(pixels, channels, width, height, size) {
  const squash = squasher(width, height, size, width, height);
  squash.push(pixels, channels, 0, height);
  return squash.finish();
}

// Undo the orientation of Exif 2.32, table 6.
function upright(square, size, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return square;
  const turned = new Uint8ClampedArray(square.length), last = size - 1;
  const source = {
    2: (x, y) => [last - x, y], 3: (x, y) => [last - x, last - y], 4: (x, y) => [x, last - y], 5: (x, y) => [y, x],
    6: (x, y) => [y, last - x], 7: (x, y) => [last - y, last - x], 8: (x, y) => [last - y, x],
  }[orientation];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [sx, sy] = source(x, y), from = 3 * (sy * size + sx), to = 3 * (y * size + x);
      turned[to] = square[from];
      turned[to + 1] = square[from + 1];
      turned[to + 2] = square[from + 2];
    }
  }
  return turned;
}
