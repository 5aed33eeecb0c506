"""`dvc exp run -S`: a key of a run changes that run and no other, or is refused with what to type."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides

from covidqu.cli import main
from covidqu.config.params import Params, load
from covidqu.config.shown import has
from support.copies import Copy, copied
from support.places import ROOT

PARAMS = load([ROOT / "params.yaml"])
NEW = {  # key -> value, as typed
    "epochs": "77",
    "batch": "6",
    "image_px": "64",
    "init": "random",
    "optimizer.lr": "0.0777",
    "model.width": "24",
    "model.decoder_channels": "[8,8,8,8,8]",
    "seeds": "[77]",
    "monitor": "loss",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def changed(before: Params, after: Params) -> set[str]:
    """Runs of which some training is not what it was."""
    names = before.resolved.keys() | after.resolved.keys()
    return {before.base(after.base(n)) for n in names if before.resolved.get(n) != after.resolved.get(n)}


def value(run: Any, key: str) -> Any:
    for part in key.split("."):
        run = getattr(run, part)
    return list(run) if isinstance(run, tuple) else run


@pytest.mark.parametrize("run", PARAMS.runs)
def test_keys_of_a_run_change_that_run_only(run: str, file: Path) -> None:
    """Its own keys as they are, inherited ones with a +; without it DVC refuses them, and says so."""
    diff, model = PARAMS.runs[run], PARAMS.run(run).model
    alone = run not in {PARAMS.base(other.init) for other in PARAMS.resolved.values()}  # else networks would not fit
    of_model = {f"model.{key}" for key in type(model).model_fields} if alone else set()
    keys = [key for key in NEW if not key.startswith("model.") or key in of_model]
    if any(run != name and PARAMS.base(name) == run for pair in PARAMS.ablations.values() for name in pair):
        keys.remove("seeds")  # `ablations` names its further seeds: refused, see below
    inherited = [key for key in keys if not has(diff, tuple(key.split(".")))]
    with pytest.raises(InvalidArgumentError) as refused:
        apply_overrides(str(file), [f"runs.{run}.{inherited[0]}={NEW[inherited[0]]}"])
    assert f"use +runs.{run}.{inherited[0]}={NEW[inherited[0]]}" in str(refused.value.__cause__)
    assert file.read_text() == (ROOT / "params.yaml").read_text()
    apply_overrides(str(file), [f"{'+' if key in inherited else ''}runs.{run}.{key}={NEW[key]}" for key in keys])
    after = load([file])
    assert changed(PARAMS, after) == {run}
    assert after.seeds(run) == ([run] if "seeds" in keys else PARAMS.seeds(run))
    for key in keys:
        wanted = 77 if key == "seeds" else yaml.safe_load(NEW[key])
        assert value(after.run(run), "seed" if key == "seeds" else key) == wanted, key


def test_seeds_that_an_ablation_needs_are_not_taken_away(file: Path) -> None:
    apply_overrides(str(file), ["runs.reference.seeds=[77]"])
    with pytest.raises(ValueError, match=r"ablations\.chance of training, seed 1: 'reference-seed1' is not a run"):
        load([file])


def test_one_seed_of_a_run_is_refused_with_the_way(file: Path) -> None:
    apply_overrides(str(file), ["+runs.unetpp-b3.seed=3"])
    with pytest.raises(ValueError, match=r"runs\.unetpp-b3\.seed: write seeds: \[3\]"):
        load([file])


def examples(file: Path) -> list[list[str]]:
    """Arguments of each `dvc exp run` in a document."""
    lines = re.findall(r"^\s*(?:uv run )?dvc exp run (.*)$", file.read_text(), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_the_documented_overrides_are_taken(file: Path) -> None:
    found = [
        words
        for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))
        for words in examples(document)
    ]
    assert found
    for words in found:
        overrides = [words[i + 1] for i, word in enumerate(words) if word in ("-S", "--set-param")]
        assert overrides
        shutil.copy(ROOT / "params.yaml", file)
        apply_overrides(str(file), overrides)
        assert len(changed(PARAMS, load([file]))) == 1


def test_a_stage_of_dvc_refuses_a_seed_that_dvc_does_not_know(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "dvc.yaml", file.parent)
    monkeypatch.chdir(file.parent)
    monkeypatch.delenv("COVIDQU_PARAMS", raising=False)
    monkeypatch.setenv("DVC_STAGE", "train@unetpp-b3")
    assert main(["params"]) == 0
    apply_overrides(str(file), ["+runs.unetpp-b3.seeds=[0,1]"])
    assert main(["params"]) == 2
    message = capsys.readouterr().err
    assert "what they train: unetpp-b3-seed1" in message and "python workflow/dvc_lists.py --fix" in message
    monkeypatch.delenv("DVC_STAGE")
    assert main(["params"]) == 0


def test_a_queued_experiment_has_the_settings(tmp_path: Path) -> None:
    """The real command, in a repository of its own; nothing is run."""
    from support.engines import inside

    copied(tmp_path, "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", "src")
    (tmp_path / ".gitignore").write_text("data\nresults\n.dvc/tmp\n.dvc/cache\n")

    def call(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"] if words[0] == "git" else []
        command = [words[0], *identity, *words[1:]] if words[0] == "git" else [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    call("git", "init", "--quiet")
    call("git", "add", "--all")
    call("git", "commit", "--quiet", "--message", "all")
    call("dvc", "exp", "run", "--queue", "-S", "+runs.cbam-mtl-unet-pre.optimizer.lr=0.0777")
    queued = call("git", "rev-parse", "refs/exps/celery/stash").strip()
    with inside(tmp_path):
        (tmp_path / "queued.yaml").write_text(call("git", "show", f"{queued}:params.yaml"))
        after = load([tmp_path / "queued.yaml"])
    assert changed(PARAMS, after) == {"cbam-mtl-unet-pre"}
    assert {after.run(name).optimizer.lr for name in after.seeds("cbam-mtl-unet-pre")} == {0.0777}


def test_a_second_configfile_option_is_refused_with_the_way() -> None:
    """Snakemake would read the last one only, and plan full-size trainings instead of the demo."""
    overlays = ("workflow/overlays/demo.yaml", "workflow/overlays/optional.yaml")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--configfile", overlays[0]]
    done = subprocess.run(
        [*command, "--configfile", overlays[1]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "name all files after one: --configfile A B" in done.stdout + done.stderr


def test_dvc_on_phantoms(copy: Copy) -> None:
    """The block of docs/design.md: what DVC would make of the demo's settings, before and after a change."""
    block = (ROOT / "docs/design.md").read_text().split("### DVC on phantoms")[1].split("```")[1]
    typed = [line.partition("  #")[0].strip().removeprefix("uv run ") for line in block.splitlines()[1:] if line]
    assert typed[3].startswith("dvc repro ") and typed[5].startswith("dvc exp run -S ") and len(typed) == 7
    shutil.copy(ROOT / "params.yaml", copy.folder)
    shutil.copy(ROOT / "dvc.yaml", copy.folder)
    for command in typed[:3]:
        copy("bash", "-c", command.replace("covidqu ", "python -m covidqu "))
    stages = copy("dvc", "stage", "list", "--name-only").split()
    assert typed[3].split()[2] == typed[5].split()[5] == "score@unetpp-b3" in stages
    file = copy.folder / "params.yaml"
    before = load([file])
    assert (before.paths.data, before.paths.results, before.download.source) == ("data", "results", "phantom")
    apply_overrides(str(file), [typed[5].split()[4]])
    assert changed(before, load([file])) == {"unetpp-b3"}
