"""Processes that share a host with two GPUs take one each. The GPUs are stood in for: their names are given."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from covidqu import gpus
from covidqu.config.params import load
from covidqu.training import launch as launching
from support.places import ROOT

HOLDER = """
import sys, tempfile
from covidqu import gpus
tempfile.tempdir = sys.argv[1]
gpus.visible = lambda: ["A", "B"]
print(gpus.take(int(sys.argv[2])), flush=True)
sys.stdin.read()
"""


class Training:
    """A process that takes GPUs and holds them until it ends."""

    def __init__(self, folder: Path, count: int = 1) -> None:
        command = [sys.executable, "-c", HOLDER, str(folder), str(count)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout
        self.taken = self.process.stdout.readline().strip()

    def end(self, kill: bool = False) -> str:
        """What it said."""
        if kill:
            self.process.kill()
        return self.process.communicate("")[1]


def test_each_training_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    first, second = Training(tmp_path), Training(tmp_path)
    assert (first.taken, second.taken) == ("[0]", "[1]")
    third = Training(tmp_path)
    assert third.taken == "[0]" and "shared, all 2 are in use" in third.end()
    first.end(kill=True)
    again, both = Training(tmp_path), Training(tmp_path, 2)
    assert (again.taken, both.taken) == ("[0]", "[0, 1]")
    said = [training.end() for training in (second, again, both)]
    assert [("shared" in words) for words in said] == [False, False, True]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """This process sees two GPUs."""
    monkeypatch.setattr(gpus, "visible", lambda: ["A", "B"])
    monkeypatch.setattr(gpus, "held", {})
    monkeypatch.setattr(gpus.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.delenv(gpus.OF_FIRST, raising=False)
    yield
    for lock in gpus.held.values():
        lock.close()


def test_a_process_keeps_what_it_took(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus.take(1) == gpus.take(1) == [0]
    assert gpus.take(2) == [0, 1] and gpus.take(1) == [0] and gpus.take(2) == [0, 1]
    with pytest.raises(ValueError, match="devices: 3 GPUs are asked for and 2 are there; set devices: 2"):
        gpus.take(3)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert gpus.take(2) == [0, 1], "the second process of a training has those of the first"


def test_trainings_are_started_on_the_gpus_taken(two: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every training of a host was on its first GPU: Fabric takes that one when asked for one."""
    started: list[dict[str, Any]] = []

    class Started:
        def __init__(self, **settings: Any) -> None:
            started.append(settings)

        def launch(self) -> None:
            pass

    monkeypatch.setattr(launching, "Fabric", Started)
    other = Training(tmp_path)
    assert other.taken == "[0]"
    params = load([ROOT / "params.yaml"])
    launching.launch(params.run("unet-roi-lung"), params.machine)
    other.end()
    assert [(one["accelerator"], one["devices"]) for one in started] == [("cuda", [1])]
    assert gpus.one_device("auto") == torch.device("cuda", 1)
