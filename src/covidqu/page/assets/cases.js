/* The case explorer: cases/index.js and, on demand, the other scripts of cases/ in; filters, thumbnails, one case out.
   All choices are fields of the form "filters"; those that differ from the start are kept in the address. */
"use strict";
const loaded = new Map(); // name of a script -> its data
const requests = new Map(); // name of a script -> promise of its data
const form = document.getElementById("filters");
const by = (id) => document.getElementById(id);
const CHUNK = 36; // thumbnails that are added at once
let index; // content of cases/index.js
let matches = []; // positions of the cases that pass the filters, sorted
let open = -1; // position of the case in the detail view, -1 for the grid
let listed = 0; // thumbnails that are in the grid
let start = {}; // field -> value before any choice
let known = {}; // field -> value, forgotten at every choice
let turn = 0; // number of the newest update: an older one that waits for data gives up

window.covidquCase = (name, data) => {
  loaded.set(name, data);
  if (name === "index") begin(data);
};

/* ---- loading: a script tag, because a page that was opened as a file may not fetch ---- */
function load(name) {
  if (!requests.has(name)) {
    requests.set(name, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `cases/${name}.js`;
      script.onload = () => resolve(loaded.get(name));
      script.onerror = () => reject(new Error(`cases/${name}.js is missing; build the report again`));
      document.head.append(script);
    }));
  }
  return requests.get(name);
}

const sides = () => ["a", "b"].filter((side) => read(side));
const run = (side) => index.runs.find((one) => one.name === read(side));
const scores = (side) => loaded.get(`scores/${read(side)}`);
const called = (position) => index.id[position].split("/").pop();
const block = (position) => Math.floor(position / index.block);

/* Outlines or heat of one case: {lung, infection} or {maps}; undefined where there are none. */
async function part(folder, position) {
  const columns = await load(`${folder}/${block(position)}`);
  return Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[position % index.block]]));
}

/* ---- fields: one value each, ticked boxes joined by commas ---- */
const controls = (name) => [...form.elements].filter((element) => element.name === name);
const names = () => [...new Set([...form.elements].map((element) => element.name).filter(Boolean))];

const read = (name) => (known[name] ??= looked(name));

function looked(name) {
  const found = controls(name);
  if (found[0].type !== "checkbox") return found[0].value.trim();
  return found.filter((box) => box.checked).map((box) => box.value).join(",");
}

function put(name, value) {
  known = {};
  for (const control of controls(name)) {
    if (control.type === "checkbox") control.checked = value.split(",").includes(control.value);
    else control.value = value;
    if (control.tagName === "SELECT" && control.selectedIndex < 0) control.value = start[name];
  }
}

function address() {
  const changed = names().filter((name) => read(name) !== start[name]);
  const fields = new URLSearchParams(changed.map((name) => [name, read(name)]));
  if (open >= 0) fields.set("case", index.id[open]);
  return fields.toString();
}

/* The choices in the address, nothing where all is as at the start. A case that is opened from the grid is an entry of
   its own, so that Back closes it. */
function remember(entered = false) {
  const fields = address();
  const target = fields ? `#${fields}` : location.href.split("#")[0];
  if (entered) history.pushState({ entered }, "", target);
  else history.replaceState(history.state, "", target);
}

async function restore() {
  const left = open;
  const fields = new URLSearchParams(location.hash.slice(1));
  for (const name of names()) put(name, fields.get(name) ?? start[name]);
  open = index.id.indexOf(fields.get("case"));
  look();
  await update();
  if (open >= 0) by("detail").scrollIntoView();
  if (left >= 0 && open < 0) document.querySelector(`.thumb[data-position="${left}"]`)?.focus();
}

/* ---- numbers ---- */
const share = (pixels) => (pixels === null || pixels === undefined ? null : pixels / index.px ** 2);
const annotated = (i) => (read("task") === "lung" ? index.lung[i] : index.infected[i]);
const empty = (i) => annotated(i) === 0;
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
const count = (n) => n.toLocaleString("en");
const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const column = (side, key, i) => scores(side)?.[read("task")]?.[key][i] ?? null;

function truth(side, i) { // probability of the true class; null for a class that the head lacks
  const found = scores(side)?.class;
  const target = found?.target[i] ?? -1;
  return target < 0 ? null : found.p[target][i];
}

function difference(i) {
  const [a, b] = ["a", "b"].map((side) => column(side, "dice", i));
  return a === null || b === null ? null : Math.abs(a - b);
}

const METRICS = { // field "sort": value of a case, null where there is none; words; text of a value
  dice: [(i) => column("a", "dice", i), "Dice of A", (v) => v.toFixed(2)],
  difference: [difference, "difference in Dice between A and B", (v) => v.toFixed(2)],
  annotated: [(i) => share(annotated(i)), "annotated area", percent],
  found: [(i) => share(column("a", "found", i)), "predicted area of A", percent],
  wrong: [(i) => share(column("a", "wrong", i)), "false area of A", percent],
  hd95: [(i) => column("a", "hd95", i), "HD95 of A, pixels", (v) => v.toFixed(1)],
  truth: [(i) => truth("a", i), "probability that A gives to the true class", (v) => v.toFixed(2)],
  place: [(i) => i, "order of the data set", (v) => String(v + 1)],
};

/* ---- filters and order ---- */
function within(name, value, widest) { // a range that is as wide as it can be lets cases without a value pass
  const [from, to] = [Number(read(`${name}_from`) || 0), Number(read(`${name}_to`) || widest)];
  if (from <= 0 && to >= widest) return true;
  return value !== null && value >= from && value <= to;
}

function unannotated(i) {
  const wrong = column("a", "wrong", i);
  const wanted = { any: wrong > 0, over: share(wrong) > 0.01, blank: wrong === 0 }[read("unannotated")];
  return wanted === undefined || (empty(i) && wrong !== null && wanted);
}

function passes(i) {
  const near = { only: index.near[i], without: !index.near[i] }[read("near")] ?? true;
  const area = share(index.infected[i]);
  return near && unannotated(i) && read("label").split(",").includes(index.label[i]) &&
    within("dice", column("a", "dice", i), 1) && within("area", area === null ? null : 100 * area, 100) &&
    index.id[i].toLowerCase().includes(read("id").toLowerCase());
}

function sorted() {
  const [value] = METRICS[read("sort")];
  const sign = read("order") === "highest" ? -1 : 1;
  const keyed = index.id.map((_, i) => i).filter(passes).map((i) => [value(i), i]);
  keyed.sort(([v, i], [w, j]) => (v === null) - (w === null) || sign * (v - w) || i - j);
  return keyed.map(([, i]) => i);
}

/* ---- everything anew after a choice ---- */
async function update(entered = false) {
  const mine = ++turn;
  const missing = await Promise.all(sides().map((side) => load(`scores/${read(side)}`))).then(() => "", String);
  if (missing) by("count").textContent = missing;
  if (missing || mine !== turn) return;
  matches = sorted();
  remember(entered);
  summary();
  [by("detail").hidden, by("gallery").hidden] = [open < 0, open >= 0];
  if (open >= 0) return detail();
  by("grid").replaceChildren();
  listed = 0;
  return more();
}

function summary() {
  const [value, words] = METRICS[read("sort")];
  const values = matches.map(value).filter((v) => v !== null);
  by("count").textContent = `${count(matches.length)} of ${count(index.id.length)} images`;
  const lacking = matches.length - values.length;
  const none = run("a").tasks.includes(read("task")) ? "" : `${run("a").name} predicts no ${read("task")} mask. `;
  by("without").textContent = none + (lacking ? `${count(lacking)} have no ${words}; they come last.` : "");
  by("nothing").hidden = matches.length > 0 || open >= 0;
  by("strip").replaceChildren(...(values.length && read("sort") !== "place" ? histogram(values) : []));
}

/* ---- drawing ---- */
function make(tag, attributes = {}, ...children) {
  const drawn = ["svg", "path", "rect", "line", "title"].includes(tag);
  const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function histogram(values) { // how the sorted-by number is distributed over the matches, and where the open case lies
  const [value, words, text] = METRICS[read("sort")];
  const [low, high] = [Math.min(0, ...values), Math.max(...values) || 1];
  const bins = new Array(40).fill(0);
  for (const v of values) bins[Math.min(39, Math.floor((40 * (v - low)) / (high - low)))] += 1;
  const top = Math.max(...bins);
  const svg = make("svg", { viewBox: "0 0 400 44", preserveAspectRatio: "none", role: "img" },
    make("title", {}, `${words} of ${values.length} images, from ${text(low)} to ${text(high)}`));
  bins.forEach((n, k) => {
    const height = (42 * n) / top;
    svg.append(make("rect", { x: 10 * k + 0.5, width: 9, y: 44 - height, height }));
  });
  const here = open >= 0 ? value(open) : null;
  const x = (400 * (here - low)) / (high - low);
  if (here !== null) svg.append(make("line", { x1: x, x2: x, y1: 0, y2: 44, class: "here" }));
  const caption = make("figcaption", {}, make("span", {}, text(low)),
    make("span", {}, here === null ? words : `${words}: this image ${text(here)}`), make("span", {}, text(high)));
  return [svg, caption];
}

/* ---- grid ---- */
function more() {
  const added = matches.slice(listed, listed + CHUNK);
  const [value, , text] = METRICS[read("sort")];
  for (const position of added) {
    const stack = picture(position);
    const words = value(position) === null || read("sort") === "place" ? "" : text(value(position));
    const button = make("button", { type: "button", "data-position": position, class: "thumb" }, stack,
      ...[["name", called(position)], ["label", index.label[position]], ["value", words]]
        .map(([name, content]) => make("span", { class: name }, content)));
    button.addEventListener("click", () => enter(position));
    by("grid").append(make("li", {}, button));
    lines("a", position).then((found) => stack.append(outlines(found)), (error) => (button.title = error.message));
  }
  listed += added.length;
  by("more").hidden = listed >= matches.length;
}

/* ---- start ---- */
function preset(words) { // the runs and the layers stay
  const fields = new URLSearchParams(words);
  for (const name of names()) if (!["a", "b", "layer"].includes(name)) put(name, fields.get(name) ?? start[name]);
  suit();
  open = -1;
  update();
}

function suit() { // a mask that run A has, if it has any
  const tasks = run("a").tasks;
  if (tasks.length && !tasks.includes(read("task"))) put("task", tasks[0]);
}

function chosen(event) {
  known = {};
  if (event.target.name === "a") suit();
  if (event.target.name !== "layer") return update();
  look();
  return remember();
}

function offer() { // a layer that no run here has cannot be chosen
  const drawn = (task) => index.runs.some((one) => one.drawn.includes(task));
  const there = { "truth-lung": index.images, "truth-infection": index.images, "found-lung": drawn("lung"),
    "found-infection": drawn("infection"), heat: index.runs.some((one) => one.heat) };
  for (const box of controls("layer").filter((one) => !there[one.value])) {
    [box.disabled, box.checked, box.parentElement.title] = [true, false, "no run here has this"];
  }
}

function begin(data) {
  index = data;
  offer();
  start = Object.fromEntries(names().map((name) => [name, read(name)]));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { history.replaceState(null, "", location.href.split("#")[0]); setTimeout(restore); });
  document.addEventListener("input", (event) => event.target.form === form && chosen(event));
  for (const button of by("presets").children) button.addEventListener("click", () => preset(button.dataset.preset));
  const actions = { more, "to-images": toImages, copy, print: () => window.print(), back: close, previous: () => step(-1), next: () => step(1), restore: unchanged };
  for (const [id, action] of Object.entries(actions)) by(id).addEventListener("click", action);
  for (const name of SLIDERS) by(name).addEventListener("input", () => set(name, Number(by(name).value)));
  by("panels").addEventListener("pointermove", drag);
  document.addEventListener("keydown", key);
  window.addEventListener("hashchange", restore);
  restore();
}
