/* The line where logits are 0: marching squares between the middles of pixels, as SVG path data.
   Coordinates are those of the square [0, 1]; along the border of the square a region is closed. */
"use strict";

/* (side, side) logits -> closed rings [[x, y], ...]. */
function rings(logits, side) {
  const wide = side + 2; // a border outside of every region
  const field = new Float32Array(wide * wide).fill(-1e-6);
  for (let y = 0; y < side; y++) field.set(logits.subarray(y * side, (y + 1) * side), (y + 1) * wide + 1);
  const place = (k) => Math.max(0, Math.min(side, k - 0.5)) / side; // of the middle of column k of `field`
  const point = (a, b) => { // where the field is 0 between two neighbours
    const share = field[a] / (field[a] - field[b]);
    const [ax, ay, bx, by] = [a % wide, Math.floor(a / wide), b % wide, Math.floor(b / wide)];
    return [place(ax + share * (bx - ax)), place(ay + share * (by - ay))];
  };
  const name = (a, b) => (a < b ? a * 2 + (b - a === 1 ? 0 : 1) : name(b, a)); // one number an edge
  const next = new Map(); // edge -> the edge that the line goes on to; the inside is on its right
  const ends = new Map(); // edge -> its two pixels
  const link = (from, to) => {
    next.set(name(...from), name(...to));
    ends.set(name(...from), from);
  };
  for (let y = 0; y < wide - 1; y++) {
    for (let x = 0; x < wide - 1; x++) {
      const a = y * wide + x;
      const [b, c, d] = [a + 1, a + wide + 1, a + wide];
      const kind = (field[a] > 0) + 2 * (field[b] > 0) + 4 * (field[c] > 0) + 8 * (field[d] > 0);
      if (kind === 0 || kind === 15) continue;
      const [top, right, bottom, left] = [[a, b], [b, c], [d, c], [a, d]];
      const joined = field[a] + field[b] + field[c] + field[d] > 0; // of two opposite corners
      switch (kind) {
        case 1: link(top, left); break;
        case 2: link(right, top); break;
        case 3: link(right, left); break;
        case 4: link(bottom, right); break;
        case 5: if (joined) { link(top, right); link(bottom, left); } else { link(top, left); link(bottom, right); } break;
        case 6: link(bottom, top); break;
        case 7: link(bottom, left); break;
        case 8: link(left, bottom); break;
        case 9: link(top, bottom); break;
        case 10: if (joined) { link(right, bottom); link(left, top); } else { link(right, top); link(left, bottom); } break;
        case 11: link(right, bottom); break;
        case 12: link(left, right); break;
        case 13: link(top, right); break;
        case 14: link(left, top); break;
      }
    }
  }
  const found = [];
  while (next.size) {
    const ring = [];
    for (let edge = next.keys().next().value; next.has(edge); ) {
      ring.push(point(...ends.get(edge)));
      const after = next.get(edge);
      next.delete(edge);
      edge = after;
    }
    found.push(ring);
  }
  return found;
}

/* Path data at a size; `box` [top, left, bottom, right] is the part of the picture that was read. */
function pathData(all, [top, left, bottom, right]) {
  const at = ([x, y]) => `${(left + x * (right - left)).toFixed(2)} ${(top + y * (bottom - top)).toFixed(2)}`;
  return all.map((ring) => `M${ring.map(at).join("L")}Z`).join("");
}
