"""One story, on synthetic data: what a user of both engines does, and what must never happen to them.

Each chapter starts where the one before ended; all run the true steps in a copy of this tree that is a git repository.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.copies import RUNS, Copy, jobs, stages
from support.s3_server import s3_server

pytestmark = pytest.mark.pipeline
REPORT = {"architectures", "cost", "tables", "figures", "comparison", "cards", "page"}


def of_run(*runs: str) -> set[str]:
    return {f"{step}@{run}" for run in runs for step in ("train", "predict", "score")}


def validated(*runs: str) -> set[str]:
    """Scores on Val, which DVC does not know: of runs that find infection."""
    return {f"validate@{run}" for run in runs if run != RUNS[0]}


@pytest.fixture
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


def test_story(copy: Copy, tmp_path: Path, s3: str):
    snakemake_makes_everything_and_dvc_records_it(copy)
    snakemake_reruns_what_an_edit_concerns(copy)
    dvc_reruns_what_an_edit_concerns(copy)
    nothing_altered_is_blessed(copy)
    an_overlay_stays_apart(copy)
    a_clone_has_nothing_to_do(copy, tmp_path, s3)
    dvc_compares_experiments(copy)


def snakemake_makes_everything_and_dvc_records_it(copy: Copy) -> None:
    output = copy("snakemake", "--cores", "2")
    assert "workflow specific profile profiles/default" in output
    assert "sync: dvc.lock updated" in output
    assert "/results/report/index.html\nTables: results/tables" in output
    assert of_run(*RUNS) | {"source", "download", "pack", "audit", "split"} | REPORT <= jobs(output)
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    assert stages(copy("dvc", "repro")) == set()
    copy.commit("everything made")
    tracked = copy("git", "ls-files").splitlines()
    assert {"dvc.lock", "results/comparison.csv", f"results/runs/{RUNS[1]}/scores.parquet"} <= set(tracked)
    made = [name for name in tracked if not name.startswith("src/covidqu/reading/models/")]
    assert not [name for name in made if name.endswith((".safetensors", ".npz", ".npy", ".zip", ".pt"))]


def snakemake_reruns_what_an_edit_concerns(copy: Copy) -> None:
    copy.edit(lambda params: params["runs"][RUNS[1]].update(optimizer={"kind": "adam", "lr": 0.05}))
    executed = jobs(copy("snakemake", "--cores", "2"))
    assert executed == of_run(*RUNS[1:]) | validated(*RUNS[1:]) | REPORT
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    changed = copy("dvc", "params", "diff")
    assert f"runs.{RUNS[1]}.optimizer.lr" in changed
    assert "0.05" in changed
    metrics = copy("dvc", "metrics", "diff")
    assert f"results/runs/{RUNS[1]}/metrics.json" in metrics
    assert f"results/runs/{RUNS[0]}/metrics.json" not in metrics


def dvc_reruns_what_an_edit_concerns(copy: Copy) -> None:
    copy.edit(lambda params: params["runs"][RUNS[2]].update(batch=4))
    assert stages(copy("dvc", "repro")) == of_run(RUNS[2])
    assert copy.dvc_is_clean()
    assert not copy.snakemake_is_clean()
    assert "tables and figures are up to date" in copy.sync("after-dvc")
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    copy.edit(lambda params: params["runs"][RUNS[2]].update(seeds=[1]))
    assert of_run(RUNS[2]) <= jobs(copy("snakemake", "-n")) <= of_run(RUNS[2]) | validated(RUNS[2]) | REPORT
    copy.edit(lambda params: params["runs"][RUNS[2]].pop("seeds"))
    assert copy.snakemake_is_clean()
    copy.commit("two edits")


def nothing_altered_is_blessed(copy: Copy) -> None:
    recorded = copy.lock()
    for name in (f"weights/{RUNS[1]}.safetensors", f"runs/{RUNS[1]}/last.safetensors"):
        with (copy.folder / "results" / name).open("ab") as file:
            file.write(b"x")
        assert "nothing is adopted" in copy.sync("after-dvc", status=1)
        assert "nothing is adopted" in copy.sync("after-dvc", "--force", status=1)
        assert "dvc.lock is left as it is" in copy.sync("after-snakemake")
        assert copy.lock() == recorded
        copy("dvc", "checkout", "--force")
    assert copy.dvc_is_clean()
    assert copy.snakemake_is_clean()
    copy.edit(lambda params: params["split"].update(seed=1))
    assert "nothing is adopted" in copy.sync("after-dvc", "--force", status=1)
    assert "dvc.lock is left as it is" in copy.sync("after-snakemake")
    assert copy.lock() == recorded
    copy("git", "checkout", "--quiet", "params.yaml")


def an_overlay_stays_apart(copy: Copy) -> None:
    recorded, overlay = copy.lock(), copy.folder / "other.yaml"
    overlay.write_text(
        yaml.safe_dump({"paths": {"data": "data/other", "results": "results/other"}, "split": {"seed": 7}})
    )
    target = ("data/other/split.parquet", "--configfile", "other.yaml")
    assert jobs(copy("snakemake", "--cores", "2", *target)) == {"source", "download", "pack", "audit", "split"}
    assert "Nothing to be done" in copy("snakemake", "-n", *target)
    assert copy.lock() == recorded
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    overlay.unlink()


def a_clone_has_nothing_to_do(copy: Copy, tmp_path: Path, s3: str) -> None:
    stores = {"folder": (str(tmp_path / "store"), ()), "bucket": ("s3://covidqu/dvc", ("endpointurl", s3))}
    for name, (address, setting) in stores.items():
        clone = Copy(tmp_path / f"clone-{name}")
        copy("git", "clone", "--quiet", str(copy.folder), str(clone.folder))
        for place in (copy, clone):
            place("dvc", "remote", "add", "--local", "--force", "--default", name, address)
            if setting:
                place("dvc", "remote", "modify", "--local", name, *setting)
        copy("dvc", "push")
        assert not clone.snakemake_is_clean(), "a clone without data has everything to do"
        clone("dvc", "pull")
        assert clone.dvc_is_clean()
    clone.sync("after-dvc", "--force")
    assert clone.snakemake_is_clean()
    assert clone.dvc_is_clean()
    assert clone("git", "status", "--porcelain") == "", "tables and figures made anew are those of the first copy"


def dvc_compares_experiments(copy: Copy) -> None:
    copy("dvc", "exp", "run", "--name", "hotter", "-S", f"runs.{RUNS[1]}.optimizer.lr=0.005")
    assert "hotter" in copy("dvc", "exp", "list", "--name-only")
    assert re.search(rf"runs\.{RUNS[1]}\.optimizer\.lr .* 0\.005", copy("dvc", "params", "diff"))
    assert f"results/runs/{RUNS[1]}/metrics.json" in copy("dvc", "metrics", "diff")
    copy("dvc", "plots", "show", "--out", "plots")
    page = (copy.folder / "plots" / "index.html").read_text()
    assert re.search(r'"val_loss": "0\.\d+"', page)
    assert f"results/runs/{RUNS[1]}/history.csv" in page
