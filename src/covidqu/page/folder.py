"""A folder that is there whole or not at all: as `files.replacing`, for many files at once."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = Path("assets") / "tables.js"  # every report has it: only such a folder is replaced


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; it takes the place of `target` on success.

    ValueError when `target` holds something that is not a report: it would be lost.
    """
    if target.exists() and not (target / MARK).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: not a report, and not empty; name another folder with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    part, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    part.mkdir()
    try:
        yield part
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
