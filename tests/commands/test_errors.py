"""Whatever goes wrong in a step ends in one line: what it is about, what is wrong, what to do; never a traceback."""

import errno
import json
import lzma
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests
import yaml

from covidqu.cli import main
from covidqu.errors import hidden
from covidqu.stored import read_json, reading
from support.places import ROOT


class SafetensorError(Exception):
    """As the library's: derived from nothing but Exception."""


RAISED = [
    (MemoryError(), 2, "out of memory; lower batch or image_px"),
    (np._core._exceptions._ArrayMemoryError((9, 9), np.dtype("uint8")), 2, "out of memory; lower batch"),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"), 2, "lower batch"),
    (RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 64 vs 0"), 2, "because the disk is full"),
    (RuntimeError("CUDA error: device-side assert triggered\nCompile with ..."), 2, "set accelerator: cpu"),
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), 2, "lower machine.workers"),
    (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full; free some space"),
    (OSError(errno.ENOSPC, "No space left on device", "a/b.npz"), 2, "a/b.npz: the disk is full"),
    (PermissionError(errno.EACCES, "Permission denied", "a/b"), 2, "a/b: may not be read or written"),
    (FileNotFoundError(errno.ENOENT, "No such file", "a/b"), 2, "a/b: no such file or folder; run the step"),
    (requests.ConnectionError("to https://me:secret@host/x"), 2, "the network did not answer"),
    (SafetensorError("Error while deserializing header"), 2, "a file of weights is damaged; make it again"),
    (zipfile.BadZipFile("bad"), 2, "an archive is damaged"),
    (zlib.error("Error -3"), 2, "damaged; make or get the file again"),
    (lzma.LZMAError("Corrupt"), 2, "an archive is damaged"),
    (EOFError("Ran out of input"), 2, "a file ends too early"),
    (pa.ArrowInvalid("Parquet magic bytes not found"), 2, "a parquet file is damaged"),
    (yaml.YAMLError("mapping values\nare not allowed"), 2, "a YAML file cannot be read"),
    (json.JSONDecodeError("Unterminated string", "{", 1), 2, "Unterminated string"),
    (RecursionError("maximum"), 2, "nested too deeply"),
    (ModuleNotFoundError("No module named 'x'"), 2, "a package is missing or broken; install"),
    (ImportError("cannot import name 'x'", name="covidqu.report"), 70, "a fault of this program, ImportError"),
    (ValueError("https://me:secret@host/x: refused"), 2, "https://***@host/x"),
    (KeyError("a"), 70, "a fault of this program, KeyError: 'a'; COVIDQU_DEBUG=1 shows where"),
    (AssertionError(), 70, "a fault of this program, AssertionError"),
    (KeyboardInterrupt(), 130, "interrupted"),
]


@pytest.mark.parametrize(("error", "status", "words"), RAISED, ids=lambda value: type(value).__name__)
def test_one_line(
    error: BaseException, status: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("covidqu.ingest.pack.pack", failing)
    monkeypatch.delenv("COVIDQU_DEBUG", raising=False)
    command = ["--params", str(ROOT / "params.yaml"), "pack", "--archive", "a.zip", "--out", "b"]
    assert main(command) == status
    said = capsys.readouterr().err
    assert said.startswith("covidqu pack: ") and said.count("\n") == 1 and words in said
    assert "Traceback" not in said and "secret" not in said
    monkeypatch.setenv("COVIDQU_DEBUG", "1")
    assert main(command) == status
    assert "Traceback" in capsys.readouterr().err


def test_a_file_that_is_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for content, words in (("{", "not valid JSON"), ("[]", "holds list"), ("\udcff", "'utf-8' codec")):
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(ValueError, match=rf"a\.json: damaged \({words}.*\); make it again$"):
            read_json(file, "make it again")
    with (
        pytest.raises(ValueError, match=r"a\.json: damaged \(lacks 'x'\); make it again$"),
        reading(file, "make it again"),
    ):
        {}["x"]
    with pytest.raises(FileNotFoundError, match="gone"):
        read_json(tmp_path / "gone", "make it again")


def test_passwords_are_struck_out() -> None:
    assert hidden("a http://u:p@h/x and ssh://u@h b@c") == "a http://***@h/x and ssh://***@h b@c"


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    """`covidqu params | head -1`."""
    command = f"{sys.executable} -m covidqu params | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_no_import_asks_the_network(tmp_path: Path) -> None:
    """Every module of the package, in a process whose attempts to reach anything are written down."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def noted(*a, **k):\n"
        "    print('ASKED', a, flush=True)\n"
        "    raise OSError('no network')\n"
        "socket.socket.connect = socket.socket.connect_ex = noted\n"
        "socket.getaddrinfo = socket.create_connection = noted\n"
    )
    code = (
        "import importlib, pkgutil, covidqu\n"
        "for found in pkgutil.walk_packages(covidqu.__path__, 'covidqu.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "import albumentations, sys, urllib.request\n"
        "print('imported', len([name for name in sys.modules if name.startswith('covidqu.')]))\n"
        "try:\n"
        "    urllib.request.urlopen('http://127.0.0.1:9')\n"
        "except OSError:\n"
        "    pass\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-W", "error::UserWarning:albumentations", "-c", code], cwd=ROOT,
                          env=environment | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
                          check=True)  # fmt: skip
    before, _, after = done.stdout.partition("imported")
    assert "ASKED" not in before, before
    assert "ASKED" in after, "the watch does not work"
