"""README's first command on synthetic data, and `covidqu check` of what it made against the committed tables."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "expected" / "demo"
START = "start"  # touched before the run: what is not newer was not made by it


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
    (folder / START).touch()
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    environment.pop("COVIDQU_PARAMS", None)
    done = subprocess.run(
        ["snakemake", "--cores", "2", "--configfile", "workflow/overlays/demo.yaml"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return folder, done.stdout


def check(actual: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "covidqu", "check", "--expected", str(EXPECTED), "--actual", str(actual)]
    command += ["--since", str(cwd / START)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_tables_have_not_moved(demo: tuple[Path, str]) -> None:
    done = check(demo[0] / "results" / "demo", demo[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" not in done.stdout, "every table is made by this run"
    assert done.stdout.startswith(f"{len(list(EXPECTED.rglob('*.csv')))} tables, ")


def test_a_moved_number_is_named(demo: tuple[Path, str], tmp_path: Path) -> None:
    moved = tmp_path / "demo"
    shutil.copytree(demo[0] / "results" / "demo", moved)
    table = moved / "tables" / "unet-roi" / "table-2.csv"
    text = table.read_text()
    line = next(line for line in text.splitlines() if line.startswith("COVID-19,Train,"))
    table.write_text(text.replace(line, re.sub(r",(\d+),", ",99999,", line, count=2)))
    done = check(moved, demo[0])
    assert done.returncode == 1
    for word in ("unet-roi/table-2", "COVID-19", "Train", "99999"):
        assert word in done.stdout + done.stderr


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
        assert file.read_text().startswith("# DEMO on synthetic phantoms - "), file
    title = (demo[0] / "results/demo/tables/unetpp-b3/table-2.md").read_text().splitlines()[0]
    assert "NOT PRETRAINED (encoder weights: none)" in title
    assert "REDUCED RUN" in title
