"""Committed results: made again from the committed scores, without training, to the last digit (`covidqu check`)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from covidqu.cli import main
from covidqu.config.params import load
from covidqu.data.index import open_packed
from covidqu.reading.bundle import open_bundle
from covidqu.report import catalogue
from expected.update import update
from support.places import EXPECTED, ROOT

DEMO = [ROOT / "params.yaml", ROOT / "workflow/overlays/demo.yaml"]
WITHOUT = ("torch", "lightning_fabric", "segmentation_models_pytorch", "albumentations")


def test_tables_figures_and_readme_follow_from_the_scores_without_torch() -> None:
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {WITHOUT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from covidqu.cli import main
sys.exit(main(["check"]))
"""
    environment = {key: value for key, value in os.environ.items() if key != "COVIDQU_PARAMS"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = (
        r"results/lite: (\d+) tables recomputed, (\d+) values, (\d+) claims and (\d+) figures checked: 0 differences"
    )
    found = re.search(counts, done.stdout)
    assert found is not None, done.stdout
    tables, values, claims, figures = map(int, found.groups())
    assert tables >= 31
    assert values >= 20_000
    assert claims >= 5
    assert figures >= 30
    skipped = [line for line in done.stdout.splitlines() if "SKIPPED" in line]
    assert all("need the packed data" in line or "show patients" in line for line in skipped), skipped


def test_no_patient_is_shown_in_git() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    pictures = {  # looked at: curves; a phantom; means over images of Train, and hashes (see the next test)
        "docs/pictures/tensorboard.png",
        "docs/pictures/case.webp",
        "src/covidqu/reading/models/reference/reference.npz",
    }
    raster = (".png", ".jpg", ".jpeg", ".webp", ".npy", ".npz", ".zip")
    assert not [name for name in listed if name.lower().endswith(raster) and name not in pictures]
    for name in listed:
        if name.endswith(".svg"):
            assert "<image" not in (ROOT / name).read_text(), f"{name}: holds a raster image"


def test_what_a_bundle_knows_of_training_images_is_their_means_hashes_and_names() -> None:
    bundle = open_bundle("reference")
    images = bundle.metadata.training_data.images
    of_each = {name for name, values in bundle.arrays.items() if len(values) >= images}
    assert of_each == {"hashes", "names"} and bundle.arrays["hashes"].nbytes == 32 * len(bundle.arrays["names"])


def demo_step(*command: object) -> int:
    """Status of one subcommand under the demo's settings."""
    settings = [word for file in DEMO for word in ("--params", str(file))]
    return main([*settings, *map(str, command)])


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data, made here: no training is needed for them."""
    data = tmp_path_factory.mktemp("data")
    archive, packed, audit = data / "raw/covidqu.zip", data / "packed", data / "audit"
    source = data / "source.json"
    assert demo_step("source", "--out", source) == 0
    assert demo_step("download", "--source", source, "--out", archive) == 0
    assert demo_step("pack", "--archive", archive, "--out", packed) == 0
    assert demo_step("audit", "--packed", packed, "--out", audit) == 0
    assert demo_step("split", "--packed", packed, "--audit", audit, "--out", data / "split.parquet") == 0
    return data


def test_the_demos_data_are_the_same_on_every_machine(phantoms: Path) -> None:
    cards = {path: json.loads(path.read_text()) for path in EXPECTED.glob("*/*/card.json")}
    params = load(DEMO)
    assert len(cards) == len(params.resolved) + len(params.baselines)
    made = open_packed(phantoms / "packed").data_hash
    assert {path: card["data_hash"] for path, card in cards.items()} == dict.fromkeys(cards, made)


def test_the_demos_tables_and_figures_follow_from_its_scores(
    phantoms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = demo_step("check", "--results", EXPECTED, "--data", phantoms)
    printed = capsys.readouterr()
    assert status == 0, printed.err
    counts, *skipped = printed.out.splitlines()
    params = load(DEMO)
    figures = sum(one.kind == "svg" for one in catalogue.figures(params).values())
    assert counts.startswith(f"{EXPECTED}: {len(catalogue.tables(params)) + 1} tables recomputed, ")
    assert counts.endswith(f" values, 0 claims and {figures} figures checked: 0 differences")
    assert all("show patients, never committed" in line for line in skipped), skipped


def test_an_expectation_is_small_files_of_a_finished_run(tmp_path: Path) -> None:
    expected, results = tmp_path / "expected", tmp_path / "results"
    kept = ["comparison.csv", "architectures.json", "cost.json", "tables/a/b.csv", "tables/a/b.md", "figures/a/b.svg"]
    kept += ["baselines/a/card.json", "runs/a/card.json", "runs/a/history.csv", "runs/a/scores.parquet"]
    left = ["runs/a/predictions.npz", "runs/a/last.safetensors", "weights/a.safetensors", "figures/a/c.png"]
    for name in (*kept[1:], *left):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(name)
    (expected / "tables").mkdir(parents=True)
    (expected / "tables/old.csv").touch()
    with pytest.raises(ValueError, match=r"results: no comparison\.csv; run the demo to its end first"):
        update(results, expected)
    assert (expected / "tables/old.csv").is_file(), "nothing was touched"
    (results / kept[0]).touch()
    update(results, expected)
    assert {str(path.relative_to(expected)) for path in expected.rglob("*") if path.is_file()} == set(kept)
