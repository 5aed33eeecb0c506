"""Results in README and docs are written by a command, between pairs of markers, and nothing else is touched."""

import csv
from pathlib import Path

import pytest

from covidqu.config.params import Params
from covidqu.report.catalogue import table
from covidqu.report.checks.recompute import PAGES
from covidqu.report.core.cells import COLUMNS, Cell, Table
from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Status
from covidqu.report.core.published import printed
from covidqu.report.core.sources import Sources
from covidqu.report.readme import BLOCKS, FINDINGS, FIRST, FIRST_FINDINGS, GLANCE, HEADLINES, SIDE_BY_SIDE, readme
from covidqu.report.side_by_side import COST, LARGE, ROWS, TABLE, block, brief, printed_dice
from covidqu.report.systems.cost import MINUTES, PARAMETERS
from covidqu.report.tables import write
from support.places import ROOT
from support.synthetic_runs import settings, write_run

NOT_RUN = Status.NOT_RUN
DICE, ACCURACY = "infection Dice", "COVID-19 vs rest accuracy"
COMPARED = [
    Cell("swin-dual", DICE, measured_correct=0.71251, n=583, ci_low=0.7, ci_high=0.7251, run="swin-dual-infection"),
    Cell("swin-dual", LARGE["Normal"], measured_correct=0.4405, n=291, run="swin-dual-infection"),
    Cell("swin-dual", LARGE["other pneumonia"], measured_correct=0.9829, n=292, run="swin-dual-infection"),
    Cell("swin-dual", "lung Dice", measured_correct=0.9442, n=1165, run="swin-dual-infection"),
    Cell("swin-dual", ACCURACY, measured_correct=0.6801, n=1165, run="swin-dual-infection"),
    *(
        Cell(row, DICE, note=f"run {row} has no card.json", status=NOT_RUN)
        for row in ("unetpp-b3", "unet-roi, predicted ROI")
    ),
    *(Cell(row, DICE, measured_correct=0.5, n=583, run=row) for row in ("cbam-mtl", "recon-mtl")),
    Cell("reference (ours)", DICE, measured_correct=0.8, n=583, run="reference"),
    Cell("no network: lungs", DICE, measured_correct=0.646, n=583, ci_low=0.62, ci_high=0.67),
]
OVERVIEW = [
    Cell(*("lung", "unet-roi/table-3", 0.969, 0.95, 0.9512345, "img_all_e1", "img_covid", 583, 0.94, 0.96), seeds=1),
    Cell("infection", "unet-roi/table-4", 0.6167, note="no scores", status=NOT_RUN),
    Cell(
        *("accuracy", "cbam-mtl/table-4", 96.22, None, 81.5, "", "class_argmax", 874),
        seeds=3,
        note="SD 1 over 3 seeds",
    ),
]


HEADING = Heading("", "", "not read back")
LITE = settings(report={"title": "LITE"})
CAPTION = table(TABLE, LITE).shows


def results(folder: Path) -> Path:
    write(Table("common/overview", HEADING, OVERVIEW), folder / "tables" / "common/overview")
    write(Table(TABLE, HEADING, COMPARED), folder / "tables" / TABLE)
    return folder


def reduced(folder: Path) -> Path:
    write_run(folder, LITE, "swin-dual-infection", {"epochs": 1})
    return folder


def written(folder: Path, page: Path, params: Params = LITE) -> list[str]:
    marks = "".join(f"{found.begin}\nold\n{found.end}\n" for found in BLOCKS)
    page.write_text(f"before\n{marks}after\n")
    readme(Sources(params, folder, folder), [page])
    return page.read_text().splitlines()


def test_measured_and_not_run(tmp_path: Path) -> None:
    lines = written(reduced(results(tmp_path / "r")), tmp_path / "page.md")
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| lung | 0.969 | 0.950 (img_all_e1) | 0.951 [0.940, 0.960] (img_covid) | 583 |" in lines
    assert "| infection | 0.6167 |  | not run: no scores |  |" in lines, "a printed value never fills a cell of ours"
    assert "| accuracy | 96.22 |  | 81.500 (class_argmax, mean of 3 seeds) | 874 |" in lines
    assert "LITE: REDUCED OR CHANGED RUNS - Printed and measured, on the official test images." in lines
    folded = lines.index("<details><summary>How these runs differ from the full ones</summary>")
    assert lines[folded + 2] == "- swin-dual-infection: REDUCED RUN (epochs 1 instead of 30)"
    assert "old" not in lines


def test_side_by_side_without_costs(tmp_path: Path) -> None:
    lines = written(reduced(results(tmp_path / "r")), tmp_path / "page.md")
    first = lines.index(SIDE_BY_SIDE.begin) + 1
    words = "**LITE: REDUCED OR CHANGED RUNS, listed below.** "
    assert lines[first] == f"{words}{CAPTION} (583 COVID-19, 291 Normal, 292 other pneumonia images)."
    table = lines[first + 2 : lines.index(SIDE_BY_SIDE.end)]
    assert table[0].count("|") == 8 and "parameters" not in table[0], "no column of costs that nobody measured"
    value = printed("swin-dual/table-5")["COVID-19", "I.Dice"]
    assert table[2] == f"| `swin-dual` | 0.713 [0.700, 0.725] | 44.0 % | 98.3 % | 0.944 | 0.680 | {value} |"
    assert table[3].startswith("| `unetpp-b3` | not run: run unetpp-b3 has no card.json |  |  |  |  | ")
    assert [line.split("|")[-2].strip() for line in table[5:]] == ["on CT", "on CT", "", "", ""]
    assert table[7] == "| **`reference`, ours** | 0.800 |  |  |  |  |  |"
    assert table[8].startswith("| no network: annotated lungs taken as infection | 0.646 [0.620, 0.670] |")
    assert len(table) == 2 + len(ROWS)


def test_side_by_side_with_costs(tmp_path: Path) -> None:
    folder = results(tmp_path / "r")
    costs = [
        Cell("reference", PARAMETERS, measured_correct=4_123_456),
        Cell("swin-dual-infection", PARAMETERS, note="nothing", status=NOT_RUN),
    ]
    write(
        Table(COST, HEADING, [*costs, Cell("reference", MINUTES, measured_correct=61.6)]),
        folder / "tables" / COST,
    )
    lines = written(folder, tmp_path / "page.md", settings())
    first = lines.index(SIDE_BY_SIDE.begin) + 1
    assert lines[first].startswith(CAPTION), "nothing was reduced"
    assert "| parameters | training, minutes on the idle device |" in lines[first + 2]
    assert "| **`reference`, ours** | 0.800 |  |  |  |  | 4,123,456 | 62 |  |" in lines
    assert any(
        line.startswith("| `swin-dual` | 0.713 [0.700, 0.725] | 44.0 % | 98.3 % | 0.944 | 0.680 |  |  | ")
        for line in lines
    )


def test_an_older_table_is_refused(tmp_path: Path) -> None:
    results(tmp_path)
    with (tmp_path / "tables" / f"{TABLE}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == set(COLUMNS)
    older = [row for row in rows if row["row"] != "reference (ours)"]
    for made in (lambda: block(HEADING, older, []), lambda: brief(HEADING, older)):
        with pytest.raises(ValueError, match=r"holds no reference \(ours\); make the table again"):
            made()


def test_the_short_table_has_the_systems_and_one_baseline(tmp_path: Path) -> None:
    lines = written(reduced(results(tmp_path / "r")), tmp_path / "page.md")
    shown = lines[lines.index(GLANCE.begin) + 1 : lines.index(GLANCE.end)]
    words = "**LITE: REDUCED OR CHANGED RUNS, listed in [docs/results.md](docs/results.md).** "
    assert shown[0] == f"{words}{CAPTION} (583 COVID-19, 291 Normal, 292 other pneumonia images)."
    value = printed("swin-dual/table-5")["COVID-19", "I.Dice"]
    assert shown[4] == f"| `swin-dual` | 0.713 [0.700, 0.725] | 44.0 % | 98.3 % | {value} |"
    assert shown[5] == f"| `unetpp-b3` | not run: run unetpp-b3 has no card.json |  |  | {printed_of('unetpp-b3')} |"
    assert len(shown) == 4 + len(ROWS) - 1 and "0.646" in shown[-1]


def printed_of(name: str) -> str:
    return next(printed_dice(shown) for shown in ROWS if shown.row == name)


def test_readme_has_the_first_findings_and_the_page_of_results_all(tmp_path: Path) -> None:
    folder = results(tmp_path / "r")
    rests = f"cells: {{dice: '{TABLE} | reference (ours) | {DICE}'}}\n  holds: ['dice > 0.5']\n"
    (folder / "claims.yaml").write_text("".join(f"- text: '{i}: {{dice:.1f}}'\n  {rests}" for i in range(5)))
    lines = written(folder, tmp_path / "page.md")
    for part, count in ((FINDINGS, 5), (FIRST_FINDINGS, FIRST)):
        first = lines.index(part.begin) + 1
        assert lines[first : lines.index(part.end)] == [f"- {i}: 0.8" for i in range(count)]


def test_each_part_is_on_one_of_the_two_pages() -> None:
    pages = [(ROOT / page).read_text() for page in PAGES]
    for part in BLOCKS:
        assert sorted(page.count(part.begin) for page in pages) == [0, 1], part.begin
        assert sum(page.count(part.end) for page in pages) == 1, part.end
    assert all("covidqu readme --results results/lite" in page for page in pages), "`covidqu check` looks for it"


def test_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120


def test_missing_marker_or_table(tmp_path: Path) -> None:
    page, long = tmp_path / "page.md", tmp_path / "long.md"
    for wrong, message in (
        ("nothing", "page.md: has no markers, such as <!-- side by side"),
        (HEADLINES.begin, "page.md: wants the markers <!-- results"),
        (f"{HEADLINES.begin}{HEADLINES.end}" * 2, "page.md: wants the markers <!-- results"),
    ):
        long.write_text(text := f"{SIDE_BY_SIDE.begin}\n{SIDE_BY_SIDE.end}\n")
        page.write_text(wrong)
        with pytest.raises(ValueError, match=message):
            readme(Sources(LITE, tmp_path, results(tmp_path / "r")), [long, page])
        assert (page.read_text(), long.read_text()) == (wrong, text), "all pages, or none"
    with pytest.raises(ValueError, match=r"cross-system\.csv: no such table"):
        readme(Sources(LITE, tmp_path, tmp_path / "nothing"), [long])
