"""Is every file what it was when it was made? Data and results in; the names of those that are not, out.

What the engines cannot see: Snakemake compares contents only of files with a newer date, DVC trusts size and date of a
file that it knows. Here every byte is read and compared with all that is known of it: the record of its step
(`covidqu.ledger`), dvc.lock, the hashes of pixels and masks in the index, the hash inside a file of weights, the
checksums of zip entries and parquet pages, and what cards, predictions and scores say of the files behind them.
"""

import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from covidqu.config.params import Params
from covidqu.cores import cores
from covidqu.data.index import IMAGES, INDEX, INFECTION_MASKS, LUNG_MASKS, Packed, open_packed
from covidqu.evaluate.predictions import open_predictions
from covidqu.evaluate.scores import read_scores
from covidqu.files import Damaged, kept_as, set_aside
from covidqu.ledger import records, sha256
from covidqu.stored import read_array, read_json, read_table, reading
from covidqu.systems.weights import read_weights
from covidqu.training.card import about_weights
from covidqu.training.resume import is_whole
from covidqu.zipped import reading_zip

Fault = tuple[Path, str]  # a file, what is wrong with it
BYTES = "its bytes are not those that its step wrote"


def verify(params: Params, data: Path, results: Path, aside: bool = False) -> int:
    """Print one line for each file that differs, and how many were looked at; 1 where one differs, else 0.

    `aside`: rename files whose bytes are damaged, so that an engine makes just these again.
    """
    files = sorted(file for folder in (data, results) for file in artefacts(folder))
    known, locked = records(Path.cwd()), dvc_lock(Path("dvc.lock"))
    wrong = dict[Path, str]()
    for file in files:
        if fault := of_bytes(file, known, locked):
            wrong[file] = fault
    wrong = dict(of_formats(files)) | wrong
    if not wrong.keys() & {data / "packed" / name for name in (INDEX, IMAGES, LUNG_MASKS, INFECTION_MASKS)}:
        wrong |= dict(of_data(data))
    damaged = set(wrong)
    for file, fault in [*of_lock(files, locked), *of_origin(params, data, results, wrong)]:
        wrong.setdefault(file, fault)
    for file, fault in sorted(wrong.items()):
        moved = f"; it is {set_aside(file).name} now" if aside and file in damaged and file.is_file() else ""
        print(f"{file}: {fault}{moved}")
    unknown = sum(name_of(file) not in known and name_of(file) not in locked for file in files)
    print(f"verify: {len(wrong)} of {len(files)} files differ; {unknown} have no record", file=sys.stderr)
    if damaged and not aside:
        print("verify: --aside renames those that are damaged; an engine then makes them again", file=sys.stderr)
    return int(bool(wrong))


def artefacts(folder: Path) -> Iterator[Path]:
    """What the steps have made, and what they keep; nothing that is being written or was set aside."""
    passing = re.compile(r"\.(part|lock|old)(/|$)|\.damaged|/live/")
    for file in folder.rglob("*"):
        if file.is_file() and not passing.search(file.as_posix()):
            yield file


def name_of(file: Path) -> str:
    """The path as ledgers and dvc.lock have it."""
    return file.as_posix()


def of_bytes(file: Path, known: dict[str, set[str]], locked: dict[str, str]) -> str | None:
    """What the record of its step says against a file; nothing where dvc.lock or the last commit has these bytes."""
    name = name_of(file)
    if name not in known or sha256(file) in known[name]:
        return None
    if locked.get(name) == md5(file) or committed(file):
        return None
    return BYTES


def of_lock(files: list[Path], locked: dict[str, str]) -> Iterator[Fault]:
    """Files that dvc.lock has otherwise."""
    for file in files:
        if name_of(file) in locked and locked[name_of(file)] != md5(file):
            yield file, "is not what dvc.lock has; made anew on purpose: `python workflow/sync.py after-snakemake`"


def dvc_lock(file: Path) -> dict[str, str]:
    """Path -> MD5 of every output that DVC has recorded; empty without dvc.lock."""
    if not file.is_file():
        return {}
    with reading(file):
        stages = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("stages", {}).values()
        return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}


def md5(file: Path) -> str:
    """As DVC has it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()


def committed(file: Path) -> bool:
    """Whether the last commit has these very bytes."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", f"HEAD:./{name_of(file)}") if not file.is_absolute() else ""
    return bool(found) and found == git("hash-object", "--no-filters", "--", name_of(file))


def of_formats(files: list[Path]) -> Iterator[Fault]:
    """Files whose own checksums, or whose form, say that they are not whole."""
    for file in files:
        try:
            match file.suffix:
                case ".safetensors":
                    read_weights(file)
                case ".parquet":
                    read_table(file)
                case ".npz" | ".zip":
                    with reading_zip(file), zipfile.ZipFile(file) as archive:
                        if bad := archive.testzip():
                            raise Damaged(file, f"entry {bad}")
                case ".json":
                    read_json(file)
                case ".npy":
                    read_array(file)
                case ".pt" if not is_whole(file):
                    raise Damaged(file, "the state of a training")
            if file.name == "kept.json" and kept_as(file.parent) is None:
                raise Damaged(file, "what it keeps is not what was kept")
        except Damaged as error:
            yield file, str(error).removeprefix(f"{file}: ")


def packed_of(data: Path) -> Packed | None:
    """The packed data; None where there are none, or they cannot be opened: `of_formats` says why."""
    try:
        return open_packed(data / "packed")
    except ValueError:
        return None


def of_data(data: Path) -> Iterator[Fault]:
    """Arrays with pixels or masks that the index does not know."""
    if (packed := packed_of(data)) is None:
        return
    with ThreadPoolExecutor(cores()) as pool:
        found = np.array(list(pool.map(packed.hashes, range(len(packed.index)))), dtype=object)
    differs = found != packed.index[["image_sha256", "masks_sha256"]].to_numpy(dtype=object)
    for name, rows in ((IMAGES, differs[:, 0]), (LUNG_MASKS, differs[:, 1])):
        if rows.any():
            yield data / "packed" / name, f"{rows.sum()} of {len(rows)} images are not those of the index"


def of_origin(params: Params, data: Path, results: Path, wrong: dict[Path, str]) -> Iterator[Fault]:
    """Weights, predictions and scores that were made from other files than those that are here now.

    What is damaged says nothing against what was made from it.
    """
    packed = packed_of(data) if data / "packed" / INDEX not in wrong else None
    for run in params.resolved:
        folder, weights = results / "runs" / run, results / "weights" / f"{run}.safetensors"
        facts: dict[str, Any] = {"run": run} | ({"data_hash": packed.data_hash} if packed else {})
        card = folder / "card.json"
        if card.is_file() and card not in wrong:
            yield from other(card, about := read_json(card), facts)
            for file in (weights, folder / "last.safetensors"):
                if file.is_file() and file not in wrong and read_weights(file)[1] != about_weights(about):
                    yield file, f"says other things of itself than {card}"
        if weights.is_file() and weights not in wrong:
            facts["weights_sha256"] = sha256(weights)
        for name, meta in {
            "predictions.npz": lambda file: open_predictions(file).meta,
            "scores.parquet": lambda file: read_scores(file)[1],
            "validation.parquet": lambda file: read_scores(file)[1],
        }.items():
            if (file := folder / name).is_file() and file not in wrong:
                yield from other(file, meta(file), facts)


def other(file: Path, said: dict[str, Any], facts: dict[str, Any]) -> Iterator[Fault]:
    """What a file says of its origin and is not so now."""
    differing = [key for key, value in facts.items() if said.get(key) != value]
    if differing:
        yield file, f"is of another {' and '.join(differing)} than what is here now; the next run makes it again"
