"""Arrays, tables, CSV and JSON files of the steps before: read whole, or `Damaged` names the file and the fault.

Parquet pages carry checksums; zip files (.npz) have them anyway.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from covidqu.errors import fault, first_line
from covidqu.files import Damaged, replacing


@contextmanager
def reading(path: Path, remedy: str = "") -> Iterator[None]:
    """Whatever goes wrong inside is the fault of the file `path`: `Damaged`, with its name, the fault and `remedy`.

    A file that is not there, or that the disk does not give, stays an OSError; what names the file already passes.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{path}: does not fit into memory ({first_line(error)}); {remedy}") from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        if isinstance(error, OSError) and (error.errno is not None or not path.is_file()):
            raise
        raise Damaged(path, fault(error), remedy) from error


def read_array(path: Path, remedy: str = "") -> np.ndarray:
    """An .npy file, mapped into memory."""
    with reading(path, remedy):
        found = np.load(path, mmap_mode="r")
        if not isinstance(found, np.ndarray):
            raise TypeError(f"holds {type(found).__name__}, an array is wanted")
        return found


def read_json(path: Path, remedy: str = "") -> dict[str, Any]:
    """The object in a JSON file; ValueError for any other content."""
    with reading(path, remedy):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError(f"holds {type(found).__name__}, an object is wanted")
        return found


def read_lines(path: Path, remedy: str = "", *wanted: str) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and lines of a CSV file; ValueError for one without a column that is `wanted`, or with a ragged line."""
    with reading(path, remedy), path.open(newline="", encoding="utf-8") as file:
        columns, *lines = list(csv.reader(file)) or [[]]
        if lost := next((column for column in wanted if column not in columns), None):
            raise KeyError(lost)
        if ragged := next((line for line in lines if len(line) != len(columns)), None):
            raise ValueError(f"a line has {len(ragged)} fields, the header {len(columns)}")
        return columns, [dict(zip(columns, line, strict=True)) for line in lines]


def read_parquet(path: Path, remedy: str = "", columns: list[str] | None = None) -> pd.DataFrame:
    """A table, or some of its columns, whose pages are those that were written."""
    table = read_table(path, remedy, columns)
    with reading(path, remedy):
        return as_frame(table)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """ValueError where what the schema says to pandas makes other columns of it."""
    frame = table.to_pandas()
    if list(frame.columns) != [name for name in table.column_names if not name.startswith("__index_level_")]:
        raise ValueError("its columns are not those that its schema lists")
    return frame


def read_table(path: Path, remedy: str = "", columns: list[str] | None = None) -> pa.Table:
    """As `read_parquet`, with the metadata of its schema."""
    with reading(path, remedy):
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
        if lost := set(columns or ()) - set(table.column_names):
            raise KeyError(", ".join(sorted(lost)))
        table.validate(full=True)  # text that is none would be found by whoever looks at it first
        return table


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table with a checksum of every page."""
    with replacing(path) as part:
        pq.write_table(table, part, write_page_checksum=True)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its row labels, with a checksum of every page."""
    with replacing(path) as part:
        frame.to_parquet(part, index=False, write_page_checksum=True)
