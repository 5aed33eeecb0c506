"""Zip files and .npz of the steps before, read whole, or `Damaged` names the file: as `stored.reading`.

A changed table of contents can lead out of the file. The system then says "invalid argument", which is no fault of the
disk, but of the file.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covidqu.stored import reading


@contextmanager
def reading_zip(path: Path, remedy: str = "") -> Iterator[None]:
    """As `reading`, for files that are zip archives."""
    with reading(path, remedy):
        try:
            yield
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise ValueError("its table of contents leads out of it") from error
