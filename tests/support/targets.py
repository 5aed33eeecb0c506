"""What tests/campaigns/fuzz.py throws bytes at: the readers of this project, seeds that each takes, and what is judged.

A target has one reader or several; the first byte of an input says which one reads the rest. A reader returns what it
found, or None where it refused, in words that are asked for in `support.hostile`; anything else is raised.
"""

import contextlib
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import yaml

from covidqu.config import params
from covidqu.config.data import SPLITS
from covidqu.data.index import open_packed
from covidqu.files import remove
from covidqu.ingest.layout import contents
from covidqu.ingest.pack import pack
from covidqu.reading import outputs
from covidqu.reading.bundle import METADATA, digest, read_metadata
from covidqu.reading.pictures import Picture, decoded
from covidqu.reading.reading import Reading
from covidqu.reading.truth import read_mask
from covidqu.report.checks.check import read_rows
from support.bundles import grey_bundle
from support.hostile import (
    NASTY,
    RAW,
    SOUND,
    STUMBLES,
    Learns,
    Place,
    entries,
    kept_state,
    leaves,
    png_pixels,
    restored,
    right_or_refused,
    with_value,
    zipped,
)
from support.parameters import text
from support.radiographs import IMAGE, png
from support.radiographs import SOUND as PICTURES

RUNS = (
    "swin-dual-lung",
    "unet-roi-lung",
    "unet-roi-infection",
    "unetpp-b3",
    "cbam-mtl-unet-proposed",
    "recon-mtl-cnn8",
)
FEW = RAW | {"runs": {name: RAW["runs"][name] for name in RUNS}, "ablations": {}, "explain": []}
FEW |= {"roi": RAW["roi"] | {"predicted": ["unet-roi-lung"]}}
PLACES = list(leaves(FEW))


class Reader(NamedTuple):
    """`seeds`: inputs that it takes; `others`: more to start from, which it may refuse."""

    judge: Callable[[bytes], Any]
    seeds: list[bytes]
    others: tuple[bytes, ...] = ()


def targets(folder: Path, packed: Path) -> dict[str, list[Reader]]:
    """Target -> its readers; they work in `folder`."""
    place = Place(folder / "place", packed)
    kept, state = kept_state(folder)
    about = json.loads((grey_bundle(folder / "bundle").folder / METADATA).read_text())
    rasters, dicoms = [p for p in PICTURES if p[128:132] != b"DICM"], [p for p in PICTURES if p[128:132] == b"DICM"]
    names, stumbles = "\n".join(entries()).encode(), tuple(one.encode() for one in STUMBLES)
    return {
        "archive": [Reader(lambda data: archive(folder, data), [SOUND])],
        "png": [Reader(png_pixels, [next(iter(entries().values()))])],
        "contents": [Reader(listed, [names, names.replace(b"covid_1", "é".encode())])],
        "params": [Reader(lambda data: parameters(folder, data), [text(FEW).encode()], stumbles)],
        "setting": [setting_reader()],
        "parquet": [of_file(place, kind) for kind in PARQUET],
        "arrays": [of_file(place, kind) for kind in ("packed/lung_masks.npy", "roi.npy", "predictions.npz")],
        "weights": [of_file(place, "weights.safetensors"), of_file(place, "random.safetensors")],
        "state": [Reader(lambda data: resumed(kept, state, data), [state])],
        "texts": [*(of_file(place, kind) for kind in TEXTS), *tables(folder)],
        "picture": [
            Reader(lambda data: picture(folder, data), rasters),
            Reader(lambda data: mask(folder, data), [png((IMAGE > 128).astype(np.uint8) * 255)], tuple(rasters)),
        ],
        "dicom": [Reader(lambda data: picture(folder, data), dicoms)],
        "bundle": [Reader(lambda data: bundle(folder, data), [json.dumps(about).encode()])],
    }


def packed_targets(folder: Path) -> dict[str, list[Reader]]:
    """`targets` on packed data with images in every split."""
    files = {name.replace("Train", part): data for part in SPLITS for name, data in entries().items()}
    (folder / "sound.zip").write_bytes(zipped(files))
    pack(folder / "sound.zip", folder / "sound")
    return targets(folder, folder / "sound")


PARQUET = ("packed/index.parquet", "split.parquet", "scores.parquet", "duplicates.parquet")
TEXTS = ("results/cost.json", "results/runs/unetpp-b3/card.json", "results/runs/unetpp-b3/history.csv")


def judge(readers: list[Reader], data: bytes) -> Any:
    """An input as it is thrown."""
    return readers[data[0] % len(readers)].judge(data[1:]) if data else None


def inputs(readers: list[Reader]) -> list[bytes]:
    """All seeds of a target, as they are thrown."""
    return [bytes([at]) + seed for at, one in enumerate(readers) for seed in (*one.seeds, *one.others)]


def archive(folder: Path, data: bytes) -> Any:
    (folder / "a.zip").write_bytes(data)
    remove(folder / "packed")
    right_or_refused("archive", lambda: pack(folder / "a.zip", folder / "packed"), "a.zip")
    assert not list(folder.glob(".*.part")), "something is left"
    if not (folder / "packed").exists():
        return None
    found = open_packed(folder / "packed")
    found.verify(np.arange(len(found.index)))
    return found


def listed(data: bytes) -> Any:
    """A name a line."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    infos = [zipfile.ZipInfo(line) for line in lines]
    for info in infos:
        info.flag_bits = 0x800
    items = right_or_refused("contents", lambda: contents(Path("a.zip"), infos), "a.zip")
    for item in items or ():
        assert {item.image, item.lung} <= {info.filename for info in infos} and item.name and item.name.isprintable()
    return items


def parameters(folder: Path, data: bytes) -> Any:
    (folder / "params.yaml").write_bytes(data)
    return right_or_refused("params", lambda: params.load([folder / "params.yaml"]), "params.yaml")


def setting_reader() -> Reader:
    """Two bytes say which setting, the rest is its value as YAML."""

    def judge(data: bytes) -> Any:
        try:
            value = yaml.safe_load(data[2:].decode())
        except Exception:
            return None  # that is for `params`
        path = PLACES[int.from_bytes(data[:2], "big") % len(PLACES)]
        words = [str(part) for part in path if not isinstance(part, int)]
        words.append("required key is missing")  # of a run, in place of a whole part that it took from there
        return right_or_refused("setting", lambda: params.check(with_value(FEW, path, value)), *words)

    def seed(at: int, value: Any) -> bytes:
        return at.to_bytes(2, "big") + yaml.safe_dump(value, allow_unicode=True).encode()

    nasty = [seed(at * 7, value) for at, value in enumerate(NASTY) if "\0" not in str(value)]
    return Reader(judge, [seed(0, FEW[PLACES[0][0]])], tuple(nasty))


def of_file(place: Place, kind: str) -> Reader:
    """A file of a step. Of parquet a seed is without checksums of its pages; of an array its head alone is thrown."""
    path = place.folder / kind
    sound = path.read_bytes()
    seed, rest = (sound[:128], sound[128:]) if path.suffix == ".npy" else (sound, b"")
    if path.suffix == ".parquet":
        plain = io.BytesIO()
        pq.write_table(pq.read_table(path), plain, compression="none")
        seed = plain.getvalue()

    def judge(data: bytes) -> Any:
        try:
            path.write_bytes(data + rest)
            return right_or_refused(kind, lambda: place.read(kind), path.name, "the index (")
        finally:
            path.write_bytes(sound)

    return Reader(judge, [seed])


def resumed(kept: Any, sound: bytes, data: bytes) -> Any:
    """The fuzzer finds hashes that fit: a changed state with one is a state, and may be continued."""
    if data != sound and hashlib.sha256(data[:-32]).digest() == data[-32:]:
        kept.file.write_bytes(data)
        with contextlib.redirect_stderr(io.StringIO()):
            found = right_or_refused("state", lambda: kept.restore(Learns()), "last.pt")
        kept.file.with_name("last.pt.damaged").unlink(missing_ok=True)
        return found
    restored(kept, sound, data)
    return "judged"


def tables(folder: Path) -> list[Reader]:
    """A table of the report; the table, and a record, of readings of an earlier call."""
    out, table = folder / "out", folder / "table.csv"

    def report(data: bytes) -> Any:
        table.write_bytes(data)
        return right_or_refused("table", lambda: read_rows(table), "table.csv")

    def readings(data: bytes) -> Any:
        (out / outputs.TABLE).write_bytes(data)
        rows = outputs.earlier(out, {"b"})
        outputs.write_table(out, rows)
        return rows

    def kept(data: bytes) -> Any:
        outputs.place(out, "json", "a").write_bytes(data)
        found = outputs.kept(out, "a")
        return found and outputs.row("a", found)

    outputs.place(out, "json", "a").parent.mkdir(parents=True)
    facts = reading(picture_of(PICTURES[0]), {}).to_json() | {"files": {}}
    outputs.write_table(out, [outputs.failed("a", "no such file"), outputs.failed("b", "no such file")])
    lines = (out / outputs.TABLE).read_bytes()
    cells = b"row,column,value\nbce,dice,0.5\ndice,iou,0.4\n"
    return [Reader(report, [cells]), Reader(readings, [lines]), Reader(kept, [json.dumps(facts).encode()])]


def picture_of(data: bytes) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as `read` does
        return decoded(Path("a.any"), data)


def reading(found: Picture, masks: dict[str, np.ndarray]) -> Reading:
    """Of a picture, without numbers."""
    seeds = {"infected_share_of_lung": [], "dice": {}}
    return Reading(found, masks, {}, {}, {}, seeds, (), {"name": "a", "sha256": "0" * 64, "members": [{"seed": 0}]})


def picture(folder: Path, data: bytes) -> Any:
    """One line for what is refused. Of a DICOM file the segmentation is written, as of a reading."""
    found = right_or_refused("picture", lambda: picture_of(data), "a.any")
    if found is None:
        return None
    assert found.pixels.dtype == np.uint8 and found.pixels.ndim == 2 and np.ptp(found.pixels)
    for words in (*found.notes, *(said for _, said in found.doubts)):
        assert words.isprintable() and len(words) < 400, words
    if found.dicom is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs.write(folder / "out", "d", reading(found, {"lung": found.pixels > 128}))
    return found


def mask(folder: Path, data: bytes) -> Any:
    (folder / "mask.png").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = right_or_refused("mask", lambda: read_mask(folder / "mask.png"), "mask.png")
    return None if found is None else found.shape


def bundle(folder: Path, data: bytes) -> Any:
    """Metadata with a hash that fits, so that an edit meets the schema."""
    try:
        raw = json.loads(data)
        data = json.dumps(raw | {"sha256": digest(raw)}).encode() if isinstance(raw, dict) else data
    except (ValueError, RecursionError):
        pass
    (folder / METADATA).write_bytes(data)
    return right_or_refused("bundle", lambda: read_metadata(folder / METADATA), METADATA)
