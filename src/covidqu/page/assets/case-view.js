/* One case of the explorer, and what grid and detail draw alike: outlines, heat, measures, window, keys.
   Loaded after cases.js, whose fields, numbers and data it uses. */
"use strict";
const SLIDERS = ["zoom", "brightness", "contrast"];
const PLAIN = { zoom: 1, x: 0, y: 0, brightness: 1, contrast: 1 };
const view = { ...PLAIN };

/* Outlines as an SVG of half pixels: each line over a dark one, so that it is seen on bone and on air. */
function outlines(paths) {
  const svg = make("svg", { viewBox: `0 0 ${2 * index.px} ${2 * index.px}`, "aria-hidden": "true" });
  for (const [layer, d] of paths) {
    if (d) for (const halo of ["halo ", ""]) svg.append(make("path", { d, class: halo + layer, "data-layer": layer }));
  }
  return svg;
}

async function lines(side, position) { // [[layer, path data]] of the annotation and of one run
  const truths = index.images ? await part("annotation", position) : {};
  const drawn = run(side)?.drawn ?? [];
  const founds = drawn.length ? await part(`contours/${read(side)}`, position) : {};
  return ["lung", "infection"].flatMap((task) => [[`truth-${task}`, truths[task]], [`found-${task}`, founds[task]]]);
}

async function heat(side, position, canvas) { // Grad-CAM as one colour, the more opaque the higher
  const text = (await part(`heat/${read(side)}`, position)).maps;
  const bytes = Uint8Array.from(text ? atob(text) : "", (letter) => letter.charCodeAt(0));
  [canvas.height, canvas.width] = run(side).heat;
  const colour = [1, 3, 5].map((k) => parseInt(index.heat.slice(k, k + 2), 16));
  const pixels = new Uint8ClampedArray([...bytes].flatMap((v) => [...colour, 0.75 * v]));
  if (bytes.length) canvas.getContext("2d").putImageData(new ImageData(pixels, canvas.width), 0, 0);
  return bytes.some((value) => value > 0) ? "" : bytes.length ? "Grad-CAM is zero all over this image" : "no Grad-CAM of this image";
}

function picture(position) {
  const stack = make("div", { class: index.images ? "stack" : "stack bare" });
  const src = `cases/images/${index.row[position]}.webp`;
  if (index.images) stack.append(make("img", { src, alt: `Chest X-ray ${index.id[position]}`, loading: "lazy" }));
  else stack.append(make("span", {}, "no X-ray here"));
  return stack;
}

function show(position, entered = false) {
  open = position;
  return update(entered);
}

async function enter(position) { // from the grid
  await show(position, true);
  by("detail").scrollIntoView();
  by("case-name").focus({ preventScroll: true });
}

function step(way) { // round the list; from a case that is not in it to an end
  const place = matches.indexOf(open);
  const from = place < 0 && way < 0 ? 0 : place;
  if (matches.length) show(matches[(from + way + matches.length) % matches.length]);
}

async function close() {
  if (history.state?.entered) return history.back(); // then `restore`
  const position = open;
  await show(-1);
  document.querySelector(`.thumb[data-position="${position}"]`)?.focus();
}

function toImages() {
  (document.querySelector(".thumb") ?? by("case-name")).focus();
}

async function copy() {
  const done = await navigator.clipboard.writeText(location.href).then(() => true, () => false);
  by("said").textContent = done ? "Copied" : "Not allowed here: copy the address of this page";
}

function detail() {
  by("said").textContent = "";
  const place = matches.indexOf(open);
  by("case-name").textContent = called(open);
  by("position").textContent = place < 0 ? "not among the matches" : `${count(place + 1)} of ${count(matches.length)}`;
  const lesion = index.infected[open];
  const seen = `infection annotated on ${percent(share(lesion))} of the image`;
  const near = index.near[open] ? `near-duplicate of ${index.copy[open] || "an image of Train or Val"}` : "";
  const facts = [index.label[open], lesion === 0 ? "no annotated infection" : seen, near];
  by("facts").textContent = facts.filter(Boolean).join(" · ");
  by("panels").replaceChildren(...sides().map(panel));
  measures();
  look();
}

function panel(side) {
  const position = open;
  const shown = run(side);
  const stack = picture(position);
  const roi = shown.roi === "whole" ? "" : `sees only the lungs: ${shown.roi}`;
  const caption = make("figcaption", {}, make("b", {}, `${side.toUpperCase()}: ${shown.name}`));
  const note = (words) => caption.append(make("small", {}, words));
  const failed = (error) => note(error.message);
  if (shown.reduced) caption.append(" ", make("a", { class: "badge reduced", href: `provenance.html#${shown.name}` }, "reduced run"));
  [roi, shown.lacks].filter(Boolean).forEach(note);
  const canvas = make("canvas", { "data-layer": "heat" });
  stack.append(canvas);
  if (shown.heat) heat(side, position, canvas).then((words) => words && note(words), failed);
  lines(side, position).then((found) => stack.append(outlines(found)), failed);
  return make("figure", { class: "panel", "data-side": side }, make("div", { class: "frame" }, stack), caption);
}

function decision(side, i) { // the class decided on, and the probability of each
  const found = scores(side)?.class;
  if (!found || found.target[i] === null) return ["–", "–"];
  const p = found.p.map((values) => values[i]);
  const best = p.indexOf(Math.max(...p));
  const words = run(side).classes;
  const judged = truth(side, i) === null ? "no such class in its head" : best === found.target[i] ? "right" : "wrong";
  return [`${words[best]}: ${judged}`, p.map((v, k) => `${words[k]} ${v.toFixed(2)}`).join(", ")];
}

function measures() {
  const task = read("task");
  const rows = [ // name, what is annotated, what a run has
    [`Dice, ${task}`, "", (side) => fixed(column(side, "dice", open), 3)],
    [`IoU, ${task}`, "", (side) => fixed(column(side, "iou", open), 3)],
    ["HD95, pixels", "", (side) => fixed(column(side, "hd95", open), 1)],
    [`Area of ${task}`, percent(share(annotated(open))), (side) => percent(share(column(side, "found", open)))],
    ["False area", "", (side) => percent(share(column(side, "wrong", open)))],
    ["Class", index.label[open], (side) => decision(side, open)[0]],
    ["Probabilities", "", (side) => decision(side, open)[1]],
  ];
  const row = (cells, scope) => make("tr", {}, ...cells.map((text, k) =>
    (scope === "col" || !k ? make("th", { scope }, text) : make("td", {}, text))));
  const head = row(["", "Annotated", ...sides().map((side) => `${side.toUpperCase()}: ${read(side)}`)], "col");
  const body = rows.map(([name, known, of]) => row([name, known, ...sides().map(of)], "row"));
  by("measures").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

/* ---- layers, window and zoom: no need to draw anything anew ---- */
function look() {
  const hidden = controls("layer").filter((box) => !box.checked).map((box) => box.value);
  by("explorer").dataset.hidden = hidden.join(" ");
  for (const name of SLIDERS) by(name).value = view[name];
  const edge = 50 * (1 - 1 / view.zoom); // percent of the image that may move out of sight on each side
  for (const axis of ["x", "y"]) view[axis] = Math.max(-edge, Math.min(edge, view[axis]));
  for (const [name, value] of Object.entries(view)) by("panels").style.setProperty(`--${name}`, value);
  by("panels").classList.toggle("zoomed", view.zoom > 1);
}

function drag(event) {
  const frame = event.target.closest(".frame");
  if (!frame || !event.buttons || view.zoom === 1) return;
  event.preventDefault();
  view.x += (100 * event.movementX) / frame.clientWidth / view.zoom;
  view.y += (100 * event.movementY) / frame.clientHeight / view.zoom;
  look();
}

function set(name, value) {
  view[name] = Math.max(by(name).min, Math.min(by(name).max, value));
  look();
}

function unchanged() {
  Object.assign(view, PLAIN);
  look();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("select, input:not([type=checkbox])");
  const layer = controls("layer")[Number(event.key) - 1];
  if (event.key === "Escape" && open >= 0) close();
  else if (typing) return;
  else if (layer) layer.click();
  else if (open < 0) return;
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key === "+" || event.key === "=") set("zoom", view.zoom + 0.5);
  else if (event.key === "-") set("zoom", view.zoom - 0.5);
  else if (event.key === "0") unchanged();
  else return;
  event.preventDefault();
}
