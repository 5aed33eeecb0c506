"""Snakemake and DVC know the same steps: same commands, dependencies (modules included), outputs and settings."""

import json
from pathlib import Path

import pytest

from support.copies import copied
from support.engines import SNAKEMAKE_ONLY, Step, dvc_stages, snakemake_jobs
from support.places import ROOT

PARTS = ("Snakefile", "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", "workflow", "src")


def differences(jobs: list[Step], stages: list[Step]) -> list[str]:
    """What one engine knows otherwise than the other, in words."""
    by_outs = {frozenset(job.outs): job for job in jobs if job.step not in SNAKEMAKE_ONLY}
    found, seen = [], set()
    for stage in stages:
        job = by_outs.get(stage.outs)
        if job is None:
            found.append(f"{stage.command}: no Snakemake job has its outputs {sorted(stage.outs)}")
            continue
        seen.add(stage.outs)
        for part in ("step", "command", "params"):
            ours, theirs = getattr(job, part), getattr(stage, part)
            if ours != theirs:
                found.append(f"{part}: Snakemake {ours!r}, DVC {theirs!r}")
        if job.deps != stage.deps:
            found.append(f"deps of {stage.command}: {sorted(job.deps ^ stage.deps)} known to one engine only")
    found += [f"{job.command}: no DVC stage has its outputs" for outs, job in by_outs.items() if outs not in seen]
    return found


@pytest.fixture(scope="module")
def jobs() -> list[Step]:
    return snakemake_jobs(ROOT)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What DVC needs of this tree, without data, as a repository of its own."""
    import dulwich.repo

    root = copied(tmp_path_factory.mktemp("repository"), *PARTS)
    dulwich.repo.Repo.init(str(root))
    return root


def test_same_steps(jobs: list[Step], copy: Path):
    assert differences(jobs, dvc_stages(copy)) == []


def test_the_comparison_sees_every_step(jobs: list[Step], copy: Path):
    steps = {
        "source",
        "download",
        "pack",
        "audit",
        "split",
        "roi",
        "roi_predicted",
        "initial",
        "train",
        "predict",
        "explain",
        "score",
        "baseline",
    }
    assert {job.step for job in jobs} - set(SNAKEMAKE_ONLY) == steps == {stage.step for stage in dvc_stages(copy)}
    train = next(job for job in jobs if job.step == "train" and "unet-roi-infection/" in str(job.outs))
    assert json.loads(train.params).keys() == {"anchor", "systems.unet_roi", "runs.unet-roi-infection"}
    assert train.command.startswith("python -m covidqu train unet-roi-infection --packed data/packed")
    assert {"src/covidqu/steps/train.py", "src/covidqu/systems/unet_roi.py", "data/roi/ground-truth.npy"} <= train.deps


def test_all_asks_for_everything_that_dvc_keeps(copy: Path):
    """Only the archive may be missing from `rule all`: a clone without data must have something to do."""
    kept = {out for stage in dvc_stages(copy) if stage.step != "download" for out in stage.outs}
    made = {out for job in snakemake_jobs(ROOT) for out in job.outs}
    assert kept <= made


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("python -m covidqu pack --archive", "python -m covidqu pack --archives", "command: "),
        ("      - ${paths.data}/audit/audit.json\n    params: [split]", "    params: [split]", "audit/audit.json"),
        ("      - ${paths.data}/packed/index.parquet\n\n  audit:", "\n  audit:", "no Snakemake job has its outputs"),
        ('params: [anchor, "systems.', 'params: ["systems.', "params: "),
        ("        - src/covidqu/training/losses.py\n", "", "src/covidqu/training/losses.py"),
        ("        - src/covidqu/systems/${item.run.system}.py\n", "", "src/covidqu/systems/unet_roi.py"),
        ("    foreach: ${roi.predicted}\n", "    foreach: []\n", "no DVC stage has its outputs"),
    ],
    ids=["command", "dependency", "output", "setting", "module", "system", "stage"],
)
def test_a_difference_is_found(jobs: list[Step], copy: Path, old: str, new: str, message: str):
    text = (ROOT / "dvc.yaml").read_text()
    assert old in text, "the mutation no longer fits dvc.yaml"
    (copy / "dvc.yaml").write_text(text.replace(old, new, 1))
    try:
        found = differences(jobs, dvc_stages(copy))
    finally:
        (copy / "dvc.yaml").write_text(text)
    assert any(message in line for line in found), found


def test_an_overlay_changes_paths_and_runs_only(jobs: list[Step]):
    demo = snakemake_jobs(ROOT, (ROOT / "workflow/overlays/demo.yaml",))
    outs = {out for job in demo for out in job.outs}
    assert outs and all(out.startswith(("data/demo/", "results/demo/")) for out in outs)
    assert outs.isdisjoint(out for job in jobs for out in job.outs)
    assert {job.step for job in demo} == {job.step for job in jobs}
