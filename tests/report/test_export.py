"""Tables and figures for manuscripts: LaTeX that compiles, text that is text, and nothing that is not in the report."""

import csv
import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from covidqu.cli import main
from covidqu.config.params import load
from covidqu.report.core.cells import Cell, Table
from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Status
from covidqu.report.core.sources import Sources
from covidqu.report.export import SMALLEST, fit, flat, grid, write_table
from covidqu.report.figures import draw
from covidqu.report.tables import build
from support.places import EXPECTED, ROOT

DEMO = [ROOT / "params.yaml", ROOT / "workflow/overlays/demo.yaml"]
TABLE = Table(
    "unet-roi/table-9",
    Heading("", "", "Title of 5 % & more_runs"),
    [
        Cell("[18] raw", "A_b", 0.6167, 0.523, 0.690325, "img_all_e1", "img_covid", 583, 0.668461, 0.711904),
        Cell("[18] raw", "loss", None, 0.433),
        Cell("net {1} | ~^\\", "A_b", 0.5, status=Status.NOT_RUN, note="no card"),
        Cell("net {1} | ~^\\", "loss", 70, 1234, 1234, sd=2.5, seeds=3),
    ],
    ["`img_covid`: COVID-19 images, p < 0.05."],
)


def export(*words: object) -> int:
    settings = [word for file in DEMO for word in ("--params", str(file))]
    return main(["export", *map(str, words), "--results", str(EXPECTED), "--data", str(ROOT / "nowhere"), *settings])


def structure(tex: str) -> list[str]:
    """Rows of the one `tabular`; every environment is closed, every row has as many columns as are declared."""
    opened: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    found = re.search(r"\\begin\{tabular\}\{(l+)\}\n\\toprule\n(.*)\\bottomrule\n\\end\{tabular\}", tex, re.DOTALL)
    assert found is not None and found[2].count("\\midrule\n") == 1
    rows = found[2].replace("\\midrule\n", "").splitlines()
    for row in rows:
        assert row.endswith(" \\\\") and not row.startswith(("[", "*"))
        spans = sum(int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(re.split(r"(?<!\\)&", row)) + spans == len(found[1]), row
    return rows


def test_a_table_is_rows_by_columns_with_interval_and_printed_value(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        header, one, two = csv.reader(file)
    assert header == ["", "A_b, measured", "A_b, paper's protocol", "A_b, printed"] + [
        f"loss, {kind}" for kind in ("measured", "paper's protocol", "printed")
    ]
    assert one == ["[18] raw", "0.690 [0.668, 0.712]", "0.523", "0.6167", "", "0.433", ""]
    assert two == ["net {1} | ~^\\", "not run", "", "0.5", "1,234 ± 2.5", "", "70"]
    caption = (tmp_path / "t.txt").read_text()
    assert caption.startswith("Title of 5 % & more_runs. Measured: img_covid. In brackets: 95 % interval")
    assert "Not run: no card." in caption and TABLE.remarks[0] in caption


def test_markdown_has_the_same(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "t.md")
    title, _, header, rule, one, two, *_ = (tmp_path / "t.md").read_text().splitlines()
    assert title == f"# {TABLE.heading.short}"
    assert {line.replace("\\|", "").count("|") for line in (header, rule, one, two)} == {8}
    assert "| 0.690 [0.668, 0.712] | 0.523 | 0.6167 |" in one


def test_latex_is_escaped_and_whole(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "t.tex")
    tex = (tmp_path / "t.tex").read_text()
    top, kinds, one, two = structure(tex)
    assert r"\multicolumn{3}{c}{A\_b}" in top and kinds.count("printed") == 2
    assert one.startswith("{}[18] raw & 0.690 [0.668, 0.712] & 0.523 & 0.6167 &")
    assert two.startswith(r"net \{1\} \textbar{} \textasciitilde{}\textasciicircum{}\textbackslash{} & not run &")
    assert r"1,234 $\pm$ 2.5" in two
    assert r"\caption{Title of 5 \% \& more\_runs." in tex and r"\texttt{img\_covid}: COVID-19" in tex
    assert r"p \textless{} 0.05" in tex and r"\label{tab:unet-roi:table-9}" in tex


def test_a_table_of_holes_has_a_line_per_cell() -> None:
    cells = [Cell(str(i), f"c{i}", measured_correct=0.5, n=3) for i in range(4)]
    wide = grid(Table("a/b", Heading("", "", "t"), cells))
    assert list(wide.index) == [f"{i}, c{i}" for i in range(4)] and list(wide.columns) == ["measured"]
    assert list(flat(grid(Table("a/b", Heading("", "", "t"), [replace(c, row="r") for c in cells]))).columns) == [
        "c0",
        "c1",
        "c2",
        "c3",
    ]


@pytest.mark.parametrize("name", ["unet-roi/table-3", "cbam-mtl/table-2", "common/cross-system", "common/ablations"])
def test_tables_of_the_report(name: str, tmp_path: Path) -> None:
    out = tmp_path / "t.tex"
    assert export("table", name, "--out", out) == 0
    rows = structure(out.read_text())
    table = build(Sources(load(DEMO), ROOT / "nowhere", EXPECTED), name)
    assert len(rows) == len(grid(table)) + grid(table).columns.nlevels
    assert r"\caption{DEMO" in out.read_text(), "a reduced run says so"


def objects(pdf: bytes) -> str:
    """All streams of a PDF, as text."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return "".join(zlib.decompress(s).decode("latin-1") for s in streams if s[:1] == b"x")


@pytest.mark.parametrize(
    ("name", "width"),
    [("unet-roi/curves-unet-roi-lung", "3.5"), ("common/ablations", "3.5"), ("unet-roi/architecture", "7")],
)
def test_a_figure_is_vector_with_text_and_its_caption_beside_it(name: str, width: str, tmp_path: Path) -> None:
    out = tmp_path / "f.pdf"
    assert export("figure", name, "--width", width, "--out", out) == 0
    pdf, caption = out.read_bytes(), out.with_suffix(".txt").read_text()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf)
    assert box is not None and float(box[1]) == pytest.approx(72 * float(width))
    assert float(box[2]) < 72 * 9.5, "fits a page"
    assert b"/Type3" not in pdf and b"/FontFile2" in pdf, "TrueType"
    drawn = objects(pdf)
    assert drawn.count("BT\n") > 5, "text is text"
    assert "Image" not in drawn and b"/Subtype /Image" not in pdf
    assert "DEMO" in caption and caption.count("\n") == 1
    assert "DEMO" not in "".join(re.findall(r"\(([^)]*)\)", drawn)), "the title is not drawn"
    assert export("figure", name, "--width", width, "--out", tmp_path / "g.pdf") == 0
    assert (tmp_path / "g.pdf").read_bytes() == pdf, "the same bytes"


@pytest.mark.parametrize("width", [3.5, 7.0])
def test_no_text_leaves_a_figure(width: float) -> None:
    params = load(DEMO)
    sources = Sources(params, ROOT / "nowhere", EXPECTED)
    drawn = draw(sources, "common/ablations")
    drawn.suptitle("")
    fit(drawn, width)
    drawn.draw_without_rendering()
    whole = drawn.bbox
    for axes in drawn.axes:
        for placed in (*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_yticklabels()):
            if placed.get_text() and placed.get_visible():
                extent = placed.get_window_extent()
                assert whole.x0 - 1 <= extent.x0 and extent.x1 <= whole.x1 + 1, placed.get_text()
                assert placed.get_fontsize() >= SMALLEST * 0.8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("table", "unet-roi/table-4", "--out", "t.pdf"), "a table is written as .tex, .md, .csv"),
        (("figure", "common/cost", "--out", "f.svg"), "a figure is written as .pdf"),
        (("table", "unet-roi/table-3", "--out", "t.md", "--width", "7"), "--width: is for figures"),
        (("figure", "common/bland-altman", "--out", "f.pdf", "--width", "3.5"), "letters would have 2.7 points"),
        (("table", "unet-roi/table-99", "--out", "t.md"), "table-99"),
    ],
)
def test_faults_are_one_line(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert export(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("covidqu export: ") and message in line
    assert not list(tmp_path.iterdir())
