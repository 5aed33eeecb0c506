"""A source outside the working copy: a folder or zip file that COVIDQU_DATA or `download` names.

What it holds is known by content, so that a copy of it is the same source. Contents are read anew only where names,
lengths or dates have changed; what was known of them is kept in a hidden file, which stays on this machine.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from covidqu.config.data import Download
from covidqu.files import sha256, write_text

VARIABLE = "COVIDQU_DATA"


class Absent(ValueError):
    """Nothing is named, or what is named is not there: `path` and who names it (`by`)."""

    def __init__(self, message: str, path: Path | None, by: str) -> None:
        super().__init__(message)
        self.path, self.by = path, by


def named(config: Download, kind: ModuleType) -> Path:
    """The folder or zip file that COVIDQU_DATA names, else `download.<source>.path`.

    Absent when there is none; ValueError when it is of another kind. Where the variable is set, `path` never serves.
    """
    key = f"download.{config.source}.path"
    value = os.environ.get(VARIABLE)
    by, text = (VARIABLE, value) if value else (key, getattr(config, config.source).path)
    if text is None:
        message = f"{key}: source '{config.source}' needs {kind.WANTED}, but neither {key} nor {VARIABLE} is set"
        raise Absent(f"{message}; set one of them", None, by)
    path = Path(text)
    remedy = "correct it or unset it" if by == VARIABLE else f"correct it or set {VARIABLE}"
    if not path.exists():
        raise Absent(f"{by}={text}: does not exist; {remedy}", path.absolute(), by)
    if not kind.fits(path):
        raise ValueError(f"{by}={text}: is not {kind.WANTED}, which source '{config.source}' needs; {remedy}")
    return path


def facts(path: Path, kind: ModuleType, memory: Path) -> dict[str, Any]:
    """Number of files, bytes, and one SHA-256 over names and contents; `memory` is what was known before."""
    found = kind.files(path)
    dates = [f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n" for name, _, status in found]
    seen = hashlib.sha256("".join(dates).encode(errors="surrogateescape")).hexdigest()
    known, place = remembered(memory), str(path.absolute())
    if known.get(place, ["", ""])[0] != seen:
        known[place] = [seen, _content([(name, file) for name, file, _ in found])]
        with suppress(OSError):  # a folder that cannot be written: the contents are read again next time
            write_text(memory, json.dumps(known))
    return {"files": len(found), "bytes": sum(status.st_size for _, _, status in found), "sha256": known[place][1]}


def remembered(memory: Path) -> dict[str, list[str]]:
    """Path -> [hash of names, lengths and dates, hash of contents] when it was last looked at."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _content(found: list[tuple[str, Path]]) -> str:
    """SHA-256 of the only file, or over the names and SHA-256 of several."""
    if [name for name, _ in found] == [""]:
        return sha256(found[0][1])
    whole = hashlib.sha256()
    for name, path in found:
        whole.update(name.encode(errors="surrogateescape") + b"\0" + bytes.fromhex(sha256(path)))
    return whole.hexdigest()
