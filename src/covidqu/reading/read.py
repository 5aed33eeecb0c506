"""Step `read`: files and folders with chest X-rays in; overlays, masks, JSON files and one table out.

What was read before with the same bytes, model and version is not read again. A file that cannot be read is told,
skipped and counted.
"""

import errno
import sys
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from covidqu.cores import cores
from covidqu.errors import told
from covidqu.locks import only_writer
from covidqu.reading import outputs
from covidqu.reading.bundle import NOTICE, Bundle, open_bundle
from covidqu.reading.inputs import Input, inputs
from covidqu.reading.model import Model
from covidqu.reading.pictures import Picture, content, decoded
from covidqu.reading.reading import Reading, versions
from covidqu.reading.reading import read as readings

BATCH = 16  # pictures that go through the networks together
BATCH_PIXELS = 32_000_000  # of them all: what is held in memory does not grow with their number or size
SOME_FAILED = 1  # exit status


def read(wanted: list[Path], out: Path, model: Path, threads: int | None = None, truth: Path | None = None) -> int:
    """Read all pictures into the folder `out`; the exit status: 0, or 1 where a file could not be read.

    `model`: a bundle's folder, or the name of one that comes with the package. `truth`: a folder of masks to score
    against (`truth`). ValueError for inputs, an `out` or a bundle that cannot be used at all.
    """
    found, others = inputs(wanted, out)
    bundle = open_bundle(model)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file; name a folder to write the readings to")
    out.mkdir(parents=True, exist_ok=True)
    if others:
        print(f"{others} other files in the folders are no pictures by name and are left out", file=sys.stderr)
    with only_writer(out / outputs.TABLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow and pydicom, about odd headers: what matters is an error or a note
        rows = read_all(found, out, bundle, threads or cores())
    bad = sum(row["status"] == "error" for row in rows.values())
    print(f"{len(rows) - bad} of {len(rows)} read: {out / outputs.TABLE}. {NOTICE}.", file=sys.stderr)
    if len(rows) > bad:
        print(f"Look at the pictures first: {out / outputs.FOLDERS['overlay']}", file=sys.stderr)
    if truth is not None:
        from covidqu.reading.truth import score

        score(out, [one.name for one in found if rows[one.name]["status"] != "error"], truth)
    return SOME_FAILED if bad else 0


def read_all(found: list[Input], out: Path, bundle: Bundle, threads: int) -> dict[str, outputs.Row]:
    """Name -> line of the table; the table is written in any case, also after Ctrl-C.

    Behind these lines it has those of readings that earlier calls have left in `out`.
    """
    rows: dict[str, outputs.Row] = {}
    model: Model | None = None
    try:
        with ThreadPoolExecutor(threads) as pool, tqdm(total=len(found), unit="picture", desc="read") as bar:
            for batch in batches(to_read(found, out, bundle.metadata.sha256, rows, bar)):
                model = model or Model(bundle, threads)
                made = readings([picture for _, picture in batch], model)
                for one, row in pool.map(
                    lambda pair: written(out, *pair), zip((o for o, _ in batch), made, strict=True)
                ):
                    rows[one.name] = row
                bar.update(len(batch))
    finally:
        mine = [rows[one.name] for one in found if one.name in rows]
        outputs.write_table(out, mine + outputs.earlier(out, {one.name for one in found}))
    return rows


def to_read(
    found: list[Input], out: Path, model_sha256: str, rows: dict[str, outputs.Row], bar: tqdm
) -> Iterator[tuple[Input, Picture]]:
    """The pictures that are not read yet; `rows` gets the lines of those that are, and of what is no picture."""
    for one in found:
        try:
            data = content(one.path)
            digest = sha256(data).hexdigest()
            record = outputs.kept(out, one.name)
            same = (digest, model_sha256, versions()["covidqu"])
            if record is None or same != outputs.made_of(record):
                if record and record["input"]["sha256"] != digest:
                    tell(f"{one.path}: replaces the reading of another picture called {one.name} in {out}")
                yield one, decoded(one.path, data)
                continue
            rows[one.name] = outputs.row(one.name, record)
        except (OSError, ValueError) as error:
            rows[one.name] = skipped(out, one, told(error)[0])
        bar.update()


def batches(pictures: Iterable[tuple[Input, Picture]]) -> Iterator[list[tuple[Input, Picture]]]:
    """At most `BATCH` pictures and `BATCH_PIXELS` pixels at a time, or one larger picture."""
    batch: list[tuple[Input, Picture]] = []
    for one, picture in pictures:
        if batch and sum(p.pixels.size for _, p in batch) + picture.pixels.size > BATCH_PIXELS:
            yield batch
            batch = []
        batch.append((one, picture))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def written(out: Path, one: Input, reading: Reading) -> tuple[Input, outputs.Row]:
    """The line of a reading whose files are written now."""
    try:
        return one, outputs.row(one.name, outputs.write(out, one.name, reading))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # a full disk, say: the next file would fare no better
            raise
        return one, skipped(out, one, f"{one.path}: its name is too long for the names of results; rename it")


def skipped(out: Path, one: Input, why: str) -> outputs.Row:
    """Tell why a file is not read; its line. Results of what it held before are removed."""
    why = " ".join(why.split())
    tell(why)
    outputs.discard(out, one.name)
    return outputs.failed(one.name, why)


def tell(words: str) -> None:
    """A line for people, above the progress bar."""
    tqdm.write(outputs.text(f"covidqu read: {words}"), file=sys.stderr)
