"use strict";
// Tables that can be sorted by a column and filtered by words; without this script they are plain tables.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** What a cell sorts by: the exact number behind it, else its text. */
function sortKey(cell) {
  const exact = cell.querySelector("data");
  const text = (exact ? exact.value : cell.textContent).trim();
  const number = Number(text.replace(/,/g, ""));
  return { empty: text === "" || cell.querySelector(".none") !== null, number: text === "" ? NaN : number, text };
}

function compare(a, b) {
  if (Number.isNaN(a.number) || Number.isNaN(b.number)) return collator.compare(a.text, b.text);
  return a.number - b.number;
}

/** Sort by the column of a header: ascending, descending, then as it was. Empty cells stay last. */
function sortBy(table, header) {
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  const order = next[header.getAttribute("aria-sort") || "none"];
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const sign = order === "descending" ? -1 : 1;
  const rows = Array.from(table.tBodies[0].rows, (row) => ({ row, key: sortKey(row.cells[header.cellIndex]) }));
  rows.sort((a, b) => {
    if (order === "none") return a.row.dataset.place - b.row.dataset.place;
    if (a.key.empty !== b.key.empty) return a.key.empty ? 1 : -1;
    return sign * compare(a.key, b.key);
  });
  table.tBodies[0].append(...rows.map((item) => item.row));
}

function makeSortable(table) {
  Array.from(table.tBodies[0].rows).forEach((row, place) => { row.dataset.place = place; });
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.title = "Sort by this column";
    button.addEventListener("click", () => sortBy(table, header));
    header.append(button);
    header.setAttribute("aria-sort", "none");
  }
}

/** Rows that hold every word of the box stay. */
function makeFilterable(table, box) {
  const said = document.createElement("output");
  box.after(said);
  const rows = Array.from(table.tBodies[0].rows, (row) => ({ row, text: row.textContent.toLowerCase() }));
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      left += row.hidden ? 0 : 1;
    }
    said.textContent = words.length ? `${left} of ${rows.length} rows` : "";
  });
}

/** A table that is wider than its box says on which side it goes on. */
function showsMore(box) {
  const words = document.createElement("p");
  words.className = "go-on";
  words.textContent = "More columns to the right →";
  words.hidden = true;
  box.after(words);
  const look = () => {
    const left = box.scrollWidth - box.clientWidth - box.scrollLeft;
    box.classList.toggle("more-right", left > 2);
    box.classList.toggle("more-left", box.scrollLeft > 2);
    words.hidden = left <= 2;
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box); // also when a closed <details> around it opens
}

/** A link to something inside a closed <details> opens it. */
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
}

for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(table);
  const box = table.dataset.filter && document.getElementById(table.dataset.filter);
  if (box) makeFilterable(table, box);
}
for (const box of document.querySelectorAll(".scroll")) showsMore(box);
window.addEventListener("hashchange", openTarget);
openTarget();
