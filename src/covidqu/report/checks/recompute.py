"""Committed results made again from committed scores, and every number compared: without training, torch or images.

Input: results folders with their settings, and the packed data where they are at hand; output: one printed line per
difference, what was checked, what was skipped and why, and the exit status. Taken as they are: scores, cards and
histories of runs, what is known of Val images and of class heads, baselines and architectures. All else follows. Which
images have a near-duplicate in an earlier split is what the split says, where the data are at hand.
"""

import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from covidqu.config.params import Params
from covidqu.data.index import INDEX
from covidqu.evaluate.protocols import per_image
from covidqu.evaluate.scores import AGAIN, MASKS, METRICS, SCORES, read_scores, without_near_duplicates
from covidqu.files import write_text
from covidqu.ledger import record
from covidqu.report import catalogue, comparison
from covidqu.report.checks import check
from covidqu.report.checks.claims import CLAIMS, claims, sentence
from covidqu.report.checks.committed import chosen, files
from covidqu.report.checks.svg_numbers import compare_svg
from covidqu.report.core.artefacts import Artefact, Reads
from covidqu.report.core.sources import VALIDATION, Sources
from covidqu.report.figures import figure
from covidqu.report.readme import BLOCKS, readme
from covidqu.report.tables import build, write
from covidqu.stored import read_json, read_table, write_table

PAGES = (Path("README.md"), Path("docs/results.md"))
SHOWN = re.compile(r"covidqu readme --results (\S+)")  # a page says by which command its parts were written
NO_DATA = "need the packed data, not here (--data FOLDER)"
PATIENTS = "show patients, never committed"
BAR = {"unit": "", "delay": 5, "disable": None, "leave": False}  # on a terminal, where it takes more than some seconds
PART = 100  # characters of a long text that are shown


def recompute(folders: list[Path] | None, data: Path | None, settings: Params | None, fix: bool = False) -> int:
    """Check `folders`, by default all committed ones, and print what came of each.

    With `fix` what was made again takes the place of what is there: each difference is printed, the status is 0.

    0: nothing moved; 1: a number moved, or git and the builders do not have the same tables and figures; 3: nothing
    moved, but nothing could be checked. ValueError for a folder without settings, or `data` that are not packed.
    """
    if data is not None and not (data / "packed" / INDEX).is_file():
        raise ValueError(f"{data}: holds no packed/{INDEX}; name the folder that the `pack` step wrote to")
    faults, checked = 0, 0
    for results, params in chosen(folders, settings).items():
        with TemporaryDirectory() as made:
            work = Recomputation(results, params, data, Path(made), fix)
            work.run()
        work.show()
        faults += len(work.faults)
        checked += work.values + work.figures
    if not checked:
        print("nothing was checked: no results with scores, or all of them were skipped")
    if faults:
        return 0 if fix else check.MOVED
    return 0 if checked else check.NOTHING_CHECKED


@dataclass
class Recomputation:
    """One results folder; `made` is a folder for what is made again. `skipped`: (what, reason) -> names."""

    results: Path
    params: Params
    data: Path | None
    made: Path
    fix: bool = False
    faults: list[str] = field(default_factory=list)
    tables: int = 0
    values: int = 0
    figures: int = 0
    claims: int = 0
    skipped: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def run(self) -> None:
        """Make everything again and compare it; with `fix`, put it where it was compared with."""
        self.files = files(self.results)
        self.sources = Sources(self.params, self.data or self.made / "no data", self.results)
        self.known, self.drawn = catalogue.tables(self.params), catalogue.figures(self.params)
        names, shapes = list(self.known), [name for name, one in self.drawn.items() if one.kind == "svg"]
        made = [f"tables/{name}{suffix}" for name in names for suffix in (".csv", ".md")]
        made += ["comparison.csv", *(f"figures/{name}.svg" for name in shapes)]
        self._same_files(made)
        self._same_duplicates()
        for name in tqdm(names, desc=f"{self.results}: tables", **BAR):
            self._table(name)
        self._comparison()
        self._claims()
        self._pages()
        for name in tqdm(shapes, desc=f"{self.results}: figures", **BAR):
            self._figure(name)
        for name in self.drawn.keys() - set(shapes):
            self._skip("figures", PATIENTS, name)
        if self.fix:
            self._replace()

    def _replace(self) -> None:
        """What was made, and could be made whole, takes its place."""
        kept = shutil.ignore_patterns("pages", *(["comparison.csv"] if self.data is None else []))
        shutil.copytree(self.made, self.results, dirs_exist_ok=True, ignore=kept, copy_function=_put)
        for page in PAGES:
            if (self.made / "pages" / page).is_file():
                shutil.copy(self.made / "pages" / page, page)

    def show(self) -> None:
        """Print each difference, then the counts, then what was skipped."""
        for fault in self.faults:
            print(fault, file=sys.stderr)
        checked = f"{self.values} values, {self.claims} claims and {self.figures} figures checked"
        done = f"{self.tables} tables recomputed, {checked}"
        print(f"{self.results}: {done}: {len(self.faults)} differences")
        for (what, reason), names in self.skipped.items():
            print(f"{self.results}: SKIPPED {len(names)} {what}: {reason}: {', '.join(sorted(set(names)))}")

    def _same_files(self, made: list[str]) -> None:
        """What is committed is what builders make."""
        lost = sorted(self.files - set(made))
        self._say([f"{name}: is committed, but nothing makes it any more" for name in lost])
        for name in lost if self.fix else ():
            (self.results / name).unlink(missing_ok=True)
        self._say([f"{name}: is made, but not committed" for name in made if name not in self.files])

    def _same_duplicates(self) -> None:
        """Scores mark the images that the split marks; with `fix` they do from here on, before tables are made."""
        splits, index = self.sources.splits, self.sources.index
        if splits is None or index is None:
            return
        marked = dict(zip(index["id"], splits["near_duplicate"].astype(bool), strict=True))
        for path in sorted(path for name in (SCORES, VALIDATION) for path in self.results.glob(f"*/*/{name}")):
            table = read_table(path, AGAIN)
            was = table["near_duplicate"].to_pylist()
            now = [marked.get(image, mark) for image, mark in zip(table["id"].to_pylist(), was, strict=True)]
            differ = sum(one != other for one, other in zip(was, now, strict=True))
            if not differ:
                continue
            self._say([f"{path.relative_to(self.results)}: near_duplicate of {differ} images is not that of the split"])
            if self.fix:
                place = table.column_names.index("near_duplicate")
                write_table(path, table.set_column(place, "near_duplicate", pa.array(now)))
                if (metrics := path.with_name(METRICS)).is_file() and path.name == SCORES:
                    self._same_metrics(metrics, read_scores(path)[0])

    def _same_metrics(self, path: Path, scores: pd.DataFrame) -> None:
        """The headline numbers without near-duplicates, again from the scores."""
        metrics = read_json(path, AGAIN)
        for task in metrics.keys() & set(MASKS):
            metrics[task] |= without_near_duplicates(scores, per_image("img_covid", scores, task))
        write_text(path, json.dumps(metrics, indent=2, allow_nan=False) + "\n")

    def _committed(self, name: str) -> Path | None:
        """Where a committed file lies; one that is not committed was reported by `_same_files`."""
        path = self.results / name
        if name not in self.files:
            return None
        if not path.is_file():
            self._say([f"{name}: is committed, but not there"])
            return None
        return path

    def _why_no_data(self, wanted: Artefact) -> str:
        """Why a table or figure cannot be made here, or nothing."""
        return NO_DATA if wanted.reads & (Reads.DATA | Reads.IMAGES) and self.data is None else ""

    def _say(self, faults: list[str]) -> None:
        """Keep faults of files of the results folder."""
        self.faults += [f"{self.results}/{fault}" for fault in faults]

    def _skip(self, what: str, reason: str, name: str, count: int = 1) -> None:
        self.skipped.setdefault((what, reason), []).extend([name] * count)

    def _table(self, name: str) -> None:
        if reason := self._why_no_data(self.known[name]):
            self._skip("tables", reason, name)
            return
        target = self.made / "tables" / name
        try:
            write(build(self.sources, name), target)
        except ValueError as error:
            self._say([f"tables/{name}: cannot be made any more: {error}"])
            return
        rows, page = (self._committed(f"tables/{name}{suffix}") for suffix in (".csv", ".md"))
        new_rows, new_page = (target.with_name(f"{target.name}{suffix}") for suffix in (".csv", ".md"))
        if rows:
            self._count(f"tables/{name}", check.read_rows(rows), check.read_rows(new_rows))
        if page:  # its table has the numbers of the CSV: named there where they moved
            same = rows is not None and rows.read_bytes() == new_rows.read_bytes()
            was, now = (path.read_text(encoding="utf-8") for path in (page, new_page))
            self._say(moved_lines(f"tables/{name}.md", was, now, with_table=same))

    def _count(self, name: str, was: check.Content, now: check.Content) -> None:
        found = check.differences(name, was, now)
        self._say(found.faults)
        self.values += found.values
        self.tables += 1

    def _comparison(self) -> None:
        """Rows of tables that cannot be made here are left out on both sides."""
        path, again = self._committed("comparison.csv"), self.made / "comparison.csv"
        if path is None and not self.fix:
            return
        try:
            comparison.write(self.sources, again)
        except ValueError as error:
            self._say([f"comparison: cannot be made any more: {error}"])
            return
        if path is None:
            return
        kept, unmade = [], {one.name for one in catalogue.ARTEFACTS if self._why_no_data(one)}
        for columns, rows in (check.read_rows(path), check.read_rows(again)):
            there = {key: r for key, r in rows.items() if f"{r['system']}/{r['table']}" not in unmade}
            kept.append((columns, there))
            left = len(rows) - len(there)
        if left:
            self._skip("rows of comparison.csv", NO_DATA, "those of the tables above", left)
        self._count("comparison", *kept)

    def _claims(self) -> None:
        """Sentences with findings: what they rest on still says so."""
        for claim in claims(self.results / CLAIMS):
            try:
                sentence(claim, self.made / "tables", self.results / "tables")
            except ValueError as error:
                self._say([f"{CLAIMS}: {error}"])
            self.claims += 1

    def _pages(self) -> None:
        """The generated parts of README and docs/results.md, where these say that they show these results."""
        texts = {page: page.read_text(encoding="utf-8") for page in PAGES if page.is_file()}
        named = {page: SHOWN.search(text) for page, text in texts.items()}
        here = [page for page, by in named.items() if by and Path(by[1]).resolve() == self.results.resolve()]
        if not all((self.made / "tables" / f"{block.table}.csv").is_file() for block in BLOCKS):
            return  # could not be made: a difference already
        for file in (CLAIMS, *(f"tables/{name}.csv" for name in self.known)) if here else ():
            if (self.results / file).is_file() and not (self.made / file).is_file():  # what claims rest on
                (self.made / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.results / file, self.made / file)
        for page in here:
            again = self.made / "pages" / page
            again.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, again)
            try:
                readme(self.sources, [again], self.made)
            except ValueError as error:
                self.faults.append(f"{page}: cannot be written any more: {error}")
                continue
            self._parts(str(page), texts[page], again.read_text(encoding="utf-8"))

    def _parts(self, page: str, was: str, now: str) -> None:
        """Every generated part of a page, number by number."""
        for block in BLOCKS:
            old, new = block.of(was), block.of(now)
            found = check.differences(page, markdown_rows(old), markdown_rows(new))
            self.faults += [*found.faults, *moved_lines(page, old, new, with_table=False)]
            self.tables += bool(markdown_rows(new)[0])
            self.values += found.values

    def _figure(self, name: str) -> None:
        """Equal bytes, or the same numbers; a figure of what is not committed is skipped."""
        path, target = self._committed(f"figures/{name}.svg"), self.made / "figures" / f"{name}.svg"
        lost = [file for file in self.drawn[name].results(self.params) if not (self.results / file).is_file()]
        reason = self._why_no_data(self.drawn[name]) or (f"show {', '.join(lost)}, not here" if lost else "")
        if reason:
            self._skip("figures", reason, name)
        if reason or (path is None and not self.fix):
            return
        try:
            figure(self.sources, name, target)
            if path is None:
                return
            was, now = path.read_text(encoding="utf-8"), target.read_text(encoding="utf-8")
            moved = [] if was == now else compare_svg(was, now)
        except ValueError as error:
            moved = [f"cannot be made or read any more: {error}"]
        self._say([f"figures/{name}.svg: {words}" for words in moved])
        self.figures += 1


def markdown_rows(page: str) -> check.Content:
    """Columns and rows of the one table of a Markdown text; a row is called by its first field."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    header, _, *fields = [[text.strip() for text in line.split("|")[1:-1]] for line in lines] or [[], []]
    columns = header[1:]
    return columns, {(first,): dict(zip(columns, rest, strict=True)) for first, *rest in fields}


def moved_lines(name: str, was: str, now: str, *, with_table: bool) -> list[str]:
    """Lines of a Markdown text that differ: title, remarks and, where wanted, rows of the table."""
    old, new = ([line for line in page.splitlines() if with_table or not line.startswith("|")] for page in (was, now))
    pairs = [pair for pair in zip_longest(old, new, fillvalue="") if pair[0] != pair[1]]
    return [f"{name}: text moved: {shown(*pair)}" for pair in pairs]


def shown(was: str, now: str) -> str:
    """Two long texts from shortly before the place where they part."""
    part = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, part - 20)
    old, new = (f"{'...' if start else ''}{text[start:][:PART]}" for text in (was, now))
    return f"'{old}' -> '{new}'"


def _put(made: str, target: str) -> str:
    """Copy a file, with a record for `verify`."""
    record(Path(target), Path(made))
    return shutil.copy2(made, target)
