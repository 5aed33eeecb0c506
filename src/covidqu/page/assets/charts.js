"use strict";
// Draws the specifications of a page with the colours and type of its style sheet, and again when those change.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 640px)");
const wide = window.matchMedia("(min-width: 1000px)"); // room for a legend in one line

/** The one theme of all charts, from the custom properties of style.css. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: of("--ink"), titleColor: of("--soft"), labelFont: of("--sans"), titleFont: of("--sans"), titleFontWeight: 400 };
  const size = narrow.matches ? 11 : 12;
  return {
    background: "transparent",
    font: of("--sans"),
    view: { stroke: null },
    axis: { ...text, gridColor: of("--line"), domainColor: of("--line"), tickColor: of("--line"), labelFontSize: size, titleFontSize: size, labelLimit: narrow.matches ? 150 : 400 },
    legend: { ...text, orient: "top", labelFontSize: size, labelLimit: 240, symbolOpacity: 1, columns: narrow.matches ? 1 : wide.matches ? 4 : 2 },
    title: { color: of("--ink") },
  };
}

/** Draw into the `.vega` element of a figure; a second call replaces the first drawing. */
async function draw(element, spec) {
  const options = { actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg", config: theme() };
  const drawn = await vegaEmbed(element, spec, options);
  const svg = element.querySelector("svg.marks");
  svg.setAttribute("role", "img"); // one picture with words of its own; its menu beside it
  svg.setAttribute("aria-label", element.dataset.label);
  svg.removeAttribute("aria-roledescription");
  for (const part of svg.querySelectorAll("[aria-label], [aria-roledescription]")) part.setAttribute("aria-hidden", "true");
  element.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
  return drawn;
}

function drawAll() {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const source = figure.querySelector('script[type="application/json"]');
    if (source) draw(figure.querySelector(".vega"), JSON.parse(source.textContent));
  }
}

drawAll();
for (const change of [dark, narrow]) change.addEventListener("change", drawAll);
