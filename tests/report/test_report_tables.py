"""Tables and comparison from synthetic scores: nothing invented, nothing lost, shortcuts in the title."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidqu.config.params import Params, check, read
from covidqu.report import catalogue
from covidqu.report.comparison import comparison
from covidqu.report.core import provenance
from covidqu.report.core.cells import Cell, Table, text, with_published
from covidqu.report.core.heading import Heading
from covidqu.report.core.kinds import Kind, Status
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.core.wide import page
from covidqu.report.readme import BLOCKS, readme
from covidqu.report.systems.cross_system import MEAN
from covidqu.report.systems.overview import OURS_ROW
from covidqu.report.tables import build, tables, write
from support.places import ROOT
from support.synthetic_runs import (
    PX,
    cell,
    scores,
    settings,
    write_architectures,
    write_baselines,
    write_cost,
    write_data,
    write_explained,
    write_run,
)

SETTINGS = {("unetpp-b3", "table-1"), ("cbam-mtl", "table-5")}
WITHOUT_RUNS = (
    "unetpp-b3/table-1",
    "cbam-mtl/table-5",
    "common/published-consistency",
    "common/printed-gap",
)  # nothing measured


@pytest.fixture(scope="module")
def params() -> Params:
    return settings(optional=True)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, params: Params) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("full")
    write_data(root / "data", ("infection", "lung"))
    for run in params.resolved:
        write_run(root / "results", params, run, {})
    for run in params.explain:
        write_explained(root / "results", params, run)
    write_architectures(root / "results", params)
    write_baselines(root / "results", params)
    write_cost(root / "results", params)
    for run in catalogue.validated(params):
        shutil.copy(*(root / "results" / "runs" / run / name for name in ("scores.parquet", "validation.parquet")))
    return root / "data", root / "results"


@pytest.fixture
def empty(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "data", tmp_path / "results"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


PANEL = ["unet-roi-infection", "unet-roi-infection-predicted"]


@pytest.fixture(scope="module")
def everything(params: Params, full: tuple[Path, Path]) -> dict[str, Table]:
    """All tables of a complete set of runs."""
    return {name: build(Sources(params, *full), name) for name in catalogue.tables(params)}


@pytest.fixture(scope="module")
def compared(params: Params, full: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of a complete set of runs."""
    path = tmp_path_factory.mktemp("compared") / "comparison.csv"
    comparison(params, *full, path)
    return path


def test_every_table_is_written_twice_the_same(
    params: Params, full: tuple[Path, Path], everything: dict[str, Table], tmp_path: Path
) -> None:
    for name, built in everything.items():
        write(built, tmp_path / "a" / name)
        tables([name], params, *full, tmp_path / "b")
        for suffix in (".csv", ".md"):
            one = (tmp_path / "a" / f"{name}{suffix}").read_bytes()
            assert one and one == (tmp_path / "b" / f"{name}{suffix}").read_bytes()


def test_a_complete_set_of_runs_leaves_no_cell_not_run(everything: dict[str, Table]) -> None:
    for name, built in everything.items():
        left = [c for c in built.cells if c.status is Status.NOT_RUN]
        assert [c for c in left if not printed_only(name, c)] == [], name


def printed_only(name: str, found: Cell) -> bool:
    system, short = name.split("/", 1)
    return system in SYSTEMS and paper(system).only(short, found.row) is not None


def test_without_anything_every_cell_is_empty_and_says_why(params: Params, empty: tuple[Path, Path]) -> None:
    sources = Sources(params, *empty)
    for name in catalogue.tables(params):
        if name not in WITHOUT_RUNS:
            for found in build(sources, name).cells:
                if found.kind in (Kind.ARITHMETIC, Kind.SETTING):
                    continue
                assert not found.measured and found.ci_low is None and found.n is None
                assert found.status in (Status.NOT_RUN, Status.PRINTED_ONLY, Status.NO_OUTPUT), (name, found)
                assert found.note, (name, found)


def test_absent_lung_subset_is_named(params: Params, tmp_path: Path) -> None:
    write_data(tmp_path / "data", ("infection",))
    sources = Sources(params, tmp_path / "data", tmp_path / "results")
    found = cell(build(sources, "swin-dual/table-1"), "Train", "Normal")
    assert (found.measured_correct, found.published) == (None, 6849)
    assert found.words == "not run: the lung subset is not in this archive"
    assert cell(build(sources, "swin-dual/table-2"), "Train", "COVID-19").measured_correct == 6
    assert cell(build(sources, "swin-dual/table-3"), "Image Size", "Infection Segmentation").measured_paper == "256x256"
    masks = cell(build(sources, "swin-dual/table-3"), "Infection Masks", "Infection Segmentation")
    assert masks.measured_correct == masks.published == "Yes (COVID-19 only)"


def test_numbers_of_paper_001_follow_their_protocols(params: Params, full: tuple[Path, Path]) -> None:
    sources = Sources(params, *full)
    s = scores(("infection",), len("unetpp-b3"))
    tp, fp, fn = (s[f"infection_{k}"].to_numpy(float) for k in ("tp", "fp", "fn"))
    dice = cell(build(sources, "unetpp-b3/table-2"), "Dice Coefficient", "Score")
    batches = [slice(i, i + 8) for i in range(0, 24, 8)]
    pooled = [2 * tp[b].sum() / max(1.0, (2 * tp[b] + fp[b] + fn[b]).sum()) for b in batches]
    assert dice.measured_paper == pytest.approx(np.mean(pooled))
    assert dice.measured_correct == pytest.approx(2 * tp.sum() / (2 * tp + fp + fn).sum())
    assert (dice.published, dice.protocol_paper, dice.protocol_correct) == (0.896, "batch8_seq", "pooled_all")
    covid = cell(build(sources, "unetpp-b3/table-3"), "COVID-19", "Dice")
    per_image = (2 * tp / np.maximum(1, 2 * tp + fp + fn))[:12]
    assert covid.measured_paper == pytest.approx(per_image.mean()) == covid.measured_correct
    assert covid.ci_low < covid.measured_correct < covid.ci_high
    assert (covid.n, covid.run, covid.split, covid.seeds) == (12, "unetpp-b3", "official Test", 1)
    normal = cell(build(sources, "unetpp-b3/table-3"), "Normal", "Dice")
    assert normal.measured_paper == pytest.approx(5 / 6)  # one of six is not blank
    assert normal.measured_correct is None and "undefined" in normal.note
    built = build(sources, "unetpp-b3/table-2")
    shares = [cell(built, f"{label} images", "share with a positive pixel") for label in ("Normal", "Non-COVID")]
    assert [share.measured_correct for share in shares] == [pytest.approx(1 / 6), pytest.approx(2 / 6)]


def test_numbers_of_paper_002_follow_their_protocols(params: Params, full: tuple[Path, Path]) -> None:
    sources = Sources(params, *full)
    built = build(sources, "unet-roi/table-4")
    s = scores(("infection",), len("unet-roi-infection"))
    tp, fp, fn = (s[f"infection_{k}"].to_numpy(float) for k in ("tp", "fp", "fn"))
    whole = 2 * tp + fp + fn
    every = np.where(whole == 0, 1, 2 * tp / np.maximum(1, whole))
    found = cell(built, "Mean Dice Score", "Value")
    assert found.measured_paper == pytest.approx(every.mean())
    assert found.measured_correct == pytest.approx(every[:12].mean())
    assert found.note == "ROI ground-truth"
    predicted = cell(built, "Mean Dice Score", "Value, ROI predicted")
    assert (predicted.published, predicted.note) == (None, "ROI unet-roi-lung")
    assert predicted.measured_correct != found.measured_correct
    loss = cell(built, "Mean Loss", "Value")
    expected = []
    for b in (slice(0, 16), slice(16, 24)):
        inter, pred = s["infection_soft_intersection"][b].sum(), s["infection_soft_prediction"][b].sum()
        soft = 1 - (2 * inter + 1) / (pred + (tp + fn)[b].sum() + 1)
        expected.append(0.5 * s["infection_bce"][b].mean() + 0.5 * soft)
    assert loss.measured_paper == pytest.approx(np.mean(expected))


def test_leakage_reports_with_and_without_near_duplicates(params: Params, full: tuple[Path, Path]) -> None:
    built = build(Sources(params, *full), "common/leakage")
    row = "unetpp-b3: infection Dice"
    everything, clean = cell(built, row, "all test images"), cell(built, row, "without near-duplicates")
    assert (everything.n, clean.n) == (12, 11)
    assert everything.measured_correct != clean.measured_correct
    accuracy = [cell(built, "swin-dual-infection: accuracy", c) for c in ("all test images", "without near-duplicates")]
    assert [c.n for c in accuracy] == [24, 22] and accuracy[0].protocol_correct == "class_argmax"
    assert cell(built, "pairs Train - Test", "count").measured_correct == 1
    assert cell(built, "pairs Train - Val", "count").measured_correct == 0


def test_facts_of_the_audit_stand_beside_the_printed_counts(params: Params, full: tuple[Path, Path]) -> None:
    built = build(Sources(params, *full), "common/data")
    found = cell(built, "counts.infection.Train.Normal", "value")
    assert (found.published, found.measured_correct) == (932, 3)
    assert cell(built, "counts_agree", "value").measured_correct == "no"
    assert not [c for c in built.cells if c.row.startswith(("expected", "limits"))]
    text_area = cell(
        build(Sources(params, *full), "unetpp-b3/text"), "infection area, typical fraction of image", "value"
    )
    # Train, Val, Test; as many images are without infection
    areas = [6000, 7000, 8000] * 2 + [6000] * 2 + [6000, 7000] * 2
    assert text_area.measured_correct == pytest.approx(np.mean(areas) / PX)
    assert text_area.measured_paper == pytest.approx(np.mean(areas) / PX / 2)


def test_titles_name_every_shortcut(tmp_path: Path) -> None:
    params = settings(report={"title": "LITE"})
    write_run(tmp_path, params, "unetpp-b3", {"image_px": 128, "epochs": 3, "init": "random"})
    write_run(tmp_path, params, "unet-roi-lung", {"subset": "infection"})
    sources = Sources(params, tmp_path / "data", tmp_path)
    one = build(sources, "unetpp-b3/table-2").heading.text
    assert one.startswith("LITE - Paper 001 (U-Net++ with an EfficientNet-B3 encoder), table 2: overall test")
    assert "NOT PRETRAINED (encoder weights: none)" in one
    assert "REDUCED RUN (image_px 128 instead of 256; epochs 3 instead of 30)" in one
    small = "lung masks from the infection subset (104 images), not from the 33,920-image lung subset"
    assert small in build(sources, "unet-roi/table-3").heading.text
    assert f"unet-roi-lung: {small}" in build(sources, "unet-roi/table-4").heading.text  # the weights come from there
    assert "REDUCED" not in build(sources, "unet-roi/table-3").heading.text
    (tmp_path / "runs" / "unet-roi-lung" / "scores.parquet").unlink()  # known how it was trained, though not scored
    assert (
        "lung masks from the infection subset (80 images)"
        in build(Sources(params, tmp_path, tmp_path), "unet-roi/table-4").heading.text
    )


def test_the_table_of_settings_says_how_they_differ(tmp_path: Path) -> None:
    plain = build(Sources(settings(), tmp_path, tmp_path), "unetpp-b3/table-1")
    assert plain.heading.text.endswith("table 1: training hyper-parameters")
    assert cell(plain, "Early stopping patience", "Value").measured_correct == 5
    reduced = settings(runs={"unetpp-b3": {"init": "random", "image_px": 64, "patience": None}})
    built = build(Sources(reduced, tmp_path, tmp_path), "unetpp-b3/table-1")
    assert (
        "NOT PRETRAINED (encoder weights: none) - REDUCED RUN (image_px 64 instead of 256; patience None instead of 5)"
        in built.heading.text
    )
    assert cell(built, "Input size", "Value").measured_correct == "64x64"
    assert cell(built, "Early stopping patience", "Value").measured_correct == "none"


def test_overview_repeats_the_cells_of_each_system(
    params: Params, everything: dict[str, Table], tmp_path: Path
) -> None:
    built = everything["common/overview"]
    assert {c.row.split(":")[0] for c in built.cells} >= {"swin-dual-infection", "unetpp-b3", "recon-mtl-t123"}
    assert all(c.measured for c in built.cells)
    ours = {c.column: c for c in everything["common/cross-system"].cells if c.row == f"{OURS_ROW}{MEAN}"}
    lung = cell(built, f"{OURS_ROW}: lung Dice", "common/cross-system")
    assert (lung.measured_correct, lung.seeds) == (ours["lung Dice"].measured_correct, 3)
    assert cell(built, f"{OURS_ROW}: accuracy, three classes", "common/overview").seeds == 3
    assert cell(built, f"{OURS_ROW}: accuracy, three classes", "common/overview").n == 24
    for name in ("common/overview", "common/cross-system"):
        write(everything[name], tmp_path / "tables" / name)
    page = tmp_path / "README.md"
    page.write_text("".join(["# T\n", *(f"{block.begin}\nold\n{block.end}\n" for block in BLOCKS), "rest\n"]))
    readme(Sources(params, tmp_path, tmp_path), [page])
    lines = {line.split("|")[1].strip(): line for line in page.read_text().splitlines() if line.startswith("|")}
    several = lines["cbam-mtl-unet-proposed: accuracy, COVID-19 or Normal, percent (printed: CT)"]
    assert ", mean of 3 seeds)" in several and " ± " in several
    assert "seeds" not in lines["recon-mtl-t123: AUC, COVID-19 or not (printed: CT)"] and "[]" not in page.read_text()
    assert "old" not in page.read_text() and page.read_text().endswith("rest\n")


def test_comparison_holds_every_printed_value_once_and_copies_none(
    params: Params, empty: tuple[Path, Path], compared: Path, tmp_path: Path
) -> None:
    comparison(params, *empty, tmp_path / "empty.csv")
    wanted = [
        (f"{system}/{short}".split("/", 1)[0], short, row, column, text(value))
        for system in SYSTEMS
        for short, t in paper(system).tables.items()
        for (row, column), value in t.cells().items()
    ]
    for path in (compared, tmp_path / "empty.csv"):
        rows = [r for r in read_csv(path) if r["table"] != "stated-settings"]
        assert [(r["system"], r["table"], r["row"], r["column"], r["published"]) for r in rows] == wanted
        for r in rows:
            measured = bool(r["measured_paper"] or r["measured_correct"])
            assert measured == (r["status"] == "measured")
            assert (r["kind"] == "setting") >= ((r["system"], r["table"]) in SETTINGS)
            assert measured or (r["reason"] and not r["n"] and not r["run"])
    rows = [r for r in read_csv(compared) if r["table"] != "stated-settings"]
    for r in rows:
        assert (r["status"] == "measured") == (paper(r["system"]).only(r["table"], r["row"]) is None)
    by_key = {(r["system"], r["table"], r["row"], r["column"]): r for r in rows}
    assert by_key["cbam-mtl", "table-1", "Polat [15]", "Year"]["status"] == "printed only"
    patients = by_key["recon-mtl", "text", "patients total", "value"]
    assert (patients["status"], patients["measured_correct"]) == ("printed only", "")
    assert {
        r["status"] for r in read_csv(tmp_path / "empty.csv") if r["table"] == "table-3" and r["paper"] == "001"
    } == {"not run"}


def test_comparison_has_what_papers_state_of_their_settings(compared: Path, params: Params) -> None:
    rows = {r["row"]: r for r in read_csv(compared) if r["table"] == "stated-settings"}
    assert {r["kind"] for r in rows.values()} == {"setting"} and {r["verdict"] for r in rows.values()} == {"setting"}
    for system in SYSTEMS:
        for run, entries in provenance.read(system).runs.items():
            stated = [
                key for key, entry in entries.items() if isinstance(entry, provenance.Entry) and entry.how == "stated"
            ]
            assert run not in params.resolved or {f"{run}: {key}" for key in stated} <= set(rows)
    assert (rows["unetpp-b3: patience"]["published"], rows["unetpp-b3: patience"]["why"]) == ("5", "as printed")
    window = rows["swin-dual: window of attention"]
    assert (window["published"], window["why"]) == ("7", "not as printed") and "counts" in window["reason"]


def test_comparison_repeats_the_tables(params: Params, full: tuple[Path, Path], compared: Path, tmp_path: Path) -> None:
    tables(["unetpp-b3/table-3"], params, *full, tmp_path)
    cells = {(r["row"], r["column"]): r for r in read_csv(tmp_path / "unetpp-b3/table-3.csv")}
    rows = [r for r in read_csv(compared) if (r["paper"], r["table"]) == ("001", "table-3")]
    assert len(rows) == 12
    for r in rows:
        for column in (
            "measured_paper",
            "measured_correct",
            "protocol_paper",
            "protocol_correct",
            "n",
            "ci_low",
            "ci_high",
            "run",
        ):
            assert r[column] == cells[r["row"], r["column"]][column]


def test_comparison_says_how_a_run_was_reduced(params: Params, tmp_path: Path) -> None:
    write_data(tmp_path / "data", ("infection",))
    write_run(tmp_path, params, "unet-roi-lung", {"epochs": 2})
    write_run(tmp_path, params, "unet-roi-infection", {})
    comparison(params, tmp_path / "data", tmp_path, tmp_path / "comparison.csv")
    rows = {(r["system"], r["table"], r["row"]): r for r in read_csv(tmp_path / "comparison.csv")}
    found = rows["unet-roi", "table-4", "Mean Dice Score"]
    assert found["deviations"] == "unet-roi-lung: REDUCED RUN (epochs 2 (full size: 30))", "its weights start there"
    assert rows["unetpp-b3", "table-2", "IoU Score"]["deviations"] == ""


def test_a_run_that_is_not_in_the_parameters_is_not_run(full: tuple[Path, Path]) -> None:
    raw = read([ROOT / "params.yaml"])
    del raw["runs"]["unetpp-b3"]
    params = check(raw)
    assert catalogue.table("unetpp-b3/table-2", params).behind(params) == []
    found = cell(build(Sources(params, *full), "unetpp-b3/table-2"), "Dice Coefficient", "Score")
    assert found.words == "not run: run unetpp-b3 is not in the parameters" and not found.measured
    assert "unetpp-b3/curves-unetpp-b3" not in catalogue.figures(params)


def test_targets_name_their_inputs(params: Params) -> None:
    assert catalogue.table("unet-roi/table-4", params).behind(params) == ["unet-roi-lung", *PANEL]
    assert lineage(params, ["unet-roi-infection"]) == ["unet-roi-lung", "unet-roi-infection"]
    with pytest.raises(ValueError, match=r"no table is called 'x/y'; tables are: .*unet-roi/table-4"):
        catalogue.table("x/y", params)


def test_a_printed_value_without_a_cell_is_noticed() -> None:
    with pytest.raises(AssertionError, match="printed values without a cell"):
        with_published("unet-roi/table-3", [Cell("Mean Loss", "Value", measured_paper=0.1)])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (3, "3"), (1.0, "1.0"), (0.1234567, "0.123457"), (-1e-9, "0.0"), (0.896, "0.896"), ("a", "a")],
)
def test_numbers_are_written_with_six_decimals_at_most(value: Any, shown: str) -> None:
    assert text(value) == shown


def test_markdown_is_rows_by_columns_with_what_was_reduced_below() -> None:
    cells = [
        Cell("a|b", "c", 0.4, measured_correct=0.5, ci_low=0.4512, ci_high=0.55),
        Cell("a|b", "d", 3, note="no card", status=Status.NOT_RUN),
    ]
    shown = page(Table("x/y", Heading("LITE", "Paper", "T", ["REDUCED"]), cells, ["remark"]))
    assert shown.splitlines() == [
        "# LITE: REDUCED OR CHANGED RUNS - Paper: T",
        *("", "|  | c, measured | c, printed | d, measured | d, printed |", "| --- | --- | --- | --- | --- |"),
        r"| a\|b | 0.500 [0.451, 0.550] | 0.4 | not run | 3 |",
        *("", "In brackets: 95 % interval over images.", "", "Not run: no card.", "", "remark"),
        *("", "How runs differ from the full ones:", "", "- REDUCED"),
    ]


def test_reports_never_import_torch() -> None:
    modules = (
        "covidqu.report.tables, covidqu.report.figures, covidqu.report.comparison, covidqu.report.checks.recompute"
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
