"use strict";
// Training curves: the chosen runs and metric become the values of one specification, drawn by charts.js.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const form = document.getElementById("curve-controls");
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"];

function chosen() {
  return Array.from(form.querySelectorAll('input[name="run"]:checked'), (box) => box.value);
}

/** One record per run, part and epoch; logarithms leave out what is not positive. */
function valuesOf(histories, runs, metric, parts, logarithmic) {
  const values = [];
  for (const run of runs) {
    const history = histories[run];
    for (const [prefix, part] of parts) {
      (history[`${prefix}_${metric}`] || []).forEach((value, i) => {
        if (value === null || (logarithmic && value <= 0)) return;
        values.push({ run, part, epoch: history.epoch[i], value, kept: part === "validation" && i === (history.best || []).lastIndexOf(1) });
      });
    }
  }
  return values;
}

/** The specification with these values; a run keeps its colour and shape whatever else is chosen. */
function specOf(base, values, everyRun, palette, title, logarithmic) {
  const spec = structuredClone(base);
  const runs = everyRun.filter((run) => values.some((value) => value.run === run));
  const of = (list, run) => list[everyRun.indexOf(run) % list.length];
  spec.data = { values };
  spec.encoding.y.title = title;
  spec.encoding.y.scale = logarithmic ? { type: "log", nice: true } : { zero: false };
  spec.encoding.color.scale = { domain: runs, range: runs.map((run) => of(palette, run)) };
  const shape = { field: "run", type: "nominal", scale: { domain: runs, range: runs.map((run) => SHAPES[Math.floor(everyRun.indexOf(run) / palette.length) % SHAPES.length]) }, legend: spec.encoding.color.legend };
  const { color, strokeDash, x, y, tooltip } = spec.encoding;
  const many = values.length > 400;
  const points = { mark: { type: "point", filled: true, size: many ? 0 : 45, opacity: 1 }, encoding: { color, shape } };
  const kept = { transform: [{ filter: "datum.kept" }], mark: { type: "point", filled: false, size: 190, strokeWidth: 2, opacity: 1 }, encoding: { color } };
  const line = { mark: { type: "line", strokeWidth: 2 }, encoding: { color, strokeDash } };
  spec.layer = [line, points, kept];
  spec.encoding = { x, y, tooltip };
  delete spec.mark;
  return spec;
}

function update(base, histories, palette) {
  const runs = chosen(), metric = form.metric, logarithmic = form.log.checked;
  const parts = form["training-too"].checked ? [["val", "validation"], ["train", "training"]] : [["val", "validation"]];
  const values = valuesOf(histories, runs, metric.value, parts, logarithmic);
  const shown = new Set(values.map((value) => value.run));
  const without = runs.filter((run) => !shown.has(run));
  const words = metric.selectedOptions[0].textContent;
  const say = [`${words}: ${shown.size} of ${Object.keys(histories).length} runs shown.`];
  if (without.length) say.push(`No ${words} in ${without.join(", ")}.`);
  document.getElementById("curves-say").textContent = say.join(" ");
  const place = document.querySelector("#curves-chart .vega");
  if (!values.length) return place.replaceChildren(); // a scale of no values has no size
  return draw(place, specOf(base, values, Object.keys(histories), palette, words, logarithmic));
}

if (form) {
  const base = read("curves-spec"), histories = read("curves-data"), palette = read("curves-palette");
  let drawn = Promise.resolve(); // one drawing after the other, the last choice last
  const again = () => { drawn = drawn.then(() => update(base, histories, palette)); };
  form.addEventListener("change", again);
  document.getElementById("none").addEventListener("click", () => {
    for (const box of form.querySelectorAll('input[name="run"]')) box.checked = false;
    again();
  });
  dark.addEventListener("change", again);
  again();
}
