/* Sizes, as OpenCV changes them: what the data set and the pipeline did to an image, so that numbers agree. */
"use strict";

const even = (value) => { // to the nearest whole number, a half to the even one
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
};

/* Share of each source pixel in each target pixel along one axis: [[source, weight], ...] each (INTER_AREA, shrinking). */
function areas(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, k) => {
    const [start, end] = [k * scale, Math.min((k + 1) * scale, from)];
    const parts = [];
    for (let at = Math.floor(start); at < end - 1e-3; at++) {
      const part = Math.min(at + 1, end) - Math.max(at, start);
      if (part > 1e-3) parts.push([at, part / Math.min(scale, from - start)]);
    }
    return parts;
  });
}

/* Both neighbours of each target pixel along one axis: [low, high, weight of high] (INTER_LINEAR). */
function neighbours(from, to) {
  return Array.from({ length: to }, (_, k) => {
    const place = Math.fround((k + 0.5) * (from / to) - 0.5);
    const low = Math.floor(place);
    if (low < 0) return [0, 0, 0];
    if (low >= from - 1) return [from - 1, from - 1, 0];
    return [low, low + 1, Math.fround(place - low)];
  });
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
  const line = new Float32Array(wide);
  const sum = new Float32Array(wide);
  rows.forEach((parts, y) => {
    sum.fill(0);
    for (const [row, share] of parts) {
      const start = row * width;
      for (let x = 0; x < wide; x++) {
        let value = 0;
        for (const [column, part] of columns[x]) value += pixels[start + column] * part;
        line[x] = value;
      }
      for (let x = 0; x < wide; x++) sum[x] += line[x] * share;
    }
    for (let x = 0; x < wide; x++) out[y * wide + x] = twice ? Math.floor(sum[x] + 0.5) : even(sum[x]);
  });
  return out;
}

function grown(pixels, width, height, wide, tall) { // weights of 11 bits, as OpenCV has them for bytes
  const out = new Uint8Array(wide * tall);
  const fixed = (axis) => axis.map(([low, high, share]) => [low, high, 2048 - even(2048 * share), even(2048 * share)]);
  const columns = fixed(neighbours(width, wide));
  fixed(neighbours(height, tall)).forEach(([above, below, a, b], y) => {
    for (let x = 0; x < wide; x++) {
      const [left, right, l, r] = columns[x];
      const top = pixels[above * width + left] * l + pixels[above * width + right] * r;
      const bottom = pixels[below * width + left] * l + pixels[below * width + right] * r;
      out[y * wide + x] = (((a * (top >> 4)) >> 16) + ((b * (bottom >> 4)) >> 16) + 2) >> 2;
    }
  });
  return out;
}

/* Logits (side, side) at the picture's own size, row by row: `each(value, x, y)`. */
function enlarged(logits, side, width, height, each) {
  const columns = neighbours(side, width);
  neighbours(side, height).forEach(([above, below, share], y) => {
    for (let x = 0; x < width; x++) {
      const [left, right, part] = columns[x];
      const top = logits[above * side + left] * (1 - part) + logits[above * side + right] * part;
      const bottom = logits[below * side + left] * (1 - part) + logits[below * side + right] * part;
      each(top * (1 - share) + bottom * share, x, y);
    }
  });
}
