/* What computes, away from the page: `ort` (ONNX Runtime Web) and the other scripts stand before this in one text.
   A message {id, ask, ...} is answered by {id, found} or {id, refused: words} or {id, broken: words}. */
"use strict";
const SHOWN_PX = 1600; // longer side of the picture on the screen
let bundle; // metadata.json, arrays and limits
let sessions = [];
const answers = { begin, read, draw };

self.onmessage = async ({ data }) => {
  try {
    const { found, moved = [] } = await answers[data.ask](data);
    self.postMessage({ id: data.id, found }, moved);
  } catch (error) {
    const key = error instanceof Unreadable ? "refused" : "broken";
    self.postMessage({ id: data.id, [key]: error instanceof Error ? error.message : String(error) });
  }
};

function bytesOf(text) { // base64
  const letters = atob(text);
  const out = new Uint8Array(letters.length);
  for (let k = 0; k < out.length; k++) out[k] = letters.charCodeAt(k);
  return out;
}

async function unpacked(text) { // base64 of gzip
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/* One thread: several need headers that neither a file nor every host has. */
async function begin({ engine, graphs, metadata }) {
  bundle = { ...metadata, arrays: {} };
  for (const [name, { type, text }] of Object.entries(metadata.arrays)) {
    const { buffer } = await unpacked(text);
    bundle.arrays[name] = { values: type === "uint8" ? new Uint8Array(buffer) : new Float32Array(buffer) };
  }
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: (await unpacked(engine)).buffer });
  ort.env.logLevel = "error";
  sessions = [];
  for (const graph of graphs) sessions.push(await ort.InferenceSession.create(await unpacked(graph), { executionProviders: ["wasm"] }));
  return { found: sessions.length };
}

/* (px, px) uint8 -> [{output: Float32Array}, ...], one per seed. */
async function outputs(image, px) {
  const all = [];
  for (const session of sessions) {
    const input = new ort.Tensor("uint8", image, [1, px, px]);
    const found = await session.run({ image: input });
    all.push(Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensor.data])));
  }
  return all;
}

async function read({ file, name }) {
  const started = performance.now();
  const opened = await picture(file);
  const [top, left, bottom, right] = opened.box;
  const square = squared(within(opened.pixels, opened.width, opened.box), right - left, bottom - top, DATA_PX);
  const all = await outputs(squared(square, DATA_PX, DATA_PX, bundle.image_px), bundle.image_px);
  const logits = combined(all, bundle.output_px);
  const reading = interpreted(name, opened, square, all, logits);
  const lines = Object.fromEntries(Object.entries(logits).map(([task, values]) => [task, pathData(rings(values, bundle.output_px), opened.box)]));
  const shown = display(opened);
  return {
    found: { reading, logits, lines, shown, seconds: (performance.now() - started) / 1000 },
    moved: [shown.pixels.buffer],
  };
}

function display({ pixels, width, height }) { // no larger than a screen has use for
  const scale = Math.min(1, SHOWN_PX / Math.max(width, height));
  const [wide, tall] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  return { pixels: scale < 1 ? shrunk(pixels, width, height, wide, tall) : pixels, width: wide, height: tall };
}

/* ---- what is kept: pictures of the original size ---- */
async function draw({ file, kind, logits, lines, look, words }) {
  const opened = await picture(file);
  const { pixels, width, height } = opened;
  const mask = kind in logits && masked(logits[kind], bundle.output_px, opened);
  const blob = mask ? await grey(mask.map((one) => 255 * one), width, height) : await overlay(pixels, width, height, lines, look, words);
  return { found: blob };
}

function image(values, width, height) {
  const data = new Uint8ClampedArray(4 * values.length);
  for (let k = 0, at = 0; k < values.length; k++, at += 4) {
    data[at] = data[at + 1] = data[at + 2] = values[k];
    data[at + 3] = 255;
  }
  return new ImageData(data, width, height);
}

function grey(values, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image(values, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/* The picture as it is looked at, with its outlines, below the first of `words` and above a legend and the others:
   a picture travels without its page. */
function overlay(pixels, width, height, lines, look, words) {
  const scale = Math.max(1, 640 / width); // so that the words can be read
  const [wide, tall] = [Math.round(width * scale), Math.round(height * scale)];
  const size = Math.max(13, Math.round(wide / 52));
  const top = Math.round(1.8 * size); // of the picture, below the words on its use
  const canvas = new OffscreenCanvas(wide, top + tall + Math.round((words.length + 0.6) * 1.45 * size));
  const context = canvas.getContext("2d");
  const plain = new OffscreenCanvas(width, height);
  plain.getContext("2d").putImageData(image(windowedPixels(pixels, look), width, height), 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, wide, canvas.height);
  context.drawImage(plain, 0, top, wide, tall);
  context.save();
  context.translate(0, top);
  context.scale(scale, scale);
  const thin = Math.max(width, height) / 400;
  for (const [task, line] of Object.entries(lines)) {
    if (look.hidden.includes(task)) continue;
    const path = new Path2D(line);
    context.globalAlpha = look.fill;
    context.fillStyle = look.colours[task];
    context.fill(path, "evenodd");
    context.globalAlpha = 1;
    for (const [colour, thickness] of [["rgb(0 0 0 / 50%)", 2 * thin], [look.colours[task], thin]]) {
      context.strokeStyle = colour;
      context.lineWidth = thickness;
      context.setLineDash(task === "infection" ? [] : [4 * thin, 2.5 * thin]);
      context.stroke(path);
    }
  }
  context.restore();
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.font = `${size}px system-ui, sans-serif`;
  context.fillText(words[0], wide / 2, 1.25 * size, wide);
  context.textAlign = "left";
  const row = (k) => top + tall + (k + 1.1) * 1.45 * size;
  Object.keys(lines).filter((task) => !look.hidden.includes(task)).forEach((task, k) => {
    context.fillStyle = look.colours[task];
    context.fillText(`— ${task}`, (0.6 + 7 * k) * size, row(0));
  });
  words.slice(1).forEach((line, k) => {
    context.fillStyle = line.startsWith("Warning") ? "#ffb078" : "#eee";
    context.fillText(line, 0.6 * size, row(k + 1), wide - 1.2 * size);
  });
  return canvas.convertToBlob({ type: "image/png" });
}
