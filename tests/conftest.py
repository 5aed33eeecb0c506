"""Shared fixtures: a phantom archive, its packed form, and the real infection subset where it is at hand."""

import os
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from covidqu.config.data import Phantom
from support.browser import chromium, opened
from support.places import ROOT

if TYPE_CHECKING:
    from support.copies import Copy
    from support.training import Workplace

__all__ = ["chromium", "opened"]
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no test asks the package index
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share the cores; subprocesses inherit it
FAST = frozenset(  # files of `-m fast`: no training, no browser, no engine
    f"test_{name}.py"
    for name in (
        *("catalogue", "check", "claims", "config", "consistency", "docs", "envs", "errors", "imports", "lesions"),
        *("measured_tables", "protocols", "provenance", "published", "readme", "style", "svg_numbers", "verdict"),
    )
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast` the other files are not even imported: torch and browsers take longer than these tests."""
    other = collection_path.name.startswith("test_") and collection_path.name not in FAST
    return True if config.option.markexpr == "fast" and other else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `FAST`."""
    for item in items:
        if item.path.name in FAST:
            item.add_marker("fast")


@pytest.fixture(scope="session")
def phantom_config() -> Phantom:
    few = {"Train": (6, 3, 3), "Val": (4, 2, 2), "Test": (4, 2, 2)}
    return Phantom(seed=0, lung=few, infection=few)


@pytest.fixture(scope="session")
def phantom_archive(tmp_path_factory: pytest.TempPathFactory, phantom_config: Phantom) -> Path:
    from covidqu.ingest.sources.phantom import write as write_phantom

    path = tmp_path_factory.mktemp("archive") / "phantom.zip"
    write_phantom(path, phantom_config)
    assert zipfile.is_zipfile(path)
    return path


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, phantom_archive: Path) -> Path:
    from covidqu.ingest.pack import pack

    folder = tmp_path_factory.mktemp("packed") / "packed"
    pack(phantom_archive, folder)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> "Copy":
    from support.copies import made_copy

    return made_copy(tmp_path / "copy")


@pytest.fixture
def workplace(tmp_path: Path, packed: Path) -> "Callable[..., Workplace]":
    from support.training import Workplace

    number = count()

    def make(**changes: Any) -> Workplace:
        folder = tmp_path / f"work{next(number)}"
        folder.mkdir()
        return Workplace(folder, packed, changes)

    return make


@pytest.fixture(scope="session")
def covidqu_data() -> Path:
    """Folder that holds `Infection Segmentation Data` with the real images."""
    for candidate in (os.environ.get("COVIDQU_DATA"), ROOT.parent / "shared" / "covidqu"):
        if candidate and (Path(candidate) / "Infection Segmentation Data").is_dir():
            return Path(candidate)
    pytest.skip("the real infection subset is not here: set COVIDQU_DATA to the folder that holds it")
