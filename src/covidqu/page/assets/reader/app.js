/* The page: files in, pictures with outlines and numbers out. The worker computes; its text, ONNX Runtime and the
   networks come as scripts that call `covidqu(name, data)`, because a page that was opened as a file may not fetch. */
"use strict";
const SCRIPTS = ["bundle", "engine"]; // then those that "bundle" names
const PATIENCE = 120; // seconds for one picture; then the worker is ended and started anew
const PLAIN = { zoom: 1, x: 0, y: 0, level: 127.5, width: 255 };
const SLIDERS = ["level", "width", "zoom"];
const TASKS = ["lung", "infection"];
const by = (id) => document.getElementById(id);
const data = {}; // content of the scripts
const cases = []; // {file, reading, logits, lines, shown, seconds}
const waiting = []; // files that are not read yet
const view = { ...PLAIN };
let shown = -1; // position in `cases`
let busy = false;
let ready = false;
let worker;
let asked; // the question that the worker has: {id, resolve, reject, timer}
let questions = 0;

window.covidqu = (name, content) => { data[name] = content; };

function make(tag, attributes = {}, ...children) {
  const vector = ["svg", "path"].includes(tag);
  const element = vector ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/* ---- the worker: one question at a time ---- */
function load(name) {
  return new Promise((resolve, reject) => {
    const script = make("script", { src: `${name}.js` });
    script.onload = () => resolve(data[name]);
    script.onerror = () => reject(new Error(`${name}.js is missing; build the page again`));
    document.head.append(script);
  });
}

function hire() {
  const address = URL.createObjectURL(new Blob([data.engine.program], { type: "text/javascript" }));
  worker = new Worker(address);
  worker.onmessage = ({ data: answer }) => {
    if (answer.id !== asked?.id) return;
    const { resolve, reject, timer } = asked;
    clearTimeout(timer);
    asked = undefined;
    if ("found" in answer) resolve(answer.found);
    else reject(new Error(answer.refused ?? `this page failed on it (${answer.broken})`));
  };
  worker.onerror = (event) => dismiss(new Error(event.message || "the worker ended"));
}

function ask(kind, content) {
  return new Promise((resolve, reject) => {
    const id = ++questions;
    const timer = setTimeout(() => dismiss(new Error(`not done after ${PATIENCE} seconds`)), 1000 * PATIENCE);
    asked = { id, resolve, reject, timer };
    worker.postMessage({ id, ask: kind, ...content });
  });
}

function dismiss(why) { // the next question gets a new worker
  worker?.terminate();
  worker = undefined;
  if (asked) clearTimeout(asked.timer);
  asked?.reject(why);
  asked = undefined;
}

async function engine() { // a worker with its networks
  if (worker) return;
  hire();
  await ask("begin", { engine: data.engine.wasm, graphs: data.bundle.members.map((name) => data[name]), metadata: data.bundle });
}

async function begin() {
  try {
    for (const name of SCRIPTS) await load(name);
    for (const [k, name] of data.bundle.members.entries()) {
      say(`Loading network ${k + 1} of ${data.bundle.members.length}…`);
      await load(name);
    }
    say("Starting…");
    await engine();
    ready = true;
    say("Ready.");
    next();
  } catch (error) {
    say(`This browser cannot run the networks: ${error.message}`);
  }
}

const say = (words) => { by("state").textContent = words; };

/* ---- files in ---- */
function take(files) {
  const found = [...files];
  if (!found.length) return;
  by("refused").replaceChildren();
  waiting.push(...found);
  by("progress").max = cases.length + waiting.length;
  next();
}

async function next() {
  if (busy || !ready) return;
  busy = true;
  let [done, first] = [0, true];
  while (waiting.length) {
    const file = waiting.shift();
    by("progress").hidden = by("stop").hidden = waiting.length < 1 && done < 1;
    Object.assign(by("progress"), { value: done, max: done + waiting.length + 1 });
    say(`Reading ${file.name}${waiting.length ? `, ${waiting.length} more` : ""}…`);
    try {
      await engine();
      const found = await ask("read", { file, name: file.name });
      cases.push({ file, ...found });
      list(cases.length - 1);
      if (first) show(cases.length - 1);
      else fit();
      first = false;
    } catch (error) {
      refuse(file.name, error.message);
    }
    done++;
  }
  busy = false;
  by("progress").hidden = by("stop").hidden = true;
  const seconds = cases.length && !first ? `, the last in ${cases.at(-1).seconds.toFixed(1)} seconds` : "";
  if (done) say(`Ready. ${cases.length} picture${cases.length === 1 ? "" : "s"} read${seconds}.`);
}

function refuse(name, words) {
  const close = make("button", { type: "button", "aria-label": `Forget ${name}` }, "×");
  const item = make("li", {}, close, make("b", {}, name), `: ${words}`);
  close.onclick = () => item.remove();
  by("refused").append(item);
}

/* ---- pictures that were read ---- */
function pixelsOn(canvas, { pixels, width, height }, look = PLAIN) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  windowedPixels(pixels, look).forEach((value, k) => image.data.set([value, value, value, 255], 4 * k));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function list(position) {
  const { shown: picture, reading } = cases[position];
  const canvas = make("canvas", { "aria-hidden": "true" });
  const scale = 160 / Math.max(picture.width, picture.height);
  const large = make("canvas");
  pixelsOn(large, picture);
  Object.assign(canvas, { width: Math.max(1, picture.width * scale), height: Math.max(1, picture.height * scale) });
  canvas.getContext("2d").drawImage(large, 0, 0, canvas.width, canvas.height);
  const doubtful = reading.warnings.length ? make("span", { class: "doubtful" }, "⚠ ") : "";
  const button = make("button", { type: "button", title: reading.input.name }, canvas, doubtful, reading.input.name);
  button.onclick = () => show(position, true);
  by("pictures").append(make("li", {}, button));
  by("work").classList.toggle("single", cases.length < 2);
  document.querySelector("[data-keep=csv]").hidden = cases.length < 2;
}

function show(position, focus = false) {
  shown = position;
  Object.assign(view, PLAIN);
  const { reading, lines, shown: picture } = cases[position];
  by("work").hidden = false;
  by("pictures").querySelectorAll("button").forEach((button, k) => (k === position ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
  by("name").textContent = reading.input.name;
  by("picture").setAttribute("aria-label", `Chest X-ray ${reading.input.name}`);
  const { height, width } = reading.input;
  by("lines").setAttribute("viewBox", `0 0 ${width} ${height}`);
  by("lines").setAttribute("preserveAspectRatio", "none");
  by("lines").replaceChildren(...TASKS.filter((task) => lines[task]).flatMap((task) => ["inner", "halo", task].map((part) => make("path", { d: lines[task], class: part, "data-layer": task }))));
  by("stack").style.aspectRatio = `${picture.width} / ${picture.height}`;
  document.querySelectorAll("[name=layer]").forEach((box) => { box.disabled = !(box.value in lines); });
  document.querySelectorAll("[data-keep]").forEach((button) => {
    if (TASKS.includes(button.dataset.keep)) button.hidden = !(button.dataset.keep in lines);
  });
  by("said").textContent = "";
  warned(reading);
  by("facts").replaceChildren(...facts(reading));
  fit();
  look();
  if (focus) by("name").focus({ preventScroll: true });
}

function fit() { // the whole picture, as large as its frame lets it be
  const { clientWidth, clientHeight } = by("frame");
  const { width, height } = cases[shown].shown;
  const scale = Math.min(clientWidth / width, clientHeight / height);
  Object.assign(by("stack").style, { width: `${width * scale}px`, height: `${height * scale}px` });
}

function warned({ warnings }) {
  const none = make("li", { class: "fine" }, "No warning. A reading without a warning can still be wrong.");
  const told = warnings.map(({ text }) => make("li", {}, text[0].toUpperCase() + text.slice(1) + "."));
  if (useless({ warnings })) told.unshift(make("li", {}, make("strong", {}, NO_NUMBERS)));
  by("warnings").replaceChildren(...(told.length ? told : [none]));
}

/* ---- as reading/outputs.py ---- */
const NO_NUMBERS = "Do not use this reading. Its numbers are left out.";
const useless = ({ warnings }) => warnings.some(({ code }) => code === data.bundle.no_use);
const mirrored = ({ warnings }) => warnings.some(({ code }) => code === "mirrored");

function percent(share) {
  if (share === null || share === undefined) return "no lung";
  if (share > 0 && share < 0.0005) return "<0.1%";
  if (share >= 0.995 && share < 1) return ">99%";
  return `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}%`;
}

function facts(reading) { // what there is of it: a run may lack lungs, infection or classes
  const parts = [];
  const shares = reading.infected_share_of_lung;
  const useful = !useless(reading);
  if (useful && "both" in shares) {
    const box = ([name, more, side]) => make("div", {}, make("dt", {}, name, make("small", {}, more)), make("dd", {}, percent(shares[side])));
    const usual = (side) => (mirrored(reading) ? "" : `usually their ${side}`);
    const named = [["COVID-19 infection", "share of both lungs", "both"], ["Image left", usual("right"), "image_left"], ["Image right", usual("left"), "image_right"]];
    parts.push(make("dl", { class: "shares" }, ...named.map(box)));
  }
  if ("infection" in reading.pixels) parts.push(make("p", { class: "what" }, `${data.bundle.what}.`));
  const chances = Object.entries(reading.probabilities).flatMap(([label, p]) => [
    make("span", {}, label), make("meter", { min: 0, max: 1, value: p, "aria-label": label }), make("output", {}, percent(p)),
  ]);
  if (useful && chances.length) parts.push(make("h3", {}, "Class, in part a guess at the image collection"), make("div", { class: "chances" }, ...chances));
  const list = rows(reading, useful).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  parts.push(make("h3", {}, "Seeds and file"), make("dl", { class: "facts" }, ...list));
  if (reading.input.notes.length) parts.push(make("ul", { class: "notes" }, ...reading.input.notes.map((note) => make("li", {}, note))));
  return parts;
}

const spread = ({ seeds }) => seeds.infected_share_of_lung.filter((share) => share !== null);

function rows(reading, useful) { // what the seeds say alone, and what was read
  const { input, seeds, pixels } = reading;
  const each = spread(reading);
  const count = `${seeds.seed.length} networks alone`;
  const found = [];
  if (useful && seeds.seed.length > 1 && each.length) found.push([count, `lungs infected ${percent(Math.min(...each))} to ${percent(Math.max(...each))}`]);
  for (const [task, value] of Object.entries(seeds.dice)) if (useful && value !== null) found.push([`Least Dice, ${task}`, `${value.toFixed(3)} between two of the networks`]);
  if (useful && seeds.probabilities.length > 1) {
    const top = seeds.probabilities.map((one) => Object.entries(one).reduce((a, b) => (b[1] > a[1] ? b : a)));
    found.push(["Most probable", top.map(([label, p]) => `${label} ${percent(p)}`).join(", ")]);
  }
  for (const [task, sides] of Object.entries(pixels)) {
    if (useful && task !== "infection_in_lung") found.push([`Area of ${task}`, `${sides.both.toLocaleString("en")} pixels`]);
  }
  found.push(["File", `${input.kind}, ${input.width} x ${input.height} pixels`], ["Seconds", cases[shown].seconds.toFixed(2)]);
  found.push(["SHA-256", input.sha256 ?? "not known: browsers hash on https and on files only"]);
  return found;
}

/* ---- the same in words and as a table ---- */
function inWords(reading) {
  const { both, image_left: left, image_right: right } = reading.infected_share_of_lung;
  const each = spread(reading);
  const chances = Object.entries(reading.probabilities);
  const numbers = useless(reading) ? [] : [
    both !== undefined && `COVID-19 infection: ${percent(both)} of the lungs (image left ${percent(left)}, image right ${percent(right)})`,
    each.length > 1 && `${each.length} trainings alone: ${percent(Math.min(...each))} to ${percent(Math.max(...each))}`,
    "infection" in reading.pixels && data.bundle.what,
    chances.length && `Class (in part a guess at the image collection): ${chances.map(([label, p]) => `${label} ${percent(p)}`).join(", ")}`,
  ];
  const model = `Model ${reading.model.name}, covidqu ${reading.versions.covidqu}`;
  const never = useless(reading) && `Warning: ${NO_NUMBERS}`;
  return [reading.use, reading.input.name, never, ...reading.warnings.map(({ text }) => `Warning: ${text}`), ...numbers, model].filter(Boolean);
}

function row({ input, warnings, infected_share_of_lung: shares, pixels, seeds, probabilities, model, use }, each, name) {
  const sides = ["both", "image_left", "image_right"];
  const numbers = {
    ...Object.fromEntries(sides.map((side) => [`infected_share_${side}`, shares[side]])),
    infected_share_lowest_seed: each.length > 1 ? Math.min(...each) : null,
    infected_share_highest_seed: each.length > 1 ? Math.max(...each) : null,
    ...Object.fromEntries(TASKS.flatMap((task) => [...sides.map((side) => [`${task}_px_${side}`, pixels[task]?.[side]]), [`${task}_dice_between_seeds`, seeds.dice[task]]])),
    ...Object.fromEntries(Object.entries(probabilities).map(([label, p]) => [`probability ${label}`, p])),
  };
  if (useless({ warnings })) for (const key of Object.keys(numbers)) numbers[key] = null;
  return {
    name, status: "read", error: "", warnings: warnings.map(({ code }) => code).join(" "), ...numbers,
    width: input.width, height: input.height, kind: input.kind, sha256: input.sha256, model: model.name, model_sha256: model.sha256, use,
  };
}

function table() {
  const bare = cases.map(({ reading }) => reading.input.name.replace(/\.[^.]*$/, ""));
  const named = (k) => (bare.indexOf(bare[k]) === bare.lastIndexOf(bare[k]) ? bare[k] : cases[k].reading.input.name);
  const lines = cases.map(({ reading }, k) => row(reading, spread(reading), named(k)));
  const cell = (value) => {
    const text = typeof value === "number" ? String(Number(value.toFixed(6))) : String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const columns = Object.keys(lines[0]);
  return [columns, ...lines.map((line) => columns.map((name) => line[name]))].map((line) => `${line.map(cell).join(",")}\n`).join("");
}

/* ---- how it is looked at ---- */
function look() {
  const edge = 50 * (1 - 1 / view.zoom); // percent that may move out of sight on each side
  for (const axis of ["x", "y"]) view[axis] = Math.max(-edge, Math.min(edge, view[axis]));
  by("stack").style.transform = `scale(${view.zoom}) translate(${view.x}%, ${view.y}%)`;
  by("frame").classList.toggle("zoomed", view.zoom > 1);
  for (const name of SLIDERS) by(name).value = view[name];
  for (const path of by("lines").children) {
    path.style.display = layer(path.dataset.layer).checked ? "" : "none";
    if (path.classList.contains("inner")) Object.assign(path.style, { fill: `var(--${path.dataset.layer})`, fillOpacity: by("fill").value });
  }
  const key = `${shown} ${view.level} ${view.width}`; // drawn anew only where grey values change
  if (by("picture").dataset.drawn !== key) pixelsOn(by("picture"), cases[shown].shown, view);
  by("picture").dataset.drawn = key;
}

const layer = (name) => document.querySelector(`[name=layer][value=${name}]`);

function set(name, value) {
  view[name] = Math.max(by(name).min, Math.min(by(name).max, value));
  look();
}

function drag(event) {
  const [dx, dy] = [event.movementX, event.movementY];
  if (event.buttons === 2) {
    set("width", view.width + dx);
    set("level", view.level + dy);
  } else if (event.buttons === 1 && view.zoom > 1) {
    const { clientWidth, clientHeight } = by("stack");
    move((100 * dx) / clientWidth / view.zoom, (100 * dy) / clientHeight / view.zoom);
  } else return;
  event.preventDefault();
}

function move(x, y) {
  view.x += x;
  view.y += y;
  look();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || shown < 0) return;
  if (event.target.matches("[type=range]")) return; // it has arrows of its own
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const box = layer(TASKS[Number(event.key) - 1] ?? "none");
  if (arrow && view.zoom > 1 && event.target === by("frame")) move(-5 * arrow[0], -5 * arrow[1]);
  else if (arrow?.[0]) show((shown + arrow[0] + cases.length) % cases.length);
  else if (box && !box.disabled) box.click();
  else if (event.key === "+" || event.key === "=") set("zoom", view.zoom + 0.5);
  else if (event.key === "-") set("zoom", view.zoom - 0.5);
  else if (event.key === "0") plain();
  else return;
  event.preventDefault();
}

function plain() {
  Object.assign(view, PLAIN);
  look();
}

/* ---- what is kept ---- */
function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function keep(kind) {
  const { file, reading, logits, lines } = cases[shown];
  const stem = reading.input.name.replace(/\.[^.]*$/, "") || "picture";
  if (kind === "json") return save(new Blob([JSON.stringify(reading, null, 1)], { type: "application/json" }), `${stem}.json`);
  if (kind === "csv") return save(new Blob([table()], { type: "text/csv" }), "readings.csv");
  if (kind === "copy") {
    const text = inWords(reading).join("\n");
    const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
    return done ? "Copied." : "The browser does not allow it here.";
  }
  if (busy) return "Still reading; try again when all pictures are read.";
  const style = getComputedStyle(document.body);
  const colours = Object.fromEntries(TASKS.map((task) => [task, style.getPropertyValue(`--${task}`).trim()]));
  const hidden = TASKS.filter((task) => !layer(task).checked);
  busy = true;
  try {
    await engine();
    const settings = { level: view.level, width: view.width, fill: Number(by("fill").value), colours, hidden };
    const blob = await ask("draw", { file, kind, logits, lines, look: settings, words: inWords(reading) });
    save(blob, kind === "overlay" ? `${stem}-overlay.png` : `${stem}-${kind}.png`);
  } finally {
    busy = false;
    next();
  }
}

/* ---- what a person does ---- */
const drop = by("drop");
by("files").onchange = ({ target }) => { take(target.files); target.value = ""; };
drop.onsubmit = (event) => event.preventDefault();
by("stop").onclick = () => waiting.splice(0);
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault(); // else the browser would leave the page for the file
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("keydown", key);
for (const name of SLIDERS) by(name).oninput = ({ target }) => set(name, Number(target.value));
by("fill").oninput = look;
by("plain").onclick = plain;
document.querySelectorAll("[name=layer]").forEach((box) => { box.onchange = look; });
document.querySelectorAll("[data-keep]").forEach((button) => {
  button.onclick = () => keep(button.dataset.keep).then((words) => { by("said").textContent = words ?? "Saved."; }, (error) => { by("said").textContent = error.message; });
});
by("frame").onpointermove = drag;
by("frame").onpointerdown = (event) => { if (event.pointerType !== "touch" || view.zoom > 1) by("frame").setPointerCapture(event.pointerId); };
by("frame").oncontextmenu = (event) => event.preventDefault();
by("frame").addEventListener("wheel", (event) => {
  if (!event.ctrlKey && view.zoom === 1) return; // the page scrolls
  event.preventDefault();
  set("zoom", view.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
}, { passive: false });
addEventListener("resize", () => shown >= 0 && fit());
begin();
