"""Committed results: recomputed from the committed scores, without training, to the last digit."""

import shutil
import subprocess
from pathlib import Path

import pytest

from covidqu.config.params import Params, load
from covidqu.report import targets
from covidqu.report.check import Tolerances, compare
from covidqu.report.figures import figure
from covidqu.report.overview import readme
from covidqu.report.tables import table

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = [
    o for o in sorted((ROOT / "workflow/overlays").glob("*.yaml")) if (ROOT / "results" / o.stem / "runs").is_dir()
]
VARIANTS = [o for o in VARIANTS if o.stem != "demo"]  # written by a run here, not committed


def settings(overlay: Path) -> Params:
    return load([ROOT / "params.yaml", overlay])


@pytest.mark.parametrize("overlay", VARIANTS, ids=lambda p: p.stem)
def test_tables_follow_from_the_scores(overlay: Path, tmp_path: Path) -> None:
    params, results, checked = settings(overlay), ROOT / "results" / overlay.stem, 0
    for name in targets.tables(params):
        if targets.needs_data(name) or targets.needs_images(name):
            continue  # the packed images are not in git
        table(name, params, tmp_path / "nothing", results, tmp_path / name)
        faults, values = compare(
            name, results / f"tables/{name}.csv", tmp_path / f"{name}.csv", Tolerances(tolerances=[])
        )
        assert not faults
        assert (tmp_path / f"{name}.md").read_text() == (results / f"tables/{name}.md").read_text()
        checked += values
    assert checked > 500


@pytest.mark.parametrize("overlay", VARIANTS, ids=lambda p: p.stem)
def test_curves_follow_from_the_histories(overlay: Path, tmp_path: Path) -> None:
    params, results = settings(overlay), ROOT / "results" / overlay.stem
    names = [n for n in targets.figures(params) if "curves-" in n]
    assert names
    for name in names:
        figure(name, params, tmp_path / "nothing", results, tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").read_text() == (results / "figures" / f"{name}.svg").read_text()


def test_there_are_committed_results() -> None:
    assert [o.stem for o in VARIANTS] == ["lite"]


def test_readme_shows_the_committed_overview(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    readme(ROOT / "results" / "lite", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()


def test_no_patient_is_shown_in_git() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert not [name for name in listed if name.lower().endswith((".png", ".jpg", ".jpeg", ".npy", ".npz", ".zip"))]
    for name in listed:
        if name.endswith(".svg"):
            assert "<image" not in (ROOT / name).read_text(), f"{name}: holds a raster image"
