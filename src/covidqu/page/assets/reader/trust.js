/* What of a picture says that its reading should not be trusted: the arithmetic of reading/signs.py and reading/trust.py,
   name by name; texts, limits and arrays come from there. */
"use strict";
const BLOCKS = 16;
const [HASH_PX, HASH_SIDE] = [64, 16];
const [BLACK, WHITE] = [3, 252];
const FLAT = 1e-3;
const FAR = { features: "unlike-features", layout: "unlike-layout" };
const TURNS = ["inverted", "upside_down", "turned_left", "turned_right", "mirrored"];

const sum = (values) => values.reduce((a, b) => a + b, 0);
const positive = (logits) => logits.map((value) => (value > 0 ? 1 : 0)); // of a typed array: its own type

/* (P, P) logits of each seed -> their mean. */
function meanOf(logits) {
  const total = new Float64Array(logits[0].length);
  for (const one of logits) for (let k = 0; k < total.length; k++) total[k] += one[k];
  return Float32Array.from(total, (value) => value / logits.length);
}

/* Mean of (P, P) values in blocks x blocks squares. */
function blockMeans(image, blocks) {
  const px = Math.sqrt(image.length);
  const side = px / blocks;
  const out = new Float64Array(blocks * blocks);
  for (let y = 0; y < px; y++) for (let x = 0; x < px; x++) out[Math.floor(y / side) * blocks + Math.floor(x / side)] += image[y * px + x];
  return out.map((value) => Math.fround(value / side / side));
}

function thumbnail(picture) {
  const small = blockMeans(picture, BLOCKS);
  const mean = sum(small) / small.length;
  const rest = small.map((value) => value - mean);
  const norm = Math.sqrt(sum(rest.map((value) => value * value)));
  return rest.map((value) => (norm > FLAT ? value / norm : 0));
}

/* 256 bits: each of the lowest DCT terms against their median. */
function pictureHash(picture) {
  const small = blockMeans(picture, HASH_PX);
  const cosine = (k, x) => Math.cos((Math.PI * k * (2 * x + 1)) / (2 * HASH_PX)) * Math.sqrt((k ? 2 : 1) / HASH_PX);
  const terms = Array.from({ length: HASH_SIDE }, (_, k) => Float64Array.from({ length: HASH_PX }, (__, x) => cosine(k, x)));
  const half = terms.map((term) => Float64Array.from({ length: HASH_PX }, (_, x) => sum(term.map((c, y) => c * small[y * HASH_PX + x]))));
  const low = half.flatMap((line) => terms.map((term) => sum(term.map((c, x) => c * line[x]))));
  const median = low.slice(1).sort((a, b) => a - b)[(low.length - 2) / 2];
  const out = new Uint8Array(low.length / 8);
  low.forEach((value, k) => { if (value > median) out[k >> 3] |= 128 >> (k & 7); });
  return out;
}

/* {vectors, hash, values}; `square` (256 x 256) uint8, `all`: outputs of each seed, `size`: [height, width] as it came. */
function signs(square, all, size) {
  const vectors = { layout: thumbnail(square) };
  const values = { ...ofPicture(square), pixels: Math.min(...size) };
  const having = (name) => all.filter((one) => name in one).map((one) => one[name]);
  const [lungs, infections] = [having("lung"), having("infection")];
  if (lungs.length) {
    const lung = positive(meanOf(lungs));
    vectors.layout = Float64Array.of(...vectors.layout, ...thumbnail(lung));
    Object.assign(values, ofLungs(lung));
    if (infections.length) {
      const infection = positive(meanOf(infections));
      values.outside = sum(infection.map((one, k) => one && !lung[k])) / lung.length;
    }
  }
  if (all[0].features) vectors.features = Float64Array.from(all[0].features, (value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
  if (all.length > 1) Object.assign(values, ofSeeds(lungs.map(positive), infections.map(positive), having("class")));
  return { vectors, hash: pictureHash(square), values };
}

function ofPicture(picture) {
  const px = Math.sqrt(picture.length);
  const differences = (stride, from) => { // mean first and second difference along one axis
    let [first, second, count] = [0, 0, 0];
    for (let y = from[1]; y < px - from[1]; y++) {
      for (let x = from[0]; x < px - from[0]; x++, count++) {
        const at = y * px + x;
        first += Math.abs(picture[at + stride] - picture[at - stride]);
        second += Math.abs(picture[at + stride] - 2 * picture[at] + picture[at - stride]);
      }
    }
    return [first / count, second / count];
  };
  const [across, down] = [differences(1, [1, 0]), differences(px, [0, 1])];
  const [first, second] = [across[0] + down[0], across[1] + down[1]];
  const mean = sum(picture) / picture.length;
  let [square, extreme] = [0, 0];
  for (const value of picture) {
    square += (value - mean) ** 2;
    extreme += value < BLACK || value > WHITE;
  }
  return { spread: Math.sqrt(square / picture.length), extreme: extreme / picture.length, detail: first > 0 ? second / first : 0 };
}

function ofLungs(lung) {
  const px = Math.sqrt(lung.length);
  const columns = new Float64Array(px);
  const rows = new Float64Array(px);
  lung.forEach((one, k) => {
    columns[k % px] += one;
    rows[Math.floor(k / px)] += one;
  });
  const area = sum(columns);
  if (!area) return { lung_area: 0 };
  const some = (one) => one > 0;
  const [left, right] = [columns.findIndex(some), columns.findLastIndex(some)];
  const height = rows.findLastIndex(some) - rows.findIndex(some) + 1;
  const middle = Math.floor((left + right + 1) / 2);
  const tenth = Math.max(1, Math.floor((right - left + 1) / 20));
  const halves = [sum(columns.subarray(0, middle)), sum(columns.subarray(middle))];
  const between = columns.subarray(middle - Math.min(tenth, middle), middle + tenth);
  return {
    lung_area: area / lung.length,
    lung_sides: Math.min(...halves) / Math.max(...halves),
    lung_bridge: sum(between) / (between.length * height),
  };
}

function ofSeeds(lungs, infections, classes) {
  const areas = (masks) => { // pixels of any seed, and of all
    let [any, every] = [0, 0];
    for (let k = 0; k < masks[0].length; k++) {
      let count = 0;
      for (const mask of masks) count += mask[k];
      any += count > 0;
      every += count === masks.length;
    }
    return [any, every];
  };
  const values = {};
  let anyLung = 0;
  if (lungs.length) {
    const [any, every] = areas(lungs);
    anyLung = any;
    values.seeds_lungs = 1 - every / Math.max(any, 1);
  }
  if (infections.length) {
    const [any, every] = areas(infections);
    values.seeds_infection = (any - every) / (anyLung || infections[0].length);
  }
  const best = (logits) => (logits.length > 1 ? logits.indexOf(Math.max(...logits)) : Number(logits[0] > 0));
  if (classes.length) values.seeds_class = new Set(classes.map(best)).size - 1;
  return values;
}

/* ---- against what the bundle holds ---- */
function distance(vector, name, arrays) { // `whitening` is lower triangular
  const [mean, whitening] = ["mean", "whitening"].map((key) => arrays[`${name}_${key}`].values);
  const count = vector.length;
  const whitened = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    const rest = vector[k] - mean[k];
    for (let j = 0; j <= k; j++) whitened[j] += rest * whitening[k * count + j];
  }
  return Math.sqrt(sum(whitened.map((value) => value * value)) / count);
}

function measured({ vectors, hash, values }, arrays, limits) {
  const found = { ...values };
  for (const [name, vector] of Object.entries(vectors)) if (`${name}_mean` in arrays) found[`far_${name}`] = distance(vector, name, arrays);
  const turns = arrays.turns?.values;
  const one = [...vectors.layout, 1];
  if (turns) TURNS.forEach((name, j) => { found[name] = sum(one.map((value, k) => value * turns[k * TURNS.length + j])); });
  if (arrays.hashes) found.copy_bits = nearest(hash, arrays).bits;
  found.foreign = Object.entries(FAR).filter(([name, code]) => code in limits && found[`far_${name}`] > limits[code].limit).length;
  return found;
}

function nearest(hash, { hashes }) { // the training image with the most similar hash
  let best = { bits: Infinity, place: -1 };
  for (let start = 0; start < hashes.values.length; start += hash.length) {
    let bits = 0;
    for (let k = 0; k < hash.length; k++) for (let rest = hash[k] ^ hashes.values[start + k]; rest; rest &= rest - 1) bits++;
    if (bits < best.bits) best = { bits, place: start / hash.length };
  }
  return best;
}

/* [{code, text, value, limit}] in the order of `checks`: [{code, value, side, text}]. Of inverted, turned and mirrored
   only what is plainest. */
function warnings(values, checks, limits) {
  const beyond = ({ code, value, side }) => code in limits && value in values
    && (side === "above" ? values[value] > limits[code].limit : values[value] < limits[code].limit);
  const found = checks.filter(beyond).map(({ code, value, text }) => ({ code, text, value: values[value], limit: limits[code].limit, of: value }));
  const excess = (one) => one.value - one.limit;
  const changed = found.filter(({ of }) => TURNS.includes(of));
  const plainest = changed.reduce((best, one) => (!best || excess(one) > excess(best) ? one : best), null);
  return found.filter((one) => !changed.includes(one) || one === plainest).map(({ of, ...rest }) => rest);
}
