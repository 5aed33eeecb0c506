"""The short lane of tests/campaigns/long_use.py: a run that is renamed (of stand-ins), pushes that are killed."""

import random
from pathlib import Path

import pytest

from campaigns.long_use import STORES, cloned, edit, in_step, made, truth
from support.copies import RUNS, Copy
from support.ssh_server import SSHD

pytestmark = pytest.mark.pipeline


def test_a_run_gets_another_name(tmp_path: Path) -> None:
    place = made(tmp_path / "copy", stand_ins=True)
    edit(place, lambda runs: runs.update(more=runs.pop(RUNS[1])))
    truth(place, snakemake=False, dvc=False)
    place("dvc", "repro")
    in_step(place)
    assert (place.folder / "results/runs/more/scores.parquet").is_file()


@pytest.mark.parametrize("kind", STORES)
def test_a_killed_push_goes_on(tmp_path: Path, kind: str) -> None:
    if kind == "ssh" and not SSHD:
        pytest.skip("no sshd on this machine; Debian: apt-get install openssh-server")
    place, draw = Copy(tmp_path / "place"), random.Random(0)
    count, size = (1500, 2_000) if kind == "folder" else (20, 200_000)  # a folder is fast
    files = {f"{n}.bin": draw.randbytes(size) for n in range(count)}
    (place.folder / "data").mkdir(parents=True)
    for name, content in files.items():
        (place.folder / "data" / name).write_bytes(content)
    place("git", "init", "--quiet", "--initial-branch", "main")
    place("dvc", "init", "--quiet")
    place("dvc", "add", "--quiet", "data")
    place.commit("data")
    clone = cloned(place, kind, kills=2)
    assert {file.name: file.read_bytes() for file in (clone.folder / "data").iterdir()} == files
