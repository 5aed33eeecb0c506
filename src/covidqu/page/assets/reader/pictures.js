/* A file in, one grey picture out: {pixels: Uint8Array, width, height, format, notes}. Runs in the worker.
   A file is known by its first bytes, its size is read before it is decoded, and one that is cut short is refused:
   browsers show what there is of it, and half a lung would be measured. */
"use strict";
const MOST_BYTES = 512 * 2 ** 20;
const MOST_PIXELS = 50e6;
const LEAST_PX = 32; // a side
const MOST_RATIO = 10; // longer side / shorter side
const SQUEEZED = 2; // longer side / shorter side from which it is worth a word
const COLOURED = 4; // grey levels between the channels, on average, from which a picture has colours
const DEPTHS = [8, 10, 12, 14, 16]; // bits that grey values are stored with
const ELSE = "the command covidqu read takes more kinds of files";

class Unreadable extends Error {} // what is wrong with a file, in words for whoever chose it

const startsWith = (bytes, text, at = 0) => [...text].every((letter, k) => bytes[at + k] === letter.charCodeAt(0));

/* {pixels, width, height, box: [top, left, bottom, right], format, notes, doubts, sha256}; `box` alone is read. */
async function picture(file) {
  if (file.size === 0) throw new Unreadable("the file is empty");
  if (file.size > MOST_BYTES) throw new Unreadable(`the file has ${Math.round(file.size / 1e6)} MB; at most ${MOST_BYTES / 1e6} MB are read`);
  const bytes = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => {
    throw new Unreadable("the browser cannot read it (a folder, or no longer there)");
  });
  const found = await opened(file, bytes);
  const { box = [0, 0, found.height, found.width] } = found;
  const [top, left, bottom, right] = box;
  let flat = true;
  for (let y = top; flat && y < bottom; y++) {
    const line = found.pixels.subarray(y * found.width + left, y * found.width + right);
    flat = line.every((value) => value === found.pixels[top * found.width + left]);
  }
  if (flat) throw new Unreadable("all pixels have one value; there is nothing to read");
  const [shorter, longer] = [bottom - top, right - left].sort((a, b) => a - b);
  if (longer > SQUEEZED * shorter) found.notes.push(`${right - left} x ${bottom - top} pixels are squeezed to a square, as all are`);
  return { doubts: [], ...found, box, sha256: await sha256(bytes) };
}

function opened(file, bytes) {
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n")) return png(file, bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return jpeg(file, bytes);
  if (startsWith(bytes, "DICM", 128)) return dicom(bytes);
  throw new Unreadable(`not a PNG, JPEG or DICOM file, whatever its name says; ${ELSE}`);
}

function sized(width, height) { // refuses before anything is allocated
  if (Math.min(width, height) < LEAST_PX) throw new Unreadable(`${width} x ${height} pixels are too few; at least ${LEAST_PX} a side`);
  if (width * height > MOST_PIXELS) throw new Unreadable(`${width} x ${height} pixels are too many; at most ${MOST_PIXELS / 1e6} million`);
  if (Math.max(width, height) > MOST_RATIO * Math.min(width, height)) throw new Unreadable(`${width} x ${height} pixels are too long; a side is at most ${MOST_RATIO} times as long as the other`);
}

/* ---- PNG and JPEG: decoded by the browser, but for 16-bit grey, of which it would keep 8 bits ---- */
async function png(file, bytes) {
  const view = new DataView(bytes.buffer);
  if (bytes.length < 33) throw new Unreadable("the PNG file is cut short");
  const [width, height, depth, colour, interlaced] = [view.getUint32(16), view.getUint32(20), bytes[24], bytes[25], bytes[28]];
  sized(width, height);
  const parts = [];
  for (let at = 8, name = ""; name !== "IEND"; ) {
    if (at + 12 > bytes.length) throw new Unreadable("the PNG file is cut short");
    const length = view.getUint32(at);
    name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) throw new Unreadable("the PNG file is cut short");
    if (name === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    if (name === "acTL") throw new Unreadable("an animated PNG file has several pictures; choose one");
    at += 12 + length;
  }
  if (depth < 16 || colour !== 0 || interlaced) {
    const found = await decoded(file, "PNG");
    if (depth === 16) found.notes.push("16 bits: the browser kept the upper 8");
    return found;
  }
  const raw = unfiltered(await inflated(parts, height * (1 + 2 * width)), width, height, 2);
  const values = new Uint16Array(width * height);
  for (let k = 0; k < values.length; k++) values[k] = (raw[2 * k] << 8) | raw[2 * k + 1];
  return { ...byDepth(values), width, height, format: "PNG" };
}

async function inflated(parts, length) {
  const out = new Uint8Array(length);
  let at = 0;
  try {
    const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      if (at + value.length > length) throw new Error("too long");
      out.set(value, at);
      at += value.length;
    }
  } catch {
    at = -1;
  }
  if (at !== length) throw new Unreadable("the PNG file is damaged");
  return out;
}

function unfiltered(raw, width, height, size) { // PNG, section 9; `size` bytes a pixel
  const line = width * size;
  const out = new Uint8Array(height * line);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (line + 1)];
    if (filter > 4) throw new Unreadable("the PNG file is damaged");
    for (let k = 0; k < line; k++) {
      const here = y * line + k;
      const left = k < size ? 0 : out[here - size];
      const up = y ? out[here - line] : 0;
      const corner = y && k >= size ? out[here - line - size] : 0;
      const guess = left + up - corner;
      const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      out[here] = raw[y * (line + 1) + 1 + k] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return out;
}

async function jpeg(file, bytes) {
  let size;
  let turn = 1;
  let at = 2;
  while (!size) { // segments up to the frame header
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
    if (bytes[at] !== 0xff || at + 9 > bytes.length) throw new Unreadable("the JPEG file is cut short or damaged");
    const kind = bytes[at + 1];
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    const frame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (frame) size = { height: (bytes[at + 5] << 8) | bytes[at + 6], width: (bytes[at + 7] << 8) | bytes[at + 8] };
    if (kind === 0xe1 && startsWith(bytes, "Exif", at + 4)) turn = orientation(bytes.subarray(at + 10, at + 2 + length));
    at += 2 + length;
  }
  sized(size.width, size.height);
  let end = bytes.length; // some programs write zeros, or text, after the end; a preview before has an end of its own
  while (end > at && !(bytes[end - 2] === 0xff && bytes[end - 1] === 0xd9)) end--;
  if (end <= at) throw new Unreadable("the JPEG file is cut short");
  const found = await decoded(file, "JPEG");
  if (turn > 1 && turn < 9) found.notes.push("turned as its EXIF orientation says");
  return found;
}

function orientation(exif) { // 1 where there is none
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    for (let k = 0; k < view.getUint16(start, little); k++) {
      const at = start + 2 + 12 * k;
      if (view.getUint16(at, little) === 0x0112) return view.getUint16(at + 8, little);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // damaged: the browser does not turn it either
  }
  return 1;
}

async function decoded(file, format) { // turned as its EXIF orientation says, transparent parts black
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Unreadable(`the ${format} file is damaged, or of a kind that this browser cannot decode`);
  }
  const { width, height } = bitmap;
  const { data } = drawn(bitmap).getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height);
  let spread = 0;
  let clear = false;
  for (let k = 0, at = 0; k < pixels.length; k++, at += 4) {
    const [a, r, g, b] = [data[at + 3] / 255, data[at], data[at + 1], data[at + 2]];
    spread += Math.max(Math.abs(g - r), Math.abs(b - r));
    clear ||= a < 1;
    const [red, green, blue] = a < 1 ? [Math.round(a * r), Math.round(a * g), Math.round(a * b)] : [r, g, b];
    pixels[k] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // ITU-R BT.601
  }
  const notes = [clear && "transparent parts are taken as black", spread > COLOURED * pixels.length && "has colours; their luminance is read"];
  return { pixels, width, height, format, notes: notes.filter(Boolean) };
}

function drawn(bitmap) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context;
}

const short = (value) => String(Number(value.toPrecision(6)));

/* ---- more than 8 bits a pixel ---- */
function byDepth(values) { // the fewest bits that hold the largest value become 8
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  const bits = DEPTHS.find((depth) => largest < 2 ** depth);
  const notes = bits === 8 ? [] : [`${bits} bits a pixel are read as 8 (largest value ${largest.toLocaleString("en")})`];
  return { pixels: scaled(values, 0, 2 ** bits - 1), notes };
}

function stretched(values) { // the smallest and the largest value
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { low, high, notes: [`grey values from ${short(low)} to ${short(high)} are read as 0 to 255`] };
}

function scaled(values, low, high) { // `low` to 0 and `high` to 255, beyond them the same; in single precision, as NumPy
  const out = new Uint8Array(values.length);
  const scale = Math.fround(255 / (high - low));
  if (high > low) for (let k = 0; k < out.length; k++) out[k] = even(Math.max(0, Math.min(255, Math.fround(Math.fround(values[k] - low) * scale))));
  return out;
}

/* ---- DICOM: one frame, grey, not compressed ---- */
const LONG = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]; // with 4 bytes of length
const IMPLICIT = "1.2.840.10008.1.2";
const EXPLICIT = "1.2.840.10008.1.2.1";
const UNDEFINED = 0xffffffff;

function dicom(bytes) {
  const view = new DataView(bytes.buffer);
  let found;
  try {
    const meta = elements(bytes, view, 132, true, (tag) => tag >> 16 === 2);
    const syntax = words(meta.get(0x00020010));
    if (![IMPLICIT, EXPLICIT].includes(syntax)) throw new Unreadable(`the DICOM file is compressed (transfer syntax ${syntax || "not given"}); ${ELSE}`);
    found = elements(bytes, view, meta.end, syntax === EXPLICIT, () => true);
  } catch (error) {
    if (error instanceof RangeError) throw new Unreadable("the DICOM file is cut short or damaged");
    throw error;
  }
  return frame(found);
}

/* Elements of the outermost level, tag -> bytes; sequences are passed over. */
function elements(bytes, view, at, explicit, wanted) {
  const found = new Map();
  while (at + 8 <= bytes.length) {
    const tag = ((view.getUint16(at, true) << 16) | view.getUint16(at + 2, true)) >>> 0;
    if (!wanted(tag)) break;
    let [length, head, kind] = [view.getUint32(at + 4, true), 8, ""];
    if (explicit && tag >>> 16 !== 0xfffe) {
      kind = String.fromCharCode(bytes[at + 4], bytes[at + 5]);
      if (!/^[A-Z]{2}$/.test(kind)) throw new RangeError("no value representation");
      [length, head] = LONG.includes(kind) ? [view.getUint32(at + 8, true), 12] : [view.getUint16(at + 6, true), 8];
    }
    const body = at + head;
    if (length === UNDEFINED) {
      if (tag === 0x7fe00010) throw new Unreadable(`the DICOM file is compressed; ${ELSE}`);
      found.set(tag, new Uint8Array()); // a sequence; that it is there is enough
      at = past(bytes, view, body, explicit && kind !== "UN");
      continue;
    }
    if (body + length > bytes.length) throw new RangeError("cut short");
    found.set(tag, bytes.subarray(body, body + length));
    at = body + length;
  }
  found.end = at;
  return found;
}

function past(bytes, view, at, explicit) { // the end of a sequence of unknown length
  for (;;) {
    const tag = ((view.getUint16(at, true) << 16) | view.getUint16(at + 2, true)) >>> 0;
    const length = view.getUint32(at + 4, true);
    at += 8;
    if (tag === 0xfffee0dd) return at;
    if (tag !== 0xfffee000) throw new RangeError("no item");
    if (length !== UNDEFINED) at += length;
    else at = elements(bytes, view, at, explicit, (one) => one !== 0xfffee00d).end + 8;
  }
}

const words = (bytes) => (bytes ? String.fromCharCode(...bytes.subarray(0, 200)).replace(/[\0 ]+$/, "").trim() : "");
const decimal = (bytes) => (bytes?.length ? Number(words(bytes).split("\\")[0]) : NaN); // the first of several
const whole = (bytes) => (bytes?.length >= 2 ? bytes[0] | (bytes[1] << 8) : NaN);

function frame(found) {
  const get = (tag) => found.get(tag);
  const [width, height] = [whole(get(0x00280011)), whole(get(0x00280010))];
  const [allocated, stored] = [whole(get(0x00280100)), whole(get(0x00280101))];
  const kind = words(get(0x00280004));
  const data = get(0x7fe00010);
  if (!data || !width || !height) throw new Unreadable("the DICOM file holds no picture");
  if (decimal(get(0x00280008)) > 1) throw new Unreadable("the DICOM file has several frames; one radiograph is wanted");
  if (whole(get(0x00280002)) !== 1 || !["MONOCHROME1", "MONOCHROME2"].includes(kind)) throw new Unreadable(`the DICOM file is not grey (${kind || "no kind given"}); ${ELSE}`);
  if (![8, 16].includes(allocated) || !(stored <= allocated)) throw new Unreadable(`the DICOM file has ${allocated} bits a pixel; ${ELSE}`);
  if (found.has(0x00283000) || found.has(0x00283010)) throw new Unreadable(`the DICOM file has a table of grey values (LUT); ${ELSE}`);
  sized(width, height);
  if (data.length < (width * height * allocated) / 8) throw new Unreadable("the DICOM file is cut short");
  const values = new Float32Array(width * height);
  const inside = new Uint8Array(width * height).fill(1);
  const signed = whole(get(0x00280103)) === 1;
  const [slope, intercept] = [decimal(get(0x00281053)), decimal(get(0x00281052))];
  const number = (raw) => (signed && raw & half ? (raw & mask) - 2 * half : raw & mask);
  const [mask, half] = [2 ** stored - 1, 2 ** (stored - 1)];
  const padding = [0x00280120, get(0x00280121) ? 0x00280121 : 0x00280120].map((tag) => number(whole(get(tag)))).sort((a, b) => a - b);
  for (let k = 0; k < values.length; k++) {
    const value = number(allocated === 8 ? data[k] : data[2 * k] | (data[2 * k + 1] << 8));
    if (found.has(0x00280120) && value >= padding[0] && value <= padding[1]) inside[k] = 0;
    values[k] = value * (slope || 1) + (intercept || 0);
  }
  const { pixels, notes } = windowed(values, inside, get(0x00281050), decimal(get(0x00281051)), words(get(0x00281056)));
  const turn = kind === "MONOCHROME1";
  for (let k = 0; k < pixels.length; k++) pixels[k] = !inside[k] ? 0 : turn ? 255 - pixels[k] : pixels[k];
  if (turn) notes.push("MONOCHROME1: turned so that bone is bright");
  const out = inside.reduce((sum, one) => sum + (1 - one), 0);
  if (out) notes.push(`${((100 * out) / inside.length).toFixed(1)}% of the pixels are padding and taken as black`);
  const box = withinBorders(pixels, width, height);
  const [top, left, bottom, right] = box;
  if (top || left || bottom < height || right < width) {
    notes.push(`borders of one value are not read: ${top} rows at the top, ${height - bottom} at the bottom, ${left} columns at the left, ${width - right} at the right`);
  }
  return { pixels, width, height, box, format: "DICOM", notes, doubts: doubts(found) };
}

/* The first window of the file, as DICOM PS3.3 C.11.2.1 says; without one, from the lowest value to the highest. */
function windowed(values, inside, centres, width, kind) {
  const centre = decimal(centres);
  const several = words(centres).includes("\\") && words(centres).split("\\").length;
  const exact = kind === "LINEAR_EXACT";
  if (!exact && !["", "LINEAR"].includes(kind)) throw new Unreadable(`the DICOM file has a window of kind ${kind}; ${ELSE}`);
  if (Number.isNaN(centre) || !(exact ? width > 0 : width >= 1)) {
    const found = stretched(values.filter((_, k) => inside[k]));
    const { low, high } = found;
    const why = Number.isNaN(centre) || Number.isNaN(width) ? "no window in the file" : `the window of the file cannot be used (width ${short(width)})`;
    return { pixels: scaled(values, low, high), notes: [why, ...found.notes] };
  }
  const [low, span] = exact ? [centre - width / 2, width] : [centre - 0.5 - (width - 1) / 2, width - 1];
  const pixels = Uint8Array.from(values, (value) => (span ? even(255 * Math.max(0, Math.min(1, (value - low) / span))) : value > low ? 255 : 0));
  return { pixels, notes: [`window centre ${short(centre)}, width ${short(width)}${several ? ", the first of " + several : ""}`] };
}

/* [top, left, bottom, right] without outer rows and columns of one value; that of all pixels if little were left. */
function withinBorders(pixels, width, height) {
  const flat = (from, to, stride) => {
    for (let at = from + stride; at < to; at += stride) if (pixels[at] !== pixels[from]) return false;
    return true;
  };
  let [top, left, bottom, right] = [0, 0, height, width];
  while (top < bottom && flat(top * width, (top + 1) * width, 1)) top++;
  while (bottom > top && flat((bottom - 1) * width, bottom * width, 1)) bottom--;
  while (left < right && flat(top * width + left, bottom * width, width)) left++;
  while (right > left && flat(top * width + right - 1, bottom * width, width)) right--;
  return Math.min(bottom - top, right - left) < LEAST_PX ? [0, 0, height, width] : [top, left, bottom, right];
}

/* [code, text] of what the header says against a frontal radiograph of a chest seen as usual. */
function doubts(found) {
  const [modality, part, view] = [0x00080060, 0x00180015, 0x00185101].map((tag) => words(found.get(tag)).toUpperCase());
  const along = words(found.get(0x00200020)).toUpperCase().split("\\").map((word) => word.trim().slice(0, 1)).filter(Boolean);
  const side = along[0] === "R" ? "mirrored: its right side is the patient's right" : "taken from the side";
  return [
    !["CR", "DX", "DR"].includes(modality) && ["modality", `modality ${modality || "not given"}, radiographs are CR or DX`],
    !["", "CHEST", "THORAX", "LUNG", "PORTCHEST", "PORT CHEST", "RIBS"].includes(part) && ["body-part", `body part ${part}, not the chest`],
    ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT"].includes(view) && ["view", `view ${view}, not frontal`],
    ["R", "P", "A"].includes(along[0]) && ["orientation", `patient orientation ${along.join("/")}: the picture is ${side}`],
  ].filter(Boolean);
}

async function sha256(bytes) { // null where the page came over http: browsers hash for files and https only
  if (!globalThis.crypto?.subtle) return null;
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...found].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
