"""Files and folders that are there whole or not at all, their hashes, and a second name for those that took hours."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covidqu.ledger import record, sha256
from covidqu.locks import only_writer


class Damaged(ValueError):
    """A file that is not as it was written: `path`; the message says what is wrong, and the `remedy`."""

    def __init__(self, path: Path, why: object, remedy: str = "") -> None:
        super().__init__(f"{path}: damaged ({why})" + (f"; {remedy}" if remedy else ""))
        self.path = path


@contextmanager
def replacing(target: Path, *, recorded: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success rename it to `target`, on the disk before it has that name.

    One process at a time. What a killed one has left under the temporary name goes first; so does it on failure.
    """
    with staged(target) as part:
        yield part
        put(part, target, recorded=recorded)


def put(part: Path, target: Path, *, recorded: bool = True) -> None:
    """Give a finished file its name, on the disk and for `verify`."""
    settle(part)
    if recorded:
        record(target, part)
    os.replace(part, target)
    settle(target.parent)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield the temporary path of `target`, a file or a folder; nothing is there before, and nothing stays."""
    part = target.with_name(f".{target.name}.part")
    with only_writer(target):
        remove(part)
        try:
            yield part
        finally:
            remove(part)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def settle(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a power failure then leaves no empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that an engine makes it again and nothing is lost; its new name."""
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while aside.exists():
        number, aside = number + 1, path.with_name(f"{path.name}.damaged-{number + 1}")
    path.rename(aside)
    return aside


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name, then rename."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def keep(folder: Path, identity: str, files: list[Path]) -> bool:
    """Give finished files a second name in `folder`, with their hashes and what they are the outcome of.

    An engine deletes a step's outputs before it runs the step again, whatever comes of that. Hard links cost no space;
    where there are none, the files are copied, and where that fails nothing is kept, and the answer is False.
    """
    fresh = _fresh(folder)
    remove(fresh)
    fresh.mkdir(parents=True)
    try:
        for number, file in enumerate(files):
            link(file, fresh / str(number))
            settle(fresh / str(number))
        known = {"identity": identity, "sha256": [sha256(file) for file in files]}
        write_text(fresh / "kept.json", json.dumps(known))  # last: who has it is whole
        remove(folder)
        fresh.rename(folder)
        settle(folder.parent)
    except OSError as error:
        remove(fresh)
        print(f"{folder}: no second copy is kept ({error})", file=sys.stderr)
        return False
    return True


def _fresh(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def kept_as(folder: Path) -> str | None:
    """The identity of what `folder` keeps, every byte as it was; None where it keeps nothing or it is damaged."""
    if not folder.exists() and (_fresh(folder) / "kept.json").is_file():
        _fresh(folder).rename(folder)  # `keep` was killed just before
    try:
        known = json.loads((folder / "kept.json").read_text(encoding="utf-8"))
        whole = all(sha256(folder / str(number)) == digest for number, digest in enumerate(known["sha256"]))
        return str(known["identity"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def take_back(folder: Path, identity: str, files: list[Path]) -> bool:
    """Give kept files their first names again; False when `folder` does not keep the outcome of `identity`."""
    if kept_as(folder) != identity:
        return False
    for number, file in enumerate(files):
        with replacing(file) as part:
            link(folder / str(number), part)
            os.utime(part)  # newer than all that the step reads, as if made now
    names = ", ".join(map(str, files))
    print(f"{names}: made before and kept in {folder}; taken from there (delete it to start anew)", file=sys.stderr)
    return True


def link(source: Path, target: Path) -> None:
    """A hard link, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
