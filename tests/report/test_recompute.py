"""`covidqu check` of a results folder: what follows from its scores passes, whatever does not is named."""

import io
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from covidqu.cli import main
from covidqu.config.params import Params
from covidqu.evaluate.scores import read_scores, write_scores
from covidqu.report import catalogue
from covidqu.report.checks.committed import chosen, files, variants
from covidqu.report.checks.recompute import BAR, PAGES, recompute, shown
from covidqu.report.comparison import comparison
from covidqu.report.core.cells import Cell
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.papers import measured
from covidqu.report.readme import BLOCKS, readme
from covidqu.report.tables import build, write
from covidqu.stored import read_parquet
from support.places import ROOT
from support.synthetic_runs import settings, write_architectures, write_data, write_run

README, LONG = PAGES
RUNS = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted")
TABLES = ["unet-roi/table-1", "unet-roi/table-3", "unet-roi/table-4", "common/data", "common/overview"]
TABLES += ["common/cross-system"]
FIGURES = ["unet-roi/curves-unet-roi-lung", "unetpp-b3/figure-1", "unet-roi/figure-1"]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of tables and figures are made; printed values are still those of all papers."""
    few = SimpleNamespace(
        ARTEFACTS=catalogue.ARTEFACTS,
        tables=lambda params: {name: catalogue.table(name, params) for name in TABLES},
        figures=lambda params: {name: catalogue.figure(name, params) for name in FIGURES},
    )
    monkeypatch.setattr("covidqu.report.checks.recompute.catalogue", few)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, results of three runs, and a README and docs/results.md that show them."""
    root, params = tmp_path_factory.mktemp("original"), settings()
    results, data = root / "results", root / "data"
    write_data(data, ("infection",))
    for run in RUNS:
        write_run(results, params, run, {})
    write_architectures(results, params)
    for name in TABLES:
        write(build(Sources(params, data, results), name), results / "tables" / name)
    for name in FIGURES[:2]:  # the third shows images
        figure(Sources(params, data, results), name, results / f"figures/{name}.svg")
    comparison(params, data, results, results / "comparison.csv")
    (root / "docs").mkdir()
    for page, blocks in {README: BLOCKS[:2], LONG: BLOCKS[2:]}.items():
        marks = "".join(f"{block.begin}\n{block.end}\n" for block in blocks)
        (root / page).write_text(f"`covidqu readme --results results --out {page}`\n{marks}rest 1.0\n")
    readme(Sources(params, data, results), [root / README, root / LONG])
    return root


@pytest.fixture
def here(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a copy of `original`."""
    shutil.copytree(original, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


RESULTS = Path("results")


def found(params: Params, capsys: pytest.CaptureFixture[str], data: Path | None = None) -> tuple[int, list[str]]:
    """Exit status and the differences."""
    status = recompute([RESULTS], data, params)
    return status, capsys.readouterr().err.splitlines()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.usefixtures("here")
def test_what_follows_from_the_scores_passes_and_the_rest_is_skipped_with_its_reason(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recompute([RESULTS], None, params) == 0
    counts, *skipped = capsys.readouterr().out.splitlines()
    assert counts.startswith("results: 8 tables recomputed, ")  # four, comparison, three of pages
    assert counts.endswith(" values, 0 claims and 1 figures checked: 0 differences")
    need = "need the packed data, not here (--data FOLDER)"
    assert f"results: SKIPPED 2 tables: {need}: common/data, unet-roi/table-1" in skipped
    assert f"results: SKIPPED 1 figures: {need}: unetpp-b3/figure-1" in skipped
    assert "results: SKIPPED 1 figures: show patients, never committed: unet-roi/figure-1" in skipped
    assert any("rows of comparison.csv" in line for line in skipped)


CLAIM = """
- text: "{dice:.3f} on {dice_n:.0f} images."
  cells: {dice: "unet-roi/table-4 | Mean Dice Score | Value"}
  holds: ["dice > 2"]
"""


@pytest.mark.usefixtures("here")
def test_a_claim_that_the_tables_do_not_support_is_a_difference(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    (RESULTS / "claims.yaml").write_text(CLAIM.replace("> 2", "<= 1"))
    readme(Sources(params, RESULTS, RESULTS), [README, LONG])
    assert " images." in README.read_text() and " images." in LONG.read_text()
    assert found(params, capsys) == (0, [])
    (RESULTS / "claims.yaml").write_text(CLAIM)
    status, differences = found(params, capsys)
    assert status == 1 and any("'dice > 2' does not hold (dice = 0." in line for line in differences)


@pytest.mark.usefixtures("here")
def test_with_the_data_they_are_checked_as_well(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    assert recompute([RESULTS], Path("data"), params) == 0
    out = capsys.readouterr().out
    assert out.startswith("results: 10 tables recomputed, ")
    assert "2 figures checked: 0 differences" in out
    assert "need the packed data" not in out
    replace(RESULTS / "tables/unet-roi/table-1.csv", "Train", "Trian")
    status, faults = found(params, capsys, Path("data"))
    assert status == 1
    assert any("tables/unet-roi/table-1: row" in fault and "Trian" in fault for fault in faults)


@pytest.mark.usefixtures("here")
def test_near_duplicates_are_those_of_the_split(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    path = RESULTS / "runs" / RUNS[0] / "scores.parquet"
    scores, meta = read_scores(path)
    index, split = (read_parquet(Path("data") / name) for name in ("packed/index.parquet", "split.parquet"))
    marked = split["near_duplicate"].to_numpy(bool)[:3]
    scores.loc[:2, "id"] = index["id"][:3].to_numpy()
    scores.loc[:2, "near_duplicate"] = ~marked
    write_scores(path, scores, meta)
    assert not [line for line in found(params, capsys)[1] if "near_duplicate" in line], "only the data know"
    status, (fault, *_) = found(params, capsys, Path("data"))
    assert status == 1
    assert fault == f"results/runs/{RUNS[0]}/scores.parquet: near_duplicate of 3 images is not that of the split"
    assert recompute([RESULTS], Path("data"), params, fix=True) == 0
    capsys.readouterr()
    assert found(params, capsys, Path("data")) == (0, [])
    assert read_scores(path)[0]["near_duplicate"][:3].tolist() == marked.tolist() and read_scores(path)[1] == meta


@pytest.mark.usefixtures("here")
def test_a_moved_number_is_one_line(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    path = RESULTS / "tables/unet-roi/table-3.csv"
    line = next(line for line in path.read_text().splitlines() if line.startswith("Mean Dice Score,Value,"))
    value = line.split(",")[4]
    replace(path, line, line.replace(value, "0.123456", 1))
    status, (fault,) = found(params, capsys)
    assert status == 1
    start = "results/tables/unet-roi/table-3: row 'Mean Dice Score' / 'Value': measured_"
    assert fault.startswith(start)
    assert f"moved: '0.123456' -> '{value}'" in fault


def test_fix_puts_what_was_made_again_in_the_place_of_what_is_there(
    here: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}
    replace(RESULTS / "tables/unet-roi/table-3.csv", "Mean Dice Score,Value,", "Mean Dice Score,Other,")
    replace(RESULTS / "figures/unet-roi/curves-unet-roi-lung.svg", "<path", "<line")
    replace(README, BLOCKS[0].begin, f"{BLOCKS[0].begin}\nold 0.1234\n")
    shutil.copy(RESULTS / "tables/unet-roi/table-3.md", RESULTS / "tables/unet-roi/table-33.md")
    assert recompute([RESULTS], None, params, fix=True) == 0
    said = capsys.readouterr().err
    assert all(name in said for name in ("table-3:", "curves-unet-roi-lung.svg", "README.md", "table-33.md")), said
    assert {file: file.read_bytes() for file in here.rglob("*") if file.is_file()} == before
    assert found(params, capsys) == (0, [])


@pytest.mark.usefixtures("here")
def test_moved_scores_move_every_table_figure_and_readme_that_rests_on_them(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    write_other = settings()
    shutil.rmtree(RESULTS / "runs/unet-roi-lung")
    write_run(RESULTS, write_other, "unet-roi-lung", {"epochs": 3})
    history = RESULTS / "runs/unet-roi-lung/history.csv"
    history.write_text(history.read_text().replace("0.45", "0.65"))
    status, faults = found(params, capsys)
    assert status == 1
    for place in ("tables/unet-roi/table-3.md: text moved: ", "figures/unet-roi/curves-unet-roi-lung.svg: figure_1/"):
        assert any(fault.startswith(f"results/{place}") for fault in faults), place
    assert any(fault.startswith("results/comparison: row ") and "deviations moved" in fault for fault in faults)


@pytest.mark.usefixtures("here")
def test_the_page_of_results_is_checked(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    text = LONG.read_text()
    value = next(line for line in text.splitlines() if line.startswith("| unet-roi-lung: lung Dice")).split("|")[4]
    replace(LONG, value, " 0.999 (img_covid) ")
    replace(LONG, "rest 1.0", "rest 2.0")
    status, (fault,) = found(params, capsys)
    assert status == 1
    assert fault.startswith("docs/results.md: row 'unet-roi-lung: lung Dice': measured, correct protocol")
    assert f"moved: '0.999 (img_covid)' -> '{value.strip()}'" in fault


@pytest.mark.usefixtures("here")
def test_readmes_first_table_is_checked_and_a_lost_marker_is_a_fault(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    line = next(line for line in README.read_text().splitlines() if line.startswith("| `unet-roi`"))
    value = line.split("|")[2].strip()
    replace(README, value, "0.999")
    status, (fault,) = found(params, capsys)
    assert status == 1
    assert fault.startswith("README.md: row '`unet-roi`, lungs it predicts': infection Dice")
    assert f"moved: '0.999' -> '{value}'" in fault
    replace(README, BLOCKS[0].end, "")
    status, (fault,) = found(params, capsys)
    assert status == 1
    assert fault.startswith("README.md: cannot be written any more: ") and BLOCKS[0].end in fault


@pytest.mark.usefixtures("here")
def test_files_and_builders_belong_together(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    (RESULTS / "tables/unet-roi/table-3.csv").unlink()
    (RESULTS / "tables/unet-roi/table-9.csv").write_text("row\n")
    (RESULTS / "figures/unet-roi/old.svg").write_text("<svg/>")
    assert found(params, capsys) == (
        1,
        [
            "results/figures/unet-roi/old.svg: is committed, but nothing makes it any more",
            "results/tables/unet-roi/table-9.csv: is committed, but nothing makes it any more",
            "results/tables/unet-roi/table-3.csv: is made, but not committed",
        ],
    )


@pytest.mark.usefixtures("here")
def test_in_a_repository_only_committed_files_count(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("init -q", "add README.md docs results"):
        subprocess.run(["git", *command.split()], check=True)
    assert "tables/unet-roi/table-3.md" in files(RESULTS)
    (RESULTS / "tables/unet-roi/stray.csv").write_text("row\n")
    assert found(params, capsys) == (0, [])
    subprocess.run(["git", "rm", "-q", "--cached", "results/tables/unet-roi/table-3.md"], check=True)
    (RESULTS / "tables/unet-roi/table-4.csv").unlink()
    assert found(params, capsys) == (
        1,
        [
            "results/tables/unet-roi/table-3.md: is made, but not committed",
            "results/tables/unet-roi/table-4.csv: is committed, but not there",
        ],
    )


@pytest.mark.usefixtures("here")
def test_nothing_checked_is_no_pass(
    params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recompute(None, None, params) == 0, "results are found"
    shutil.rmtree(RESULTS)
    capsys.readouterr()
    assert recompute(None, None, params) == 3
    assert capsys.readouterr().out.startswith("nothing was checked")


def test_settings_of_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COVIDQU_PARAMS", raising=False)
    known = variants()
    assert [str(path) for path in known] == ["results", "results/demo", "results/lite", "results/night"]
    assert known[Path("results/lite")].report.title == "LITE"
    assert "recon-mtl-t123-512" not in known[Path("results")].resolved, "params.yaml alone, not the optional runs"
    assert list(chosen([ROOT / "results/lite"], None).values()) == [known[Path("results/lite")]]
    assert main(["check", "--results", str(ROOT / "src")]) == 2
    assert "no overlay writes there" in capsys.readouterr().err
    assert main(["check", "--data", str(ROOT / "src")]) == 2
    assert "holds no packed/index.parquet" in capsys.readouterr().err


def test_long_texts_are_shown_where_they_part() -> None:
    one, other = shown("LITE - " + "a" * 300 + " epochs 2" + "b" * 300, "LITE - " + "a" * 300 + " epochs 3").split(
        " -> "
    )
    assert one.startswith("'..." + "a" * 12 + " epochs 2bbb")
    assert other == "'..." + "a" * 12 + " epochs 3'"
    assert len(one) < 120


@pytest.mark.usefixtures("here")
def test_each_table_is_made_once(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    make, calls = measured.cells, []

    def counted(sources: Sources, name: str) -> list[Cell]:
        calls.append(name)
        return make(sources, name)

    monkeypatch.setattr(measured, "cells", counted)
    assert recompute([RESULTS], None, params) == 0
    assert calls.count("unet-roi/table-3") == 1, "itself, the overview and the comparison share it"


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("delay", "shown_then"), [(0, True), (60, False)])
def test_a_bar_on_a_terminal_where_it_takes_long(
    params: Params, monkeypatch: pytest.MonkeyPatch, delay: int, shown_then: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(BAR, "delay", delay)
    assert recompute([RESULTS], None, params) == 0
    assert ("results: tables:" in terminal.getvalue()) == shown_then
