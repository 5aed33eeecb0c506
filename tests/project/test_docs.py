"""Pages of documentation: what they list is there, and what is there is listed."""

import csv
import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from covidqu.config.params import load
from covidqu.evaluate.protocols import PROTOCOLS
from covidqu.ingest.audit import audit
from covidqu.ingest.schema import INDEX_SCHEMA
from covidqu.ingest.split import split
from covidqu.report.comparison import COLUMNS as COMPARED
from covidqu.report.core.cells import COLUMNS as CELLS
from covidqu.report.core.kinds import Kind, Status, Unit
from support.places import EXPECTED, ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
FILE = r"\b(?:tests|src|workflow|benchmarks|containers|profiles)/[\w/.-]*\w\.(?:py|yaml|smk|sh|md)\b"
ADDED = "lesion_sizes|tiny|NAME"
HOLES = {"{map}": "(covid_vs_normal|covid_vs_rest)", "{task}": "(lung|infection)", "{px}": r"\d+", "{k}": r"\d+"}
FOLDERS = [place / kind for place in (ROOT / "results/lite", EXPECTED) for kind in ("runs", "baselines")]


def sections(page: str = "formats.md") -> dict[str, list[str]]:
    """Heading -> the names in code of the first column of its tables."""
    found = {}
    for part in (ROOT / "docs" / page).read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
        found[part.splitlines()[0]] = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return found


def listed(start: str) -> list[str]:
    (found,) = (names for heading, names in sections().items() if heading.startswith(start))
    return found


def patterns(names: list[str]) -> list[str]:
    for hole, regex in HOLES.items():
        names = [name.replace(hole, regex) for name in names]
    return names


def written(name: str) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted(folder.glob(f"*/{name}"))]


def columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return pq.read_schema(path).names
    if path.suffix == ".json":
        return list(json.loads(path.read_text()))
    with path.open(newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("results/runs/RUN/scores.parquet", ("scores.parquet", "validation.parquet")),
        ("results/runs/RUN/history.csv", ("history.csv",)),
        ("results/runs/RUN/explain.parquet", ("explain.parquet",)),
    ],
)
def test_every_column_of_the_files_is_described_and_no_other(heading: str, names: tuple[str, ...]) -> None:
    there = set(chain.from_iterable(columns(path) for name in names for path in written(name)))
    described = patterns(listed(heading))
    assert there and [c for c in sorted(there) if not any(re.fullmatch(p, c) for p in described)] == []
    assert [p for p in described if not any(re.fullmatch(p, c) for c in there)] == []


def test_every_key_of_the_cards_is_described() -> None:
    cards = {"results/runs/RUN/card.json": "runs", "results/baselines/NAME/card.json": "baselines"}
    for heading, kind in cards.items():
        there = set(chain.from_iterable(columns(p) for p in written("card.json") if p.parent.parent.name == kind))
        assert there == {name for name in listed(heading) if name not in ("name", "scope", "sha256")}


def test_columns_of_the_code_are_described() -> None:
    packed = listed("data/packed")
    assert [name for name in packed if not name.endswith(".npy")] == list(INDEX_SCHEMA.columns)
    assert set(listed("results/tables/")) == set(CELLS)
    missing = {"split", "seeds", "sd", "note"}
    assert set(listed("results/comparison.csv")) | set(CELLS) - missing == set(COMPARED)
    text = (ROOT / "docs/formats.md").read_text()
    assert all(f"`{word.value}`" in text for word in chain(Status, Kind, Unit))


def test_pairs_splits_and_arrays_are_described(packed: Path, tmp_path: Path) -> None:
    params = load([ROOT / "params.yaml", ROOT / "workflow/overlays/demo.yaml"])
    audit(packed, tmp_path / "audit", params.audit)
    split(packed, tmp_path / "audit", tmp_path / "split.parquet", params.split)
    assert set(columns(tmp_path / "audit/duplicates.parquet")) == set(listed("data/audit"))
    assert columns(tmp_path / "split.parquet") == listed("data/split.parquet")
    for name in [name for name in listed("data/packed") if name.endswith(".npy")]:
        assert np.load(packed / name, mmap_mode="r").dtype == np.uint8


def test_every_protocol_is_described() -> None:
    page = (ROOT / "docs/protocols.md").read_text().split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(PROTOCOLS)


def test_links_lead_somewhere() -> None:
    lost = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if target.startswith(("http", "../../actions")):
                continue
            name, _, part = target.partition("#")
            there = page.parent / name if name else page
            if not there.exists() or (part and part not in anchors(there)):
                lost.append(f"{page.name}: {target}")
    assert lost == []


def test_files_that_pages_name_are_there() -> None:
    """But those that are added by who follows a recipe of CONTRIBUTING."""
    named = {name for page in PAGES for name in re.findall(FILE, page.read_text())}
    assert len(named) > 50
    assert [name for name in sorted(named) if not re.search(ADDED, name) and not (ROOT / name).is_file()] == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    text = (ROOT / "docs/index.md").read_text()
    assert [page.name for page in DOCS if page.name != "index.md" and f"({page.name}" not in text] == []


def test_the_pages_make_a_site(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert all((tmp_path / "site" / page.stem / "index.html").is_file() for page in DOCS if page.name != "index.md")
