"""Files that are there whole or not at all, and that others may read as the umask says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from covidqu.files import replacing, write_text
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
