/* Sizes, as OpenCV changes them: what the data set and the pipeline did to an image, so that numbers agree. */
"use strict";

const even = (value) => { // to the nearest whole number, a half to the even one
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
};

/* Share of each source pixel in each target pixel along one axis (INTER_AREA, shrinking): target k has the sources
   first[k], first[k] + 1, ... with the weights from start[k] to start[k + 1]. */
function areas(from, to) {
  const scale = from / to;
  const [first, start, weights] = [new Int32Array(to), new Int32Array(to + 1), []];
  for (let k = 0; k < to; k++) {
    const [low, high] = [k * scale, Math.min((k + 1) * scale, from)];
    first[k] = Math.floor(low);
    for (let at = first[k]; at < high - 1e-3; at++) {
      const part = Math.min(at + 1, high) - Math.max(at, low);
      if (part > 1e-3) weights.push(part / Math.min(scale, from - low));
      else first[k]++; // only the first can be that small
    }
    start[k + 1] = weights.length;
  }
  return { first, start, weights: Float64Array.from(weights) };
}

/* Both neighbours of each target pixel along one axis, and the weight of the higher (INTER_LINEAR). */
function neighbours(from, to) {
  const [low, high, share] = [new Int32Array(to), new Int32Array(to), new Float64Array(to)];
  for (let k = 0; k < to; k++) {
    const place = Math.max(0, Math.min(from - 1, Math.fround((k + 0.5) * (from / to) - 0.5)));
    low[k] = Math.floor(place);
    high[k] = Math.min(low[k] + 1, from - 1);
    share[k] = Math.fround(place - low[k]);
  }
  return { low, high, share };
}

/* (height, width) uint8 -> (px, px) uint8: area average along a side that shrinks, bilinear along one that grows. */
function squared(pixels, width, height, px) {
  const [wide, tall] = [Math.min(width, px), Math.min(height, px)];
  const small = wide < width || tall < height ? shrunk(pixels, width, height, wide, tall) : pixels;
  return wide < px || tall < px ? grown(small, wide, tall, px, px) : small;
}

/* The part of a picture within `box`. */
function within(pixels, width, [top, left, bottom, right]) {
  const out = new Uint8Array((bottom - top) * (right - left));
  for (let y = top; y < bottom; y++) out.set(pixels.subarray(y * width + left, y * width + right), (y - top) * (right - left));
  return out;
}

function shrunk(pixels, width, height, wide, tall) {
  const out = new Uint8Array(wide * tall);
  const [columns, rows] = [areas(width, wide), areas(height, tall)];
  const twice = width === 2 * wide && height === 2 * tall; // OpenCV rounds a half up here
  const total = new Float32Array(wide);
  for (let y = 0; y < tall; y++) {
    total.fill(0);
    for (let j = rows.start[y]; j < rows.start[y + 1]; j++) {
      const line = (rows.first[y] + j - rows.start[y]) * width;
      for (let x = 0; x < wide; x++) {
        let value = 0;
        let at = line + columns.first[x];
        for (let k = columns.start[x]; k < columns.start[x + 1]; k++, at++) value += pixels[at] * columns.weights[k];
        total[x] += Math.fround(value) * rows.weights[j];
      }
    }
    for (let x = 0; x < wide; x++) out[y * wide + x] = twice ? Math.floor(total[x] + 0.5) : even(total[x]);
  }
  return out;
}

function grown(pixels, width, height, wide, tall) { // weights of 11 bits, as OpenCV has them for bytes
  const out = new Uint8Array(wide * tall);
  const [columns, rows] = [neighbours(width, wide), neighbours(height, tall)];
  for (let y = 0; y < tall; y++) {
    const [above, below, b] = [rows.low[y] * width, rows.high[y] * width, even(2048 * rows.share[y])];
    for (let x = 0; x < wide; x++) {
      const [left, right, r] = [columns.low[x], columns.high[x], even(2048 * columns.share[x])];
      const top = pixels[above + left] * (2048 - r) + pixels[above + right] * r;
      const bottom = pixels[below + left] * (2048 - r) + pixels[below + right] * r;
      out[y * wide + x] = ((((2048 - b) * (top >> 4)) >> 16) + ((b * (bottom >> 4)) >> 16) + 2) >> 2;
    }
  }
  return out;
}

/* (side, side) logits -> (height, width) 1 where they are above 0, bilinear at that size. */
function above(logits, side, width, height) {
  const out = new Uint8Array(width * height);
  const [columns, rows] = [neighbours(side, width), neighbours(side, height)];
  const line = new Float64Array(side); // between two rows of logits
  for (let y = 0, at = 0; y < height; y++) {
    const [high, low, share] = [rows.low[y] * side, rows.high[y] * side, rows.share[y]];
    for (let x = 0; x < side; x++) line[x] = logits[high + x] * (1 - share) + logits[low + x] * share;
    for (let x = 0; x < width; x++, at++) {
      const part = columns.share[x];
      if (line[columns.low[x]] * (1 - part) + line[columns.high[x]] * part > 0) out[at] = 1;
    }
  }
  return out;
}
