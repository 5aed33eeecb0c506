"""Step `read`: files and folders with chest X-rays in; overlays, masks, JSON files and one table out.

What was read before with the same bytes, model and version is not read again. A file that cannot be read is told,
skipped and counted.
"""

import errno
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
from covidqu.reading.reading import read as reading
from covidqu.reading.reading import versions

PER_CORE = 2  # pictures that are held at once, for each core
MOST_PIXELS = 32_000_000  # of them all: what is held in memory does not grow with their number or size
SOME_FAILED = 1  # exit status


def read(
    wanted: list[Path],
    out: Path,
    model: Path,
    threads: int | None = None,
    truth: Path | None = None,
    seeds: int | None = None,
) -> int:
    """Read all pictures into the folder `out`; the exit status: 0, or 1 where a file could not be read.

    `model`: a bundle's folder, or the name of one that comes with the package. `truth`: a folder of masks to score
    against (`truth`); `seeds`: the first so many alone. ValueError for inputs, an `out` or a bundle that cannot be used
    at all.
    """
    found, others = inputs(wanted, out)
    bundle = open_bundle(model, seeds)
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
    held: deque[tuple[int, Future[tuple[Input, outputs.Row]]]] = deque()  # pixels of a picture, and its line
    pool = ThreadPoolExecutor(threads)

    def finish() -> None:
        one, row = held[0][1].result()
        rows[one.name] = row
        held.popleft()
        bar.update()

    try:
        with tqdm(total=len(found), unit="picture", desc="read") as bar:
            for one, picture in to_read(found, out, bundle, rows, bar):
                model = model or Model(bundle, threads)
                pixels = picture.pixels.size
                while len(held) == PER_CORE * threads or (held and sum(n for n, _ in held) + pixels > MOST_PIXELS):
                    finish()
                held.append((pixels, pool.submit(done, out, one, picture, model)))
            while held:
                finish()
    finally:
        pool.shutdown(cancel_futures=True)
        rows |= {one.name: row for one, row in (f.result() for _, f in held if not f.cancelled() and not f.exception())}
        mine = [rows[one.name] for one in found if one.name in rows]
        outputs.write_table(out, mine + outputs.earlier(out, {one.name for one in found}))
    return rows


def to_read(
    found: list[Input], out: Path, bundle: Bundle, rows: dict[str, outputs.Row], bar: tqdm
) -> Iterator[tuple[Input, Picture]]:
    """The pictures that are not read yet; `rows` gets the lines of those that are, and of what is no picture."""
    model = bundle.metadata.sha256, tuple(member.seed for member in bundle.metadata.members), versions()["covidqu"]
    for one in found:
        try:
            data = content(one.path)
            digest = sha256(data).hexdigest()
            record = outputs.kept(out, one.name)
            if record is None or (digest, *model) != outputs.made_of(record):
                if record and record["input"]["sha256"] != digest:
                    tell(f"{one.path}: replaces the reading of another picture called {one.name} in {out}")
                yield one, decoded(one.path, data)
                continue
            rows[one.name] = outputs.row(one.name, record)
        except (OSError, ValueError) as error:
            rows[one.name] = skipped(out, one, told(error)[0])
        bar.update()


def done(out: Path, one: Input, picture: Picture, model: Model) -> tuple[Input, outputs.Row]:
    """Read a picture and write the files of the reading; its line."""
    found = reading(picture, model)
    try:
        return one, outputs.row(one.name, outputs.write(out, one.name, found))
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
