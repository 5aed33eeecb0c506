"""Committed results: made again from the committed scores, without training, to the last digit (`covidqu check`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
    counts = r"results/lite: (\d+) tables recomputed, (\d+) values and (\d+) figures checked: 0 differences"
    found = re.search(counts, done.stdout)
    assert found is not None, done.stdout
    tables, values, figures = map(int, found.groups())
    assert tables >= 31
    assert values >= 20_000
    assert figures >= 30
    skipped = [line for line in done.stdout.splitlines() if "SKIPPED" in line]
    assert all("need the packed data" in line or "show patients" in line for line in skipped), skipped


def test_no_patient_is_shown_in_git() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert not [name for name in listed if name.lower().endswith((".png", ".jpg", ".jpeg", ".npy", ".npz", ".zip"))]
    for name in listed:
        if name.endswith(".svg"):
            assert "<image" not in (ROOT / name).read_text(), f"{name}: holds a raster image"
