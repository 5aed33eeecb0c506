"""README's demo on synthetic data: what any machine must make of it, whatever its instruction set.

Trainings drift apart between instruction sets, so no number of theirs is compared: tests/report/test_results.py does
that for tables of committed scores. Here every step runs; what no training decides is exactly what is committed; and
what was trained must have learnt what can be learnt in so few steps, by a wide margin.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidqu.config.params import load
from covidqu.evaluate import classification, protocols
from covidqu.report import catalogue
from covidqu.report.checks.check import Content, differences, read_rows
from covidqu.report.core.runs import HEADLINES
from support.places import EXPECTED, ROOT

pytestmark = pytest.mark.pipeline
PARAMS = load([ROOT / "params.yaml", ROOT / "workflow/overlays/demo.yaml"])
TRAINED = [name for name in PARAMS.runs if PARAMS.run(name).epochs]
MASKED = [name for name in HEADLINES if "infection" in PARAMS.run(name).tasks]
LEARNT = ("unet-roi-infection", "unet-roi-infection-predicted", "unetpp-b3", "swin-dual-infection", "reference")
CLASSES = ("cbam-mtl-unet-proposed",)
BLANK, MEAN_MAP = 0.1, 0.03  # margins of Dice above these masks
AUC, FELL = 0.6, 0.98  # of COVID-19 against the rest; best training loss as a share of the first
MEASURED = ("measured_paper", "measured_correct", "n", "ci_low", "ci_high", "run", "split", "seeds", "note")
MEASURED += ("sd", "protocol_paper", "protocol_correct", "status", "reason", "deviations", "verdict", "why")
MEASURED += ("kind", "unit")  # an undefined value may have neither
FACTS = ("system", "config", "params_hash", "data_hash", "train_images", "val_images", "parameters", "epochs_run")
IMAGE = ("row", "id", "subset", "label", "name", "near_duplicate", "n_px", "lung_area_px", "class_target")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the tracked files in which the demo was run, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith("results/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    environment.pop("COVIDQU_PARAMS", None)
    done = subprocess.run(
        ["snakemake", "--cores", "2", "--configfile", "workflow/overlays/demo.yaml"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return folder, done.stdout


def results(demo: tuple[Path, str]) -> Path:
    return demo[0] / "results" / "demo"


def same_names(made: Path, pattern: str) -> list[str]:
    """Names of the files of both folders, which must have the same."""
    names, expected = (
        sorted(str(path.relative_to(folder)) for path in folder.glob(pattern)) for folder in (made, EXPECTED)
    )
    assert names == expected
    assert names
    return names


def undecided(row: dict[str, str]) -> bool:
    """Whether a training decides on a row: its run gave the values, or its predictions left them undefined."""
    return bool(row["run"]) or not (row["measured_paper"] or row["measured_correct"])


def decided(content: Content) -> Content:
    """The table with what no training decides; in place of other fields, that a training decides on them."""
    columns, rows = content
    free = {column: "of a training" for column in MEASURED if column in columns}
    return columns, {key: row | free if undecided(row) else row for key, row in rows.items()}


@pytest.mark.parametrize(("table", "compared"), [("unet-roi/table-2", True), ("unet-roi/table-3", False)])
def test_a_count_that_moved_is_named_and_a_number_of_a_training_is_not(table: str, compared: bool) -> None:
    was = read_rows(EXPECTED / "tables" / f"{table}.csv")
    moved = {key: row | {"measured_correct": "0.123"} for key, row in was[1].items() if row["measured_correct"]}
    faults = differences(table, decided(was), decided((was[0], was[1] | moved))).faults
    assert len(faults) == (len(moved) if compared else 0)
    absent = {key: row | {"measured_paper": "", "measured_correct": "", "run": ""} for key, row in was[1].items()}
    assert bool(differences(table, decided(was), decided((was[0], absent))).faults) == compared


def test_every_table_has_its_rows_and_what_no_training_decides(demo: tuple[Path, str]) -> None:
    made, faults = results(demo), []
    names = [*same_names(made, "tables/*/*.csv"), *same_names(made, "comparison.csv")]
    same_names(made, "tables/*/*.md"), same_names(made, "figures/*/*.svg")
    assert len(names) == len(catalogue.tables(PARAMS)) + 1
    for name in names:
        was, now = (decided(read_rows(folder / name)) for folder in (EXPECTED, made))
        faults += differences(name, was, now).faults
    assert not faults, "\n".join(faults)


def test_settings_data_and_networks_are_the_committed_ones(demo: tuple[Path, str]) -> None:
    made = results(demo)
    for name in same_names(made, "runs/*/card.json"):
        was, now = (json.loads((folder / name).read_text()) for folder in (EXPECTED, made))
        assert was.keys() == now.keys()
        assert [now[fact] for fact in FACTS] == [was[fact] for fact in FACTS], name
    assert (made / "architectures.json").read_bytes() == (EXPECTED / "architectures.json").read_bytes()
    was, now = (json.loads((folder / "cost.json").read_text())["runs"] for folder in (EXPECTED, made))
    assert {run: counted(entry) for run, entry in now.items()} == {run: counted(entry) for run, entry in was.items()}


def counted(entry: dict[str, Any]) -> dict[str, Any]:
    """What `cost` counted; not what it measured."""
    return {key: value for key, value in entry.items() if key not in ("inference", "training")}


def test_scores_are_of_the_committed_images_and_annotations(demo: tuple[Path, str]) -> None:
    made = results(demo)
    for name in same_names(made, "*/*/*.parquet"):
        was, now = (pd.read_parquet(folder / name) for folder in (EXPECTED, made))
        assert list(now.columns) == list(was.columns), name
        fixed = [column for column in now.columns if column in IMAGE]
        pd.testing.assert_frame_equal(now[fixed], was[fixed], check_exact=True, obj=name)
        for part in (column.removesuffix("_tp") for column in now.columns if column.endswith("_tp")):
            assert (now[f"{part}_tp"] + now[f"{part}_fn"]).equals(was[f"{part}_tp"] + was[f"{part}_fn"]), name
            assert (now[[f"{part}_{count}" for count in ("tp", "fp", "fn", "tn")]].sum(axis=1) == now["n_px"]).all(), (
                name
            )


def test_reference_points_are_the_committed_ones(demo: tuple[Path, str]) -> None:
    made = results(demo)
    for name in same_names(made, "baselines/*/scores.parquet"):
        was, now = (pd.read_parquet(folder / name) for folder in (EXPECTED, made))
        pd.testing.assert_frame_equal(now, was, rtol=0, atol=1e-4, obj=name)  # of logits; counts are integers


@pytest.mark.parametrize("run", TRAINED)
def test_its_loss_fell(demo: tuple[Path, str], run: str) -> None:
    history = pd.read_csv(results(demo) / "runs" / run / "history.csv")
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert np.isfinite(history.to_numpy(float)).all()
    assert history["train_loss"].min() < FELL * history["train_loss"].iloc[0]


@pytest.mark.parametrize("run", MASKED)
def test_its_masks_beat_the_blank_one(demo: tuple[Path, str], run: str) -> None:
    assert dice(demo, f"runs/{run}") > BLANK + dice(demo, "baselines/empty")


@pytest.mark.parametrize("run", LEARNT)
def test_its_masks_beat_the_mean_map(demo: tuple[Path, str], run: str) -> None:
    assert dice(demo, f"runs/{run}") > MEAN_MAP + dice(demo, "baselines/mean-map")


@pytest.mark.parametrize("run", CLASSES)
def test_its_class_head_tells_covid_19_apart(demo: tuple[Path, str], run: str) -> None:
    found, target = classification.of_scores(pd.read_parquet(results(demo) / "runs" / run / "scores.parquet"))
    assert classification.measure("auc", found, target, positive=PARAMS.run(run).class_map["COVID-19"]) > AUC


def dice(demo: tuple[Path, str], of: str) -> float:
    """Mean Dice of infection over the COVID-19 test images."""
    scores = pd.read_parquet(results(demo) / of / "scores.parquet")
    return float(protocols.per_image("img_covid", scores, "infection")["dice"].mean())


def test_progress_and_the_way_to_the_results_are_shown(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    for bar in ("unet-roi-lung epoch 1/", "unetpp-b3 predict"):
        assert bar in printed
    for path in re.findall(r"results/demo/\S+", printed.strip().splitlines()[-1] + printed[-400:]):
        assert (folder / path).exists(), path
    assert "results/demo/tables" in printed[-600:]


def test_the_page_and_snakemakes_own_report_are_made(demo: tuple[Path, str]) -> None:
    folder = demo[0]
    assert "DEMO on synthetic phantoms" in (folder / "results/demo/report/index.html").read_text()
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["snakemake", "--configfile", "workflow/overlays/demo.yaml", "--report", "report.html"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = (folder / "report.html").read_text()
    for words in ("DEMO on synthetic phantoms: reduced", "comparison.csv", "unetpp-b3"):
        assert words in report


def test_nothing_is_written_outside_the_demos_folders(demo: tuple[Path, str]) -> None:
    folder = demo[0]
    assert {p.name for p in (folder / "results").iterdir()} == {"demo"}
    assert {p.name for p in (folder / "data").iterdir()} == {"demo"}
    assert not (folder / "dvc.lock").exists()


def test_every_title_says_what_the_demo_is(demo: tuple[Path, str]) -> None:
    for file in (demo[0] / "results" / "demo" / "tables").rglob("*.md"):
        assert file.read_text().startswith("# DEMO on synthetic phantoms"), file
    page = (demo[0] / "results/demo/tables/unetpp-b3/table-2.md").read_text()
    assert "REDUCED OR CHANGED RUNS" in page.splitlines()[0]
    assert "- NOT PRETRAINED (encoder weights: none)" in page and "- REDUCED RUN (" in page
