"""Table `common/overview`: the headline of each run, taken from the tables of its paper; its short form in README."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from covidqu.files import write_text
from covidqu.report.cells import Cell
from covidqu.report.sources import Sources

BEGIN, END = "<!-- results: covidqu readme -->", "<!-- end of results -->"

# row: table, its row, its column
HEADLINES = {
    "swin-dual-lung: lung Dice": ("swin-dual/text", "phase1 lung Dice (test 6788)", "value"),
    "swin-dual-infection: infection Dice, COVID-19 images": ("swin-dual/table-5", "COVID-19", "I.Dice"),
    "swin-dual-infection: accuracy, three classes": ("swin-dual/text", "phase2 accuracy", "value"),
    "unetpp-b3: infection Dice, overall": ("unetpp-b3/table-2", "Dice Coefficient", "Score"),
    "unetpp-b3: infection Dice, COVID-19 images": ("unetpp-b3/table-3", "COVID-19", "Dice"),
    "unet-roi-lung: lung Dice": ("unet-roi/table-3", "Mean Dice Score", "Value"),
    "unet-roi-infection: infection Dice, annotated ROI": ("unet-roi/table-4", "Mean Dice Score", "Value"),
    "unet-roi-infection-predicted: infection Dice, predicted ROI": (
        "unet-roi/table-4",
        "Mean Dice Score",
        "Value, ROI predicted",
    ),
    "cbam-mtl-unet-proposed: infection Dice, percent (printed: CT)": ("cbam-mtl/table-3", "Proposed Model", "Dice"),
    "cbam-mtl-unet-proposed: accuracy, COVID-19 or Normal, percent (printed: CT)": (
        "cbam-mtl/table-4",
        "Proposed Model",
        "Acc",
    ),
    "recon-mtl-t123: infection Dice, percent (printed: CT)": (
        "recon-mtl/table-2",
        "Exp1: Ours (T1&T2&T3 256 x 256)",
        "Dice",
    ),
    "recon-mtl-t123: AUC, COVID-19 or not (printed: CT)": (
        "recon-mtl/table-2",
        "Exp1: Ours (T1&T2&T3 256 x 256)",
        "AUC",
    ),
}


def overview(sources: Sources, builders: dict[str, Callable[[Sources], list[Cell]]]) -> list[Cell]:
    """One cell per headline, identical to the one in its own table, which `column` names."""
    cells = []
    built = {table: sources.once(builders[table]) for table, _, _ in HEADLINES.values()}
    for label, (table, row, column) in HEADLINES.items():
        found = [cell for cell in built[table] if (cell.row, cell.column) == (row, column)]
        assert len(found) == 1, f"{table} has no cell {row} / {column}"
        cells.append(replace(found[0], row=label, column=table))
    return cells


def readme(results: Path, out: Path) -> None:
    """Put the overview of `results` between the two markers of the Markdown file `out`; all else stays as it is.

    ValueError when a marker or the table is missing.
    """
    source = results / "tables" / "common" / "overview.csv"
    if not source.is_file():
        raise ValueError(f"{source}: no such table; run the pipeline first")
    title = source.with_suffix(".md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    text = out.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{out}: wants the markers {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with source.open(newline="", encoding="utf-8") as file:
        lines = [_line(row) for row in csv.DictReader(file)]
    header = "| | printed | measured, paper's protocol | measured, correct protocol [95 % interval] | test images |"
    table = "\n".join([header, "|---|---|---|---|---|", *lines])
    reduced = title.count("REDUCED RUN")
    if reduced:  # run by run, a long text: folded, its summary is not
        summary = f"{title.split(' - ')[0]}: REDUCED RUNS; what each has otherwise than the full run"
        title = f"<details><summary>{summary}</summary>\n\n{title}.\n\n</details>"
    write_text(out, f"{before}{BEGIN}\n{table}\n\n{title}{'' if reduced else '.'}\n{END}{after}")


def _line(row: dict[str, str]) -> str:
    def number(column: str) -> str:
        return f"{float(row[column]):.3f}" if row[column] else ""

    paper = f"{number('measured_paper')} ({row['protocol_paper']})" if row["measured_paper"] else ""
    correct = "" if paper or row["measured_correct"] else row["note"]
    if row["measured_correct"]:
        interval = f" [{number('ci_low')}, {number('ci_high')}]" if row["ci_low"] else ""
        seeds = f", mean of {row['seeds']} seeds" if row["seeds"] not in ("", "1") else ""
        correct = f"{number('measured_correct')}{interval} ({row['protocol_correct']}{seeds})"
    return f"| {row['row']} | {row['published']} | {paper} | {correct} | {row['n']} |"
