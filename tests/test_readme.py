"""The results in README are written by a command, between two markers, and nothing else is touched."""

from pathlib import Path

import pytest

from covidqu.report.overview import BEGIN, END, readme

HEADER = (
    "row,column,published,measured_paper,measured_correct,protocol_paper,protocol_correct,n,ci_low,ci_high,seeds,note\n"
)


def results(folder: Path, *rows: str) -> Path:
    tables = folder / "tables" / "common"
    tables.mkdir(parents=True)
    (tables / "overview.csv").write_text(HEADER + "\n".join(rows) + "\n")
    (tables / "overview.md").write_text("# LITE - REDUCED RUN\n\n| a |\n")
    return folder


def test_measured_and_not_run(tmp_path: Path) -> None:
    folder = results(
        tmp_path / "r",
        "lung,unet-roi/table-3,0.969,0.95,0.9512345,img_all_e1,img_covid,583,0.94,0.96,1,",
        "infection,unet-roi/table-4,0.6167,,,,,,,,,not run: no scores",
        "accuracy,cbam-mtl/table-4,96.22,,81.5,,class_argmax,874,,,3,SD 1 over 3 seeds",
    )
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    readme(folder, page)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| lung | 0.969 | 0.950 (img_all_e1) | 0.951 [0.940, 0.960] (img_covid) | 583 |" in lines
    assert "| infection | 0.6167 |  | not run: no scores |  |" in lines, "a printed value never fills a cell of ours"
    assert "| accuracy | 96.22 |  | 81.500 (class_argmax, mean of 3 seeds) | 874 |" in lines
    assert "<details><summary>LITE: REDUCED RUNS; what each has otherwise than the full run</summary>" in lines
    assert "LITE - REDUCED RUN." in lines
    assert "old" not in lines


def test_missing_marker_or_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="wants the markers"):
        readme(results(tmp_path / "r"), page)
    with pytest.raises(ValueError, match=r"overview\.csv: no such table"):
        readme(tmp_path / "nothing", page)
    assert page.read_text() == "no markers"
