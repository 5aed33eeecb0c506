"""Files that are there whole or not at all, and that others may read as the umask says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from covidqu import files
from covidqu.files import replacing, write_text
from covidqu.page.folder import replacing_folder
from covidqu.systems.weights import save_weights


@pytest.fixture
def shared() -> Iterator[None]:
    """A umask that lets the group read."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("shared")
def test_weights_states_and_texts_can_be_read_by_the_group(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.safetensors", {"a": torch.zeros(2)}, {})
    write_text(tmp_path / "b.txt", "")
    with replacing(tmp_path / "c.pt") as part:
        torch.save({"a": torch.zeros(2)}, part)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in sorted(tmp_path.iterdir())} == {
        "a.safetensors": "0o640",
        "b.txt": "0o640",
        "c.pt": "0o640",
    }


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as part:
        part.write_text("half")
        raise RuntimeError
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_second_writer_waits_and_says_for_whom(tmp_path: Path) -> None:
    """The first one is a real process that is killed: its lock ends with it, and what it left is gone."""
    target = tmp_path / "a"
    code = "import sys, time; from pathlib import Path; from covidqu.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as part:\n"
    code += "    part.write_text('half'); print('in', flush=True); time.sleep(600)"
    first = subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "in\n"
    second = subprocess.Popen(
        [sys.executable, "-c", code, target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None and second.stdout is not None
    assert f"{target}: waiting for process {first.pid} of " in second.stderr.readline()
    first.kill()
    assert second.stdout.readline() == "in\n", "the lock ended with its process"
    assert sorted(os.listdir(tmp_path)) == [".a.lock", ".a.part"], "one part"
    second.kill()
    second.wait()
    write_text(target, "whole")
    assert os.listdir(tmp_path) == ["a"]


def test_writers_never_overlap(tmp_path: Path) -> None:
    """Many processes, each of which may find the lock's file new, held, or just gone."""
    code = """import sys; from pathlib import Path; from covidqu.locks import only_writer
for k in range(40):
    with only_writer(Path(sys.argv[1])):
        inside = Path(sys.argv[1] + '.inside'); inside.touch(exist_ok=False); inside.unlink()"""
    many = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")], stderr=subprocess.DEVNULL) for _ in range(6)
    ]
    assert [one.wait() for one in many] == [0] * 6
    assert os.listdir(tmp_path) == []


def test_what_a_rename_promises_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it has its name, the folder afterwards: else a power failure leaves an empty file."""
    done: list[str] = []
    settle, replace = files.settle, os.replace
    monkeypatch.setattr(files, "settle", lambda path: (done.append(f"settle {path.name}"), settle(path)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(f"rename {a.name} {b.name}"), replace(a, b)))
    write_text(tmp_path / "a", "x")
    assert done == ["settle .a.part", "rename .a.part a", f"settle {tmp_path.name}"]


def test_a_keep_that_was_killed_before_its_rename_is_not_lost(tmp_path: Path) -> None:
    file, kept = tmp_path / "a", tmp_path / "kept"
    file.write_text("a")
    assert files.keep(kept, "this", [file])
    kept.rename(tmp_path / "kept.part")
    file.unlink()
    assert files.take_back(kept, "this", [file]) and file.read_text() == "a"


def test_a_folder_whose_swap_was_killed_comes_back(tmp_path: Path) -> None:
    report = tmp_path / "report"
    (report / "assets").mkdir(parents=True)
    (report / "assets" / "tables.js").write_text("old")
    report.rename(tmp_path / ".report.old")
    with pytest.raises(RuntimeError), replacing_folder(report):
        raise RuntimeError
    assert (report / "assets" / "tables.js").read_text() == "old" and os.listdir(tmp_path) == ["report"]


def test_set_aside_overwrites_nothing(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "a").write_text(str(number))
        files.set_aside(tmp_path / "a")
    assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {
        "a.damaged": "0", "a.damaged-2": "1", "a.damaged-3": "2",
    }  # fmt: skip
