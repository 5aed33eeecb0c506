/* What the networks gave, in numbers: the arithmetic and the names of reading/reading.py, which writes the same JSON. */
"use strict";
const DATA_PX = 256; // a side of the data set's images
const MASKS = ["lung", "infection"];
const SIDES = ["both", "image_left", "image_right"];
const VALLEY = 0.5; // of the lungs' greatest height: where columns between them have less, two lungs are told apart

/* Mean logits of the seeds, of each task that the run has. */
function combined(all) {
  const tasks = MASKS.filter((task) => task in all[0]);
  return Object.fromEntries(tasks.map((task) => [task, meanOf(all.map((one) => one[task]))]));
}

/* (H, W) 1 where logits are above 0 at the picture's size, nothing outside of `box`. */
function masked(logits, side, { width, height, box: [top, left, bottom, right] }) {
  const wide = right - left;
  const inside = above(logits, side, wide, bottom - top);
  if (inside.length === width * height) return inside;
  const out = new Uint8Array(width * height);
  for (let y = top; y < bottom; y++) out.set(inside.subarray((y - top) * wide, (y - top + 1) * wide), y * width + left);
  return out;
}

/* Masks (H, W), `width` W -> [pixels of each by side, share of the lung's pixels that are infected by side]. */
function counted(masks, width) {
  const some = masks.lung ?? masks.infection;
  if (!some) return [{}, {}];
  const middle = midline(heights(some, width));
  const bySide = (mask) => {
    const columns = heights(mask, width);
    const [left, right] = [sum(columns.subarray(0, middle)), sum(columns.subarray(middle))];
    return { both: left + right, image_left: left, image_right: right };
  };
  const pixels = Object.fromEntries(Object.entries(masks).map(([task, mask]) => [task, bySide(mask)]));
  if (!masks.lung || !masks.infection) return [pixels, {}];
  const inside = new Uint8Array(masks.lung.length);
  for (let k = 0; k < inside.length; k++) inside[k] = masks.lung[k] & masks.infection[k];
  pixels.infection_in_lung = bySide(inside);
  const share = (side) => (pixels.lung[side] ? pixels.infection_in_lung[side] / pixels.lung[side] : null);
  return [pixels, Object.fromEntries(SIDES.map((side) => [side, share(side)]))];
}

function heights(mask, width) { // pixels in each column
  const out = new Float64Array(width);
  for (let start = 0; start < mask.length; start += width) for (let x = 0; x < width; x++) out[x] += mask[start + x];
  return out;
}

/* The column where the lung at the image's left ends and that at its right begins: between two lungs the one with the
   fewest pixels of lung; where there is no such valley, the middle of the picture. */
function midline(columns) {
  const width = columns.length;
  const some = (value) => value > 0;
  const [first, last] = [columns.findIndex(some), columns.findLastIndex(some) + 1];
  if (first < 0) return Math.floor(width / 2);
  const quarter = Math.floor((last - first) / 4);
  const [start, end] = [first + quarter, last - quarter];
  const inner = columns.subarray(start, end);
  const least = Math.min(...inner);
  const lowest = [...inner.keys()].filter((k) => inner[k] === least);
  const beside = Math.min(Math.max(0, ...columns.subarray(first, start)), Math.max(0, ...columns.subarray(end, last)));
  return least < VALLEY * beside ? start + lowest[Math.floor(lowest.length / 2)] : Math.floor(width / 2);
}

/* Class logits of each seed -> class -> mean probability at the bundle's temperature. */
function probabilities(logits) {
  const each = logits.map((one) => softmax(one.length > 1 ? [...one] : [0, one[0]]));
  const names = each[0].map((_, place) => Object.keys(bundle.classes).filter((label) => bundle.classes[label] === place).join(" or "));
  return Object.fromEntries(names.map((name, place) => [name, sum(each.map((one) => one[place])) / each.length]));
}

function softmax(logits) {
  const scaled = logits.map((value) => value / bundle.temperature);
  const powers = scaled.map((value) => Math.exp(value - Math.max(...scaled)));
  return powers.map((value) => value / sum(powers));
}

/* What each seed says alone, and the smallest Dice between the masks of two. */
function disagreement(all) {
  const tasks = MASKS.filter((task) => task in all[0]);
  const masks = all.map((one) => Object.fromEntries(tasks.map((task) => [task, Uint8Array.from(positive(one[task]))])));
  const pairs = masks.flatMap((one, k) => masks.slice(k + 1).map((other) => [one, other]));
  const least = (task) => (pairs.length ? Math.min(...pairs.map(([one, other]) => dice(one[task], other[task]))) : null);
  return {
    seed: bundle.networks.map(({ seed }) => seed),
    infected_share_of_lung: tasks.length === 2 ? masks.map((own) => counted(own, bundle.output_px)[1].both) : [],
    probabilities: "class" in all[0] ? all.map((one) => probabilities([one.class])) : [],
    dice: Object.fromEntries(tasks.map((task) => [task, least(task)])),
  };
}

function dice(one, other) {
  let [both, total] = [0, 0];
  one.forEach((value, k) => {
    both += value & other[k];
    total += value + other[k];
  });
  return total ? (2 * both) / total : 1;
}

function doubted(opened, square, all) { // in the file's header, then in its pixels and the outputs
  const said = opened.doubts.map(([code, text]) => ({ code, text, value: null, limit: null }));
  if (!Object.keys(bundle.trust).length) {
    return [...said, { code: "no-limits", text: "this model comes without limits, so nothing else is said about when not to trust it", value: null, limit: null }];
  }
  const [top, left, bottom, right] = opened.box;
  const values = measured(signs(square, all, [bottom - top, right - left]), bundle.arrays, bundle.trust);
  return [...said, ...warnings(values, bundle.checks, bundle.trust)];
}

/* The reading of one picture; `square` (256 x 256), `all`: outputs of each seed, `logits`: their mean. */
function interpreted(name, opened, square, all, logits) {
  for (const one of all) for (const [key, values] of Object.entries(one)) {
    if (!values.every(Number.isFinite)) throw new Unreadable(`the network gives nan or infinity (${key}); its weights are bad`);
  }
  const [top, left, bottom, right] = opened.box;
  const masks = Object.fromEntries(Object.entries(logits).map(([task, values]) => [task, masked(values, bundle.output_px, opened)]));
  const [pixels, shares] = counted(masks, opened.width);
  return {
    use: bundle.notice,
    input: { name, sha256: opened.sha256, kind: opened.format, height: opened.height, width: opened.width, read: { top, left, bottom, right }, notes: opened.notes },
    warnings: doubted(opened, square, all),
    infected_share_of_lung: shares,
    pixels,
    probabilities: "class" in all[0] ? probabilities(all.map((one) => one.class)) : {},
    seeds: disagreement(all),
    model: { name: bundle.name, run: bundle.run, system: bundle.system, sha256: bundle.sha256, members: bundle.networks.map(({ seed, sha256: file, weights_sha256 }) => ({ seed, sha256: file, weights_sha256 })) },
    versions: { covidqu: bundle.covidqu_built, "onnxruntime-web": ort.env.versions.web, browser: navigator.userAgent },
  };
}
