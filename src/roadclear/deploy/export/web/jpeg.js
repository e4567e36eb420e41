// JPEG decoder that gives the pixels of libjpeg-turbo, also at its reduced scales of 1/2, 1/4 and 1/8.
//
// Browsers decode a photo at its full size and scale the photo by rules of their own. Then the pixels differ from those
// that the model was tested on. The decoder follows ITU-T T.81. Reduced scales follow libjpeg: means of neighbouring
// samples, taken inside the inverse DCT, and chroma that keeps its own resolution.
"use strict";

const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63);
const FAST_BITS = 9;

function isJpeg(bytes) {
  return bytes.length > 3 && bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

// Parse a JPEG into coefficients. Throws an Error for what it does not decode: CMYK, 12 bits, arithmetic coding.
function parseJpeg(bytes) {
  const jpeg = {quant: [], dc: [], ac: [], restart: 0, orientation: 1, adobe: -1, jfif: false, frame: null};
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) throw new Error("a marker is missing");
    const marker = bytes[at + 1];
    if (marker === 0xff) { at += 1; continue; }
    if (marker === 0xd9) break;
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    const start = at + 4, end = at + 2 + length;
    if (length < 2 || end > bytes.length) throw new Error("the file ends too early");
    const part = bytes.subarray(start, end);
    at = end;
    if (marker === 0xdb) readQuantization(jpeg, part);
    else if (marker === 0xc4) readHuffman(jpeg, part);
    else if (marker === 0xdd) jpeg.restart = (part[0] << 8) | part[1];
    else if (marker === 0xe0 && text(part, 0, 4) === "JFIF") jpeg.jfif = true;
    else if (marker === 0xe1 && text(part, 0, 4) === "Exif") jpeg.orientation = readOrientation(part.subarray(6));
    else if (marker === 0xee && text(part, 0, 5) === "Adobe") jpeg.adobe = part[11];
    else if (marker >= 0xc0 && marker <= 0xc2) readFrame(jpeg, part, marker === 0xc2);
    else if (marker > 0xc2 && marker < 0xd0 && marker !== 0xc8 && marker !== 0xcc) throw new Error("not a usual JPEG");
    else if (marker === 0xda) at = readScan(jpeg, part, bytes, end);
  }
  if (jpeg.frame === null) throw new Error("no picture");
  return jpeg;
}

function text(bytes, from, length) {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

function readQuantization(jpeg, part) {
  for (let at = 0; at < part.length;) {
    const head = part[at++], table = new Int32Array(64);
    for (let k = 0; k < 64; k++) {
      table[ZIGZAG[k]] = head >> 4 ? (part[at] << 8) | part[at + 1] : part[at];
      at += head >> 4 ? 2 : 1;
    }
    jpeg.quant[head & 15] = table;
  }
}

function readHuffman(jpeg, part) {
  for (let at = 0; at < part.length;) {
    const head = part[at], counts = part.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const symbols = part.subarray(at + 17, at + 17 + total);
    (head >> 4 ? jpeg.ac : jpeg.dc)[head & 15] = huffmanTable(counts, symbols);
    at += 17 + total;
  }
}

function huffmanTable(counts, symbols) {
  const fast = new Int16Array(1 << FAST_BITS).fill(-1), last = new Int32Array(18).fill(-1), first = new Int32Array(17);
  let code = 0, k = 0;
  for (let length = 1; length <= 16; length++) {
    first[length] = k - code;
    for (let i = 0; i < counts[length - 1]; i++, k++, code++) {
      if (length > FAST_BITS) continue;
      const spare = FAST_BITS - length;
      fast.fill((length << 8) | symbols[k], code << spare, (code + 1) << spare);
    }
    last[length] = counts[length - 1] ? code - 1 : -1;
    code <<= 1;
  }
  return {fast, last, first, symbols};
}

// Exif 2.32: tag 0x0112 of the first directory.
function readOrientation(exif) {
  if (exif.length < 14) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const little = view.getUint16(0) === 0x4949, directory = view.getUint32(4, little);
  if (directory + 2 > exif.length) return 1;
  const count = view.getUint16(directory, little);
  for (let k = 0, at = directory + 2; k < count && at + 12 <= exif.length; k++, at += 12) {
    if (view.getUint16(at, little) === 0x0112) return view.getUint16(at + 8, little);
  }
  return 1;
}

function readFrame(jpeg, part, progressive) {
  if (part[0] !== 8) throw new Error("not 8 bits a sample");
  const height = (part[1] << 8) | part[2], width = (part[3] << 8) | part[4], count = part[5];
  if (!(count === 1 || count === 3) || !width || !height) throw new Error("not grey and not of three colours");
  const components = [];
  for (let k = 0; k < count; k++) {
    const [id, sampling, tq] = part.subarray(6 + 3 * k, 9 + 3 * k);
    components.push({id, h: sampling >> 4, v: sampling & 15, tq, table: null, pred: 0});
  }
  const maxH = Math.max(...components.map((one) => one.h)), maxV = Math.max(...components.map((one) => one.v));
  if (components.some((one) => !one.h || !one.v || one.h > 4 || one.v > 4)) throw new Error("odd sampling");
  const across = Math.ceil(width / (8 * maxH)), down = Math.ceil(height / (8 * maxV));
  for (const one of components) {
    one.wide = Math.ceil(Math.ceil((width * one.h) / maxH) / 8);
    one.high = Math.ceil(Math.ceil((height * one.v) / maxV) / 8);
    one.stride = across * one.h;
    one.blocks = new Int16Array(64 * one.stride * down * one.v);
  }
  jpeg.frame = {width, height, components, maxH, maxV, across, down, progressive};
}

function readScan(jpeg, part, bytes, start) {
  const frame = jpeg.frame;
  if (frame === null) throw new Error("a scan before its frame");
  const count = part[0], chosen = [];
  for (let k = 0; k < count; k++) {
    const one = frame.components.find((each) => each.id === part[1 + 2 * k]);
    if (one === undefined) throw new Error("a scan of no component");
    one.dc = jpeg.dc[part[2 + 2 * k] >> 4];
    one.ac = jpeg.ac[part[2 + 2 * k] & 15];
    one.table = one.table || jpeg.quant[one.tq];
    chosen.push(one);
  }
  const from = part[1 + 2 * count], to = part[2 + 2 * count], high = part[3 + 2 * count] >> 4;
  const bits = bitReader(bytes, start);
  const decode = blockDecoder(bits, frame.progressive, from, to, high, part[3 + 2 * count] & 15);
  const single = count === 1, first = chosen[0];
  const total = single ? first.wide * first.high : frame.across * frame.down;
  for (let mcu = 0; mcu < total; mcu++) {
    if (jpeg.restart && mcu && mcu % jpeg.restart === 0) {
      bits.restart();
      decode.reset(chosen);
    } else if (mcu === 0) decode.reset(chosen);
    if (single) decode.block(first, 64 * (Math.floor(mcu / first.wide) * first.stride + (mcu % first.wide)));
    else for (const one of chosen) {
      const top = Math.floor(mcu / frame.across) * one.v, left = (mcu % frame.across) * one.h;
      for (let y = 0; y < one.v; y++) {
        for (let x = 0; x < one.h; x++) decode.block(one, 64 * ((top + y) * one.stride + left + x));
      }
    }
  }
  return bits.end();
}

function bitReader(bytes, start) {
  let at = start, buffer = 0, count = 0, missing = 0;
  function fill() {
    while (count <= 16) {
      let byte = 0;
      if (at < bytes.length && !(bytes[at] === 0xff && bytes[at + 1] !== 0)) {
        byte = bytes[at];
        at += byte === 0xff ? 2 : 1;
      } else if (++missing > 64) throw new Error("the file ends too early");
      buffer = ((buffer << 8) | byte) & 0xffffff;
      count += 8;
    }
  }
  function bitsOf(length) {
    if (length === 0) return 0;
    if (count < length) fill();
    count -= length;
    return (buffer >> count) & ((1 << length) - 1);
  }
  function symbol(table) {
    if (table === undefined) throw new Error("a table is missing");
    if (count < 16) fill();
    const hit = table.fast[(buffer >> (count - FAST_BITS)) & ((1 << FAST_BITS) - 1)];
    if (hit >= 0) {
      count -= hit >> 8;
      return hit & 255;
    }
    for (let length = FAST_BITS + 1; length <= 16; length++) {
      const code = (buffer >> (count - length)) & ((1 << length) - 1);
      if (code <= table.last[length]) {
        count -= length;
        return table.symbols[code + table.first[length]];
      }
    }
    throw new Error("a damaged code");
  }
  function extended(length) {
    const value = bitsOf(length);
    return length && value < 1 << (length - 1) ? value - (1 << length) + 1 : value;
  }
  function toMarker() {
    while (at + 1 < bytes.length && !(bytes[at] === 0xff && bytes[at + 1] !== 0 && bytes[at + 1] !== 0xff)) at += 1;
  }
  function restart() {
    toMarker();
    if (at + 1 < bytes.length && (bytes[at + 1] & 0xf8) === 0xd0) at += 2;
    buffer = count = missing = 0;
  }
  function end() {
    toMarker();
    return at;
  }
  return {bits: bitsOf, symbol, extended, restart, end};
}

// Decoders of one block by the kinds of T.81: sequential, and the four of progressive scans.
function blockDecoder(bits, progressive, from, to, high, low) {
  let run = 0;
  function reset(components) {
    run = 0;
    for (const one of components) one.pred = 0;
  }
  function sequential(one, at) {
    one.pred += bits.extended(bits.symbol(one.dc));
    one.blocks[at] = one.pred;
    for (let k = 1; k < 64; k++) {
      const code = bits.symbol(one.ac), size = code & 15;
      k += code >> 4;
      if (size) one.blocks[at + ZIGZAG[k & 63]] = bits.extended(size);
      else if (code >> 4 < 15) return;
    }
  }
  function dcFirst(one, at) {
    one.pred += bits.extended(bits.symbol(one.dc));
    one.blocks[at] = one.pred << low;
  }
  function dcRefine(one, at) {
    one.blocks[at] |= bits.bits(1) << low;
  }
  function acFirst(one, at) {
    if (run > 0) { run -= 1; return; }
    for (let k = from; k <= to; k++) {
      const code = bits.symbol(one.ac), size = code & 15, skip = code >> 4;
      if (size) {
        k += skip;
        one.blocks[at + ZIGZAG[k & 63]] = bits.extended(size) << low;
      } else if (skip < 15) {
        run = (1 << skip) + bits.bits(skip) - 1;
        return;
      } else k += 15;
    }
  }
  function refine(one, place) {
    const value = one.blocks[place];
    if (bits.bits(1) && !(Math.abs(value) & (1 << low))) one.blocks[place] += value > 0 ? 1 << low : -(1 << low);
  }
  function acRefine(one, at) {
    let k = from;
    if (run === 0) {
      for (; k <= to; k++) {
        const code = bits.symbol(one.ac);
        let skip = code >> 4, value = 0;
        if (code & 15) value = bits.bits(1) ? 1 << low : -(1 << low);
        else if (skip < 15) {
          run = (1 << skip) + bits.bits(skip);
          break;
        }
        for (; k <= to; k++) {
          const place = at + ZIGZAG[k];
          if (one.blocks[place] !== 0) refine(one, place);
          else if (skip-- === 0) {
            if (value) one.blocks[place] = value;
            break;
          }
        }
      }
    }
    if (run > 0) {
      for (; k <= to; k++) if (one.blocks[at + ZIGZAG[k]] !== 0) refine(one, at + ZIGZAG[k]);
      run -= 1;
    }
  }
  const refining = from === 0 ? dcRefine : acRefine, starting = from === 0 ? dcFirst : acFirst;
  return {reset, block: !progressive ? sequential : high ? refining : starting};
}

// The inverse DCT of 8 points by Loeffler, Ligtenberg and Moschytz (1989), times the root of 8, in 13-bit fixed point.
function inverse8(c) {
  const even = (c[2] + c[6]) * 4433, two = even - c[6] * 15137, three = even + c[2] * 6270;
  const sum = (c[0] + c[4]) * 8192, rest = (c[0] - c[4]) * 8192;
  const tens = [sum + three, rest + two, rest - two, sum - three];
  const five = (c[7] + c[3] + c[5] + c[1]) * 9633;
  const a = -(c[7] + c[1]) * 7373, b = -(c[5] + c[3]) * 20995;
  const d = five - (c[7] + c[3]) * 16069, e = five - (c[5] + c[1]) * 3196;
  const odd = [c[1] * 12299 + a + e, c[3] * 25172 + b + d, c[5] * 16819 + b + e, c[7] * 2446 + a + d];
  return [...tens.map((ten, k) => ten + odd[k]), ...tens.map((ten, k) => ten - odd[k]).reverse()];
}

// The inverse DCT as whole numbers, n rows of 8. Fewer rows are sums of 8 / n neighbours, rounded as libjpeg's constants.
function inverseRows(n) {
  const rows = new Float64Array(8 * n);
  for (let u = 0; u < 8; u++) {
    const unit = Array.from({length: 8}, (_, k) => Number(k === u)), whole = inverse8(unit);
    for (let i = 0; i < 8; i++) {
      const exact = 8192 * (u ? Math.SQRT2 * Math.cos(((2 * i + 1) * u * Math.PI) / 16) : 1);
      rows[8 * Math.floor((i * n) / 8) + u] += n === 8 ? whole[i] : exact;
    }
  }
  return rows.map(Math.round);
}

// Samples of a component, n x n a block: uint8. Columns first, with two more bits between, as libjpeg rounds.
function samplesOf(one, n) {
  const wide = one.stride * n, high = (one.blocks.length / 64 / one.stride) * n;
  const plane = new Uint8ClampedArray(wide * high), rows = inverseRows(n), half = new Float64Array(8 * n);
  const first = 2 ** 11 * (8 / n), second = 2 ** 18 * (8 / n), cells = new Float64Array(64);
  for (let block = 0; block < one.blocks.length / 64; block++) {
    const at = 64 * block, top = Math.floor(block / one.stride) * n, left = (block % one.stride) * n;
    let flat = true;
    for (let k = 0; k < 64; k++) {
      cells[k] = one.blocks[at + k] * one.table[k];
      flat = flat && (k === 0 || cells[k] === 0);
    }
    if (flat || n === 1) {
      const value = Math.floor(cells[0] / 8 + 0.5) + 128;
      for (let y = 0; y < n; y++) plane.fill(clamped(value), (top + y) * wide + left, (top + y) * wide + left + n);
      continue;
    }
    for (let u = 0; u < 8; u++) {
      for (let y = 0; y < n; y++) {
        let sum = 0;
        for (let v = 0; v < 8; v++) sum += rows[8 * y + v] * cells[8 * v + u];
        half[8 * y + u] = Math.floor(sum / first + 0.5);
      }
    }
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        let sum = 0;
        for (let u = 0; u < 8; u++) sum += rows[8 * x + u] * half[8 * y + u];
        plane[(top + y) * wide + left + x] = Math.floor(sum / second + 0.5) + 128;
      }
    }
  }
  return {plane, wide};
}

function clamped(value) {
  return Math.max(0, Math.min(255, value));
}

// Samples a block of a component at the scale n / 8: chroma of fewer samples keeps up to 8.
function samplesABlock(frame, one, n) {
  let size = n;
  while (size < 8 && (frame.maxH * n) % (one.h * size * 2) === 0 && (frame.maxV * n) % (one.v * size * 2) === 0) size *= 2;
  return size;
}

// One row of a component at the size of the picture: libjpeg's triangle filter, or copies for other ratios.
function enlargedRow(one, y, width, out) {
  const {plane, wide, across, down, high, narrow, smooth} = one;
  const near = Math.min(Math.floor(y / down), high - 1);
  if (across === 1 && down === 1) {
    out.set(plane.subarray(near * wide, near * wide + width));
  } else if (smooth && across === 2 && narrow > 2 && down <= 2) {
    const other = Math.max(0, Math.min(high - 1, y % 2 ? near + 1 : near - 1));
    const at = (x) => down === 2 ? 3 * plane[near * wide + x] + plane[other * wide + x] : plane[near * wide + x];
    const [shift, left, right] = down === 2 ? [4, 8, 7] : [2, 1, 2];
    for (let x = 0; 2 * x < width; x++) {
      const here = at(x), before = x ? at(x - 1) : here, after = x + 1 < narrow ? at(x + 1) : here;
      const edge = down === 2 ? [8, 7] : [2, 2];
      out[2 * x] = (3 * here + before + (x ? left : edge[0])) >> shift;
      if (2 * x + 1 < width) out[2 * x + 1] = (3 * here + after + (x + 1 < narrow ? right : edge[1])) >> shift;
    }
  } else if (smooth && across === 1 && down === 2) {
    const other = Math.max(0, Math.min(high - 1, y % 2 ? near + 1 : near - 1));
    for (let x = 0; x < width; x++) {
      out[x] = (3 * plane[near * wide + x] + plane[other * wide + x] + (y % 2 ? 2 : 1)) >> 2;
    }
  } else {
    for (let x = 0; x < width; x++) out[x] = plane[near * wide + Math.floor(x / across)];
  }
}

// Pixels of a parsed JPEG at the scale n / 8: calls rows(rgb, first, count) for bands of rows, uint8 RGB.
function jpegRows(jpeg, n, rows) {
  const frame = jpeg.frame, width = Math.ceil((frame.width * n) / 8), height = Math.ceil((frame.height * n) / 8);
  const planes = frame.components.map((one) => {
    const size = samplesABlock(frame, one, n);
    if (!one.table) throw new Error("a table is missing");
    return {
      ...samplesOf(one, size),
      across: (frame.maxH * n) / (one.h * size),
      down: (frame.maxV * n) / (one.v * size),
      narrow: Math.ceil((frame.width * one.h * size) / (frame.maxH * 8)),
      high: Math.ceil((frame.height * one.v * size) / (frame.maxV * 8)),
      smooth: n > 1,
    };
  });
  const band = 64, rgb = new Uint8ClampedArray(3 * width * band), lines = planes.map(() => new Uint8Array(width));
  const plain = frame.components.length === 3 && isRgb(jpeg);
  for (let first = 0; first < height; first += band) {
    const count = Math.min(band, height - first);
    for (let y = 0; y < count; y++) {
      planes.forEach((one, k) => enlargedRow(one, first + y, width, lines[k]));
      paintRow(lines, plain, rgb, 3 * width * y, width);
    }
    rows(rgb, first, count);
  }
}

function isRgb(jpeg) {
  if (jpeg.jfif) return false;
  if (jpeg.adobe >= 0) return jpeg.adobe === 0;
  return String.fromCharCode(...jpeg.frame.components.map((one) => one.id)) === "RGB";
}

// Y, Cb, Cr to RGB in 16-bit fixed point, as libjpeg.
function paintRow(lines, plain, rgb, at, width) {
  const [first, second, third] = lines.length === 3 ? lines : [lines[0], lines[0], lines[0]];
  for (let x = 0; x < width; x++, at += 3) {
    if (plain || lines.length === 1) {
      rgb[at] = first[x];
      rgb[at + 1] = second[x];
      rgb[at + 2] = third[x];
      continue;
    }
    const y = first[x], cb = second[x] - 128, cr = third[x] - 128;
    rgb[at] = y + ((91881 * cr + 32768) >> 16);
    rgb[at + 1] = y + ((-22554 * cb - 46802 * cr + 32768) >> 16);
    rgb[at + 2] = y + ((116130 * cb + 32768) >> 16);
  }
}
