/* Window and level of grey values: the page and what it keeps look alike. */
"use strict";

/* `look`: {level, width} in grey values of 0 to 255. */
function windowedPixels(pixels, { level, width }) {
  const table = Uint8Array.from({ length: 256 }, (_, value) => Math.max(0, Math.min(255, Math.round(255 * ((value - level) / width + 0.5)))));
  return pixels.map((value) => table[value]);
}
