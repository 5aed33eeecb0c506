"use strict";
// Draws the specifications of a page with the colours and type of its style sheet, and again when those change.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** The one theme of all charts, from the custom properties of style.css. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: of("--ink"), titleColor: of("--soft"), labelFont: of("--sans"), titleFont: of("--sans"), titleFontWeight: 400 };
  const narrow = window.innerWidth < 640;
  return {
    background: "transparent",
    font: of("--sans"),
    view: { stroke: null },
    axis: { ...text, gridColor: of("--line"), domainColor: of("--line"), tickColor: of("--line"), labelFontSize: 12, titleFontSize: 12, ...(narrow ? { labelLimit: 130 } : {}) },
    legend: { ...text, orient: "top", labelFontSize: 12, labelLimit: 240, symbolOpacity: 1, ...(narrow ? { columns: 1 } : { columns: 4 }) },
    title: { color: of("--ink") },
  };
}

/** Draw into the `.vega` element of a figure; a second call replaces the first drawing. */
function draw(element, spec) {
  const options = { actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg", config: theme() };
  return vegaEmbed(element, spec, options);
}

function drawAll() {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const source = figure.querySelector('script[type="application/json"]');
    if (source) draw(figure.querySelector(".vega"), JSON.parse(source.textContent));
  }
}

drawAll();
dark.addEventListener("change", drawAll);
