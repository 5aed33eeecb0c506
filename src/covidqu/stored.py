"""Arrays, tables and JSON files of the steps before: read whole, or `Damaged` names the file and the fault.

Parquet pages carry checksums; zip files (.npz) have them anyway.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from covidqu.files import Damaged, replacing

# what readers of other people's formats raise on bytes that are not theirs; a missing file stays an OSError
FAULTS = (ValueError, EOFError, KeyError, IndexError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError)
FAULTS += (pa.ArrowException, OverflowError, SyntaxError)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn what a reader raises on damaged bytes of `path` into `Damaged`."""
    try:
        yield
    except Damaged:
        raise
    except FAULTS as error:
        raise Damaged(path, " ".join(str(error).split())[:200] or type(error).__name__) from None
    except OSError as error:
        if error.errno is not None or not path.is_file():
            raise
        raise Damaged(path, " ".join(str(error).split())[:200]) from None  # Arrow's: no fault of the disk


def read_array(path: Path) -> np.ndarray:
    """An .npy file, mapped into memory."""
    with whole(path):
        return np.load(path, mmap_mode="r")


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    with whole(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_parquet(path: Path) -> pd.DataFrame:
    """A table whose pages are those that were written."""
    return read_table(path).to_pandas()


def read_table(path: Path) -> pa.Table:
    """As `read_parquet`, with the metadata of its schema."""
    with whole(path):
        return pq.read_table(path, page_checksum_verification=True)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table with a checksum of every page."""
    with replacing(path) as part:
        pq.write_table(table, part, write_page_checksum=True)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its row labels, with a checksum of every page."""
    with replacing(path) as part:
        frame.to_parquet(part, index=False, write_page_checksum=True)
