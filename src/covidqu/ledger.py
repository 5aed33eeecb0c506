"""What every file was when its step wrote it: one small file of hashes beside the working folder's engines.

`.covidqu/written/PATH.sha256` holds lines as `sha256sum` writes them, the last one the newest; of a folder one line per
file. Only the command line keeps it (`keep_records`), and only of files below the working folder. `verify` reads it.
"""

import hashlib
import os
from pathlib import Path

FOLDER = Path(".covidqu") / "written"
OLDER = 4  # hashes kept besides the newest: a kill may leave the file of before beside the newest line
_base: list[Path] = []


def keep_records() -> None:
    """From now on this process records what it writes below its working folder."""
    _base[:] = [Path.cwd()]


def record(target: Path, part: Path) -> None:
    """Note the hashes of `part`, a file or a folder, which is about to get the name `target`."""
    name = Path(os.path.abspath(target))
    if not _base or not name.is_relative_to(_base[0]):
        return
    name = name.relative_to(_base[0])
    files = [file for file in sorted(part.rglob("*")) if file.is_file()] if part.is_dir() else [part]
    lines = [f"{sha256(file)}  {(name / file.relative_to(part)).as_posix()}" for file in files]
    ledger = _base[0] / FOLDER / f"{name.as_posix()}.sha256"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    if not part.is_dir() and ledger.is_file():
        before = [line for line in ledger.read_text(encoding="utf-8").splitlines() if line != lines[0]]
        lines = [*before[-OLDER:], *lines]
    fresh = ledger.with_name(f".{ledger.name}.{os.getpid()}")
    fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.replace(fresh, ledger)


def records(base: Path) -> dict[str, set[str]]:
    """Path below `base` -> the hashes that it has had."""
    found: dict[str, set[str]] = {}
    for ledger in sorted((base / FOLDER).rglob("*.sha256")):
        for line in ledger.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            found.setdefault(name, set()).add(digest)
    return found


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
