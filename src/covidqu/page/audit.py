"""Page data.html: what the archive holds, near-duplicates side by side, areas of lungs and infection.

Input: the built tables common/data and common/leakage, the index, the audit's pairs and the packed images. Output:
values for the template, and the images of the pairs as files of the site. The site is made for the machine that has
the data: what it shows of patients stays in its folder.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import CLASSES, PX
from covidqu.page import charts
from covidqu.page.built import BuiltTable, Row, notes, table
from covidqu.page.pages import case_link
from covidqu.page.public import packed_images
from covidqu.report.core.sources import Sources
from covidqu.stored import read_array

BINS = 40
MOST_PAIRS = 60  # shown; the others are counted
QUALITY = 85  # of WebP


def context(sources: Sources, out: Path) -> dict[str, Any]:
    """Values of the template; writes `out`/pairs/*.webp where the packed images are here."""
    facts, leakage = table(sources, "common/data"), table(sources, "common/leakage")
    pairs, reason = _pairs(sources, out)
    return {
        "counts": _counts(facts) if facts else {},
        "classes": CLASSES,
        "facts": facts,
        "leakage": leakage,
        "notes": notes(found for found in (facts, leakage) if found),
        "limits": (sources.audit or {}).get("limits", []),
        "pairs": pairs,
        "all_pairs": 0 if sources.duplicates is None else len(sources.duplicates),
        "no_pairs": reason,
        "areas": _areas(sources),
    }


def _counts(facts: BuiltTable) -> dict[str, dict[str, dict[str, Row]]]:
    """Subset -> split -> class -> row of the table, from its rows `counts.SUBSET.SPLIT.CLASS`."""
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for row in facts.rows:
        kind, _, place = row["row"].partition(".")
        if kind == "counts" and place.count(".") == 2:
            subset, split, label = place.split(".")
            found.setdefault(subset, {}).setdefault(split, {})[label] = row
    return found


def _pairs(sources: Sources, out: Path) -> tuple[list[dict[str, Any]], str]:
    """Pairs to show, those across splits first, and why there are none."""
    pairs, images = sources.duplicates, packed_images(sources)
    if pairs is None or sources.index is None:
        return [], "the audit of the data is not here"
    if not len(pairs):
        return [], "the audit found none"
    if images is None:
        return [], "the packed images are not here; the site shows them where the data are"
    pixels = read_array(images)
    order = [column for column in ("across_splits", "exact") if column in pairs]
    chosen = pairs.sort_values(order, ascending=False, kind="stable").head(MOST_PAIRS)
    return [_pair(pair, sources.index, pixels, out) for pair in chosen.to_dict("records")], ""


def _pair(pair: dict[str, Any], index: pd.DataFrame, pixels: np.ndarray, out: Path) -> dict[str, Any]:
    sides = []
    for row in (pair["a"], pair["b"]):
        record = index.iloc[row]
        file = f"pairs/{row}.webp"
        _write_image(pixels[row], out / file)
        sides.append(
            {"file": file, "id": record["id"], "split": record["split"], "label": record["label"]}
            | {"case": case_link(record["id"])}
        )
    return {"sides": sides} | {
        key: pair.get(key) for key in ("aligned_correlation", "mirrored", "exact", "across_splits")
    }


def _write_image(image: np.ndarray, target: Path) -> None:
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written, code = cv2.imencode(".webp", np.asarray(image), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert written, "OpenCV has no WebP"
    target.write_bytes(code.tobytes())


def _areas(sources: Sources) -> list[dict[str, Any]]:
    """Charts of the areas in the infection subset: lungs of all images, infection where there is any."""
    index = sources.index
    if index is None:
        return []
    rows = index[index["subset"] == "infection"]
    infected = rows[rows["infection_px"] > 0]
    shown = (
        ("lung_px", rows, "lungs", "lung, percent of the image"),
        ("infection_px", infected, "infection", "infection, percent of the image"),
    )
    return [
        {"what": name, "n": len(some), "spec": charts.embedded(charts.areas(_binned(some, column), words))}
        for column, some, name, words in shown
        if len(some)
    ]


def _binned(rows: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    percent = 100 * rows[column].to_numpy() / PX**2
    edges = np.linspace(0, float(np.ceil(percent.max())), BINS + 1)
    found = []
    for label in CLASSES:
        values = percent[rows["label"].to_numpy() == label]
        if not len(values):
            continue
        counts, _ = np.histogram(values, edges)
        for start, end, n in zip(edges[:-1], edges[1:], counts, strict=True):
            bar = {"label": label, "percent": round(float(start), 2), "end": round(float(end), 2)}
            found.append(bar | {"n": int(n), "share": round(float(n / len(values)), 4)})
    return found
