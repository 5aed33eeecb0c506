"""Files that are there whole or not at all, their hashes, and a second name for those that took hours."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` on success, remove it on failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name, then rename."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(folder: Path, identity: str, files: list[Path]) -> None:
    """Give finished files a second name in `folder`, with their hashes and what they are the outcome of.

    An engine deletes a step's outputs before it runs the step again, whatever comes of that. Hard links cost no space;
    where there are none, the files are copied, and where that fails nothing is kept.
    """
    fresh = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for number, file in enumerate(files):
            link(file, fresh / str(number))
        known = {"identity": identity, "sha256": [sha256(file) for file in files]}
        (fresh / "kept.json").write_text(json.dumps(known), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        print(f"{folder}: no second copy is kept ({error})", file=sys.stderr)


def kept_as(folder: Path) -> str | None:
    """The identity of what `folder` keeps, every byte as it was; None where it keeps nothing or it is damaged."""
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
