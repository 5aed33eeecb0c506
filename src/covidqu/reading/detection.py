"""How often each warning is given: on pictures that no reading must be trusted on, and on the images of Test.

Input: a bundle, the packed data with split and audit, of which the infection subset is used; output: `warnings.csv` (a
row per kind of picture, a column per warning), `trust.json` (limits, calibration, copies) and the same as tables
between the markers of a Markdown page. Limits and temperature are those of the bundle, set on Val.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from covidqu.data.index import Packed, open_packed
from covidqu.evaluate import calibration
from covidqu.files import write_text
from covidqu.ingest.pairs import groups
from covidqu.ingest.split import read_pairs
from covidqu.reading import odd, trust
from covidqu.reading.bundle import Bundle, open_bundle
from covidqu.reading.geometry import as_input
from covidqu.reading.signs import Signs, picture_hash, signs
from covidqu.stored import read_parquet

COUNT, SEED = 40, 1  # pictures of each kind; their seed (seed 0 was for choosing the scores)
BATCH = 32
TABLE, FACTS = "warnings.csv", "trust.json"
BEGIN, END = "<!-- warnings: covidqu trust -->", "<!-- end of warnings -->"
COMMON = 0.2  # share of the pictures of a kind from which on a warning is listed
REAL = "Test images as they are"
NO_FAULT = {"in-training-set"}  # says nothing against a picture
Outputs = Callable[[np.ndarray], Sequence[dict[str, np.ndarray]]]  # (n, 256, 256) uint8 -> per seed, as `Model.outputs`


class Looked(NamedTuple):
    """Signs of pictures, and class logits (seeds, n, k), empty without a class head."""

    signs: list[Signs]
    logits: np.ndarray


def detection(bundle: Path | str, data: Path, out: Path, page: Path | None = None) -> None:
    """Write the table and facts of a bundle into the folder `out`, and both into the Markdown `page`.

    ValueError for a bundle without limits, data without split or audit, and a page without the markers.
    """
    opened = open_bundle(bundle)
    if not opened.limits:
        raise ValueError(f"{opened.folder}: has no limits of warnings; make it again with `covidqu export bundle`")
    packed = open_packed(data / "packed")
    split = read_parquet(data / "split.parquet", "run `split` again")["official"].to_numpy(dtype=object)
    test = np.flatnonzero(split[: len(packed.infection_masks)] == "Test")
    outputs, rows = outputs_of(opened), []
    for group, kind, pictures in kinds(packed, test):
        found = look(pictures, outputs)
        rows.append({"group": group, "kind": kind} | shares(found.signs, opened))
        print(f"{kind}: {len(found.signs)} pictures, {100 * rows[-1]['any']:.1f} % with a warning", file=sys.stderr)
        if kind == REAL:
            calibrated = of_classes(found.logits, packed, test, opened.metadata.classes, opened.metadata.temperature)
    facts = {
        "run": opened.metadata.run,
        "weights": [member.weights_sha256 for member in opened.metadata.members],
        "limits": {code: limit_of(limit) for code, limit in opened.limits.items()},
        "temperature": opened.metadata.temperature,
        "calibration": calibrated,
        "copies": copies(packed, data),
    }
    write(rows, facts, out, page)


def write(rows: list[dict[str, Any]], facts: dict[str, Any], out: Path, page: Path | None) -> None:
    """The files, and the page with them."""
    stream = io.StringIO()
    columns = ["group", "kind", "pictures", "any", *trust.CHECKS]
    table = csv.DictWriter(stream, columns, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    write_text(out / TABLE, stream.getvalue())
    write_text(out / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    if page is not None:
        write_text(page, filled(page, out))


def filled(page: Path, out: Path) -> str:
    """The text of a Markdown page with the tables of the folder `out` between the markers, all else as it is."""
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page}: wants the markers {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{rendered(out)}\n{END}{rest.split(END)[1]}"


def outputs_of(bundle: Bundle) -> Outputs:
    """What the graphs of a bundle give for pictures (n, 256, 256)."""
    from covidqu.reading.model import Model

    model, about = Model(bundle), bundle.metadata
    return lambda pictures: model.outputs(np.stack([as_input(one, about.filters, about.image_px) for one in pictures]))


def look(pictures: Sequence[np.ndarray] | np.ndarray, outputs: Outputs) -> Looked:
    """Signs and logits of pictures (n, 256, 256) uint8, a few at a time."""
    found, logits = [], []
    for start in range(0, len(pictures), BATCH):
        some = np.ascontiguousarray(pictures[start : start + BATCH])
        seeds = outputs(some)
        for place, picture in enumerate(some):
            found.append(signs(picture, [{name: values[place] for name, values in one.items()} for one in seeds]))
        logits.append(np.stack([one["class"] for one in seeds if "class" in one] or [np.empty((len(some), 0))]))
    return Looked(found, np.concatenate(logits, axis=1))


def kinds(packed: Packed, test: np.ndarray) -> Iterator[tuple[str, str, Sequence[np.ndarray] | np.ndarray]]:
    """Group, kind and pictures: the images of Test, these changed, what is drawn, and photographs."""
    yield "chest X-rays", REAL, packed.images[test]
    some = packed.images[np.sort(np.random.default_rng(SEED).permutation(test)[:COUNT])]
    for kind in odd.CHANGED:
        yield "changed chest X-rays", kind, odd.changed(kind, some, SEED)
    for kind in odd.DRAWN:
        yield "no chest X-rays", kind, odd.drawn(kind, COUNT, SEED)
    yield "no chest X-rays", "photograph", odd.photographs(SEED)
    yield "no chest X-rays", "phantom of this project, a frontal chest drawn", odd.phantoms(COUNT, SEED)


def shares(found: Sequence[Signs], known: trust.Held) -> dict[str, Any]:
    """Pictures, the share of them with a warning against them, and with each one."""
    given = [{one.code for one in trust.judged(signs, known.arrays, known.limits)} for signs in found]
    each = {code: round(float(np.mean([code in one for one in given])), 4) for code in known.limits}
    return {"pictures": len(found), "any": round(float(np.mean([bool(one - NO_FAULT) for one in given])), 4)} | each


def limit_of(limit: Any) -> dict[str, Any]:
    """The fields of a limit, rounded for reading."""
    return {
        "of": limit.of,
        "side": limit.side,
        "limit": float(f"{limit.limit:.4g}"),
        "val_share": round(limit.val_share, 4),
    }


def of_classes(
    logits: np.ndarray, packed: Packed, rows: np.ndarray, classes: dict[str, int], temperature: float
) -> dict[str, dict[str, float]]:
    """Calibration of the class probabilities of Test, at temperature 1 and as they are given; empty without a head."""
    place = packed.index["label"].map(classes).to_numpy(float)[rows]
    known = ~np.isnan(place)
    if not logits.size or not known.any():
        return {}
    target, out = place[known].astype(int), {}
    for name, value in (("at temperature 1", 1.0), ("as given", temperature)):
        found = trust.probabilities(logits[:, known], value)
        out[name] = {key: round(calibration.measure(key, found, target), 4) for key in ("ece", "log_loss")}
    return out


def copies(packed: Packed, data: Path) -> dict[str, dict[str, int]]:
    """What the limit of `in-training-set` finds of the copies that the audit knows, with the official Train.

    `copies`: images of Val (Test) with a copy in Train; `said`: with a hash as near as the limit; `rightly`: these of
    a copy.
    """
    split = packed.index["split"].to_numpy(dtype=object)
    linked = groups(*read_pairs(data / "audit", packed.index), len(split))
    split = split[: len(packed.infection_masks)]
    hashes = np.stack([picture_hash(np.asarray(image)) for image in packed.images[: len(split)]])
    train, out = np.flatnonzero(split == "Train"), {}
    for part in ("Val", "Test"):
        found = {"copies": 0, "said": 0, "rightly": 0}
        for row in np.flatnonzero(split == part):
            bits = np.bitwise_count(hashes[train] ^ hashes[row]).sum(axis=1)
            said = bits.min() <= trust.COPY_BITS
            found["copies"] += int((linked[train] == linked[row]).any())
            found["said"] += int(said)
            found["rightly"] += int(said and linked[train[bits.argmin()]] == linked[row])
        out[part] = found
    return out


def rendered(out: Path) -> str:
    """Both files of the folder `out` as Markdown."""
    rows = list(csv.DictReader((out / TABLE).read_text(encoding="utf-8").splitlines()))
    facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
    real = next(row for row in rows if row["kind"] == REAL)
    lines = [f"Run `{facts['run']}`, {len(facts['weights'])} seed(s){facts.get('note', '')}.", ""]
    head = "| pictures | number | any warning | no chest X-ray | given on at least a fifth of them |"
    lines += [head, "|---|---|---|---|---|"]
    lines += [_line(row) for row in rows]
    lines += ["", "| warning | limit | beyond it: Val | Test |", "|---|---|---|---|"]
    for code in (code for code in trust.CHECKS if code in facts["limits"]):
        limit = facts["limits"][code]
        test = f"{100 * float(real[code]):.1f} %" if real[code] else ""
        held = f"{limit['side']} {limit['limit']:g}"
        lines.append(f"| `{code}`: {trust.CHECKS[code].text} | {held} | {100 * limit['val_share']:.1f} % | {test} |")
    for part, found in facts["copies"].items():
        lines += [
            "",
            f"Copies, {part}: {found['copies']} images have a copy in the official Train; `in-training-set` says so of "
            f"{found['said']}, rightly of {found['rightly']}.",
        ]
    if facts["calibration"]:
        before, after = facts["calibration"].values()
        lines += [
            "",
            f"Class probabilities, Test: expected calibration error {before['ece']:.3f} at temperature 1, "
            f"{after['ece']:.3f} at the temperature of Val, {facts['temperature']:.2f} (log loss "
            f"{before['log_loss']:.3f} and {after['log_loss']:.3f}).",
        ]
    return "\n".join(lines)


def _line(row: dict[str, str]) -> str:
    given = {code: float(row[code]) for code in trust.CHECKS if row[code]}
    often = sorted((code for code in given if given[code] >= COMMON and code != "no-chest"), key=lambda c: -given[c])
    told = ", ".join(f"{code} {100 * given[code]:.0f} %" for code in often)
    chest = f"{100 * given['no-chest']:.1f} %" if "no-chest" in given else ""
    return f"| {row['kind']} | {row['pictures']} | {100 * float(row['any']):.1f} % | {chest} | {told} |"
