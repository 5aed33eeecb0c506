"""The report's first page: the systems side by side, findings, papers; notes, reasons and titles of built tables."""

import re
from pathlib import Path

import pytest

from covidqu.page import citations, leaderboard
from covidqu.page.built import BuiltTable, Row, notes
from covidqu.page.runs import reduced
from covidqu.report.core.cells import COLUMNS
from covidqu.report.core.kinds import Status
from covidqu.report.core.published import SYSTEMS
from covidqu.report.core.sources import Sources
from support.places import ROOT
from support.synthetic_runs import settings

HEADER = ",".join(COLUMNS)
OVER = "share with more than 1 % of the image positive"


def cross_system(results: Path, cells: list[tuple[str, str, str, str]]) -> Sources:
    """A results folder with common/cross-system of these (row, column, value, sd)."""
    folder = results / "tables" / "common"
    folder.mkdir(parents=True)
    rows = [
        f'{row},"{column}",,,{value},,img_covid,583,,,run,official Test,1,,{sd},measured,performance,fraction,,'
        for row, column, value, sd in cells
    ]
    (folder / "cross-system.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    caption = "The five systems and ours on the same test images of the infection subset"
    (folder / "cross-system.md").write_text(f"# {caption}\n\n| row |\n\nA remark.\n")
    return Sources(settings(), results / "data", results)


def test_best_dice_first_and_a_mean_in_place_of_its_seed(tmp_path: Path):
    dice = "infection Dice"
    sources = cross_system(
        tmp_path,
        [
            ("swin-dual", dice, "0.7", ""),
            ("swin-dual", f"{OVER}, Normal", "0.44", ""),
            ("swin-dual", f"{OVER}, other pneumonia", "0.98", ""),
            ("reference (ours)", dice, "0.6", ""),
            ('"reference (ours), mean over seeds"', dice, "0.75", "0.01"),
            ("no network: lungs", dice, "0.65", ""),
        ],
    )
    lines = leaderboard.lines(sources)
    assert [line.name for line in lines[:3]] == [
        "reference, ours",
        "swin-dual",
        "no network: annotated lungs taken as infection",
    ]
    ours, swin, lungs = lines[:3]
    assert (
        ours.ours and ours.cells[dice]["sd"] == "0.01" and str(ours.cells[dice].number("sd")).endswith(">0.010</data>")
    )
    assert [swin.cells[f"{OVER}, {who}"]["measured_correct"] for who in ("Normal", "other pneumonia")] == [
        "0.44",
        "0.98",
    ]
    assert swin.by == "Hoang 2026" and swin.file == "paper-swin-dual.html"
    assert lungs.file == lungs.by == ""
    assert leaderboard.images(lines)[dice] == "583"


def test_every_paper_is_cited():
    found = citations.references()
    assert set(found) == set(SYSTEMS)
    assert found["recon-mtl"].authors == "Amine Amyar, Romain Modzelewski and Su Ruan"
    assert found["recon-mtl"].doi and found["unet-roi"].remark == "names no author"
    assert found["cbam-mtl"].short == "Kordnoori et al."


def test_a_remark_of_two_tables_is_one_note():
    one, other = (BuiltTable(name, "", [], [], remarks) for name, remarks in (("a", ["x", "y"]), ("b", ["y", "z"])))
    assert notes([one, other]) == {"x": 1, "y": 2, "z": 3}


@pytest.mark.parametrize("status", [Status.NOT_RUN, Status.UNDEFINED, Status.NO_OUTPUT])
def test_an_empty_cell_says_why(status: Status):
    cells = dict.fromkeys(COLUMNS, "") | {"note": "the class is never predicted", "status": status.value}
    assert Row(cells, None, 3, "").empty == (status.value, "the class is never predicted")
    assert Row(cells | {"status": "measured", "measured_correct": "0.5"}, None, 3, "").empty == ("", "")


def test_a_report_of_phantoms_says_that_its_numbers_mean_nothing() -> None:
    """Neither its first words nor its banner speak of a public archive, or of full trainings that would mean more."""
    drawn = settings(download={"source": "phantom"}, report={"title": "DEMO"})
    assert reduced(drawn, []) == "DEMO: drawn images of no patient; the numbers mean nothing."
    lead = re.search(
        r'<p class="lead">(.*?)Five papers', (ROOT / "src/covidqu/page/templates/index.html").read_text(), re.DOTALL
    )
    assert lead and "drawn images of no patient" in lead[1] and lead[1].startswith("{% if drawn %}")
