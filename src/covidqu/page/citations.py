"""The papers as they are cited: CITATION.cff in, one reference per system out."""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from covidqu.imports import PACKAGE

FILE = "CITATION.cff"
NOTES = re.compile(r"paper \d{3}, (?P<system>[\w-]+)(?:; (?P<remark>.*))?")  # of a reference that is one of the papers


class Reference(NamedTuple):
    """`authors` and `short` in words; `year`, `journal`, `doi` and `remark` are empty where the file has none."""

    title: str
    authors: str
    short: str
    year: str
    journal: str
    doi: str
    remark: str


@cache
def references() -> dict[str, Reference]:
    """System -> its paper. ValueError names a reference without title or authors."""
    path = source()
    found = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["references"]:
        notes = NOTES.fullmatch(entry.get("notes", ""))
        if notes is None:
            continue
        lost = [key for key in ("title", "authors") if not entry.get(key)]
        if lost:
            raise ValueError(f"{path}: the reference of {notes['system']} has no {', '.join(lost)}")
        found[notes["system"]] = _reference(entry, notes["remark"] or "")
    return found


def source() -> Path:
    """The file in an installed package, else at the root of the repository."""
    packed = PACKAGE / FILE
    return packed if packed.is_file() else PACKAGE.parents[1] / FILE


def _reference(entry: dict[str, Any], remark: str) -> Reference:
    people = [author.get("name") or f"{author['given-names']} {author['family-names']}" for author in entry["authors"]]
    first = entry["authors"][0]
    year = str(entry.get("year", ""))
    short = f"{first.get('family-names') or first['name']}{' et al.' if len(people) > 1 else ''} {year}".strip()
    authors = people[0] if len(people) == 1 else f"{', '.join(people[:-1])} and {people[-1]}"
    journal = f"{entry.get('journal', '')}{', ' + entry['status'] if 'status' in entry else ''}"
    return Reference(entry["title"], authors, short, year, journal, entry.get("doi", ""), remark)
