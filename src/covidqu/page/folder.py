"""A folder that is there whole or not at all: as `files.replacing`, for many files at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covidqu.files import remove, settle, staged
from covidqu.ledger import record

MARK = Path("assets") / "tables.js"  # every report has it: only such a folder is replaced


@contextmanager
def replacing_folder(target: Path, mark: Path = MARK) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; it takes the place of `target` on success.

    ValueError when `target` holds something without the file `mark`: it would be lost.
    """
    if target.exists() and not (target / mark).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: not a report, and not empty; name another folder with --out")
    with staged(target) as part:
        old = target.with_name(f".{target.name}.old")
        if old.exists() and not target.exists():
            os.replace(old, target)  # a call was killed between the two renames
        remove(old)
        part.mkdir()
        yield part
        os.sync()  # thousands of files: all at once
        record(target, part)
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
        settle(target.parent)
        remove(old)
