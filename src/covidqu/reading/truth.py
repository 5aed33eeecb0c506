"""Masks that were read, scored against given ones: counts, protocols and intervals are those of every table here.

Input: a folder of readings and one of masks with the same names; output: `truth.csv` (a line per picture and mask),
`truth.json` (numbers with intervals) and `truth.md` (a table). As COVID-QU-Ex is, both masks are first made 256 x 256.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from covidqu.config.data import CLASSES, PX
from covidqu.config.evaluation import Bootstrap
from covidqu.errors import fault
from covidqu.evaluate import protocols
from covidqu.evaluate.scores import task_scores
from covidqu.evaluate.statistics import Interval, bootstrap_mean, bootstrap_ratio
from covidqu.files import replacing
from covidqu.reading.bundle import NOTICE
from covidqu.reading.geometry import resized
from covidqu.reading.outputs import MASKS, place, text
from covidqu.reading.pictures import refuse_size

FOLDERS = {  # of masks, by what they are called
    "lung": ("lung", "lungs", "lung masks", "lung_masks"),
    "infection": ("infection", "infections", "infection masks", "infection_masks"),
}
SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
BOOTSTRAP = Bootstrap(resamples=10_000, confidence=0.95, seed=0)  # as in params.yaml
COUNTED = ("tp", "fp", "fn", "tn", "hd95", "nsd2")
MEASURED = (  # protocol, measure, what it is called
    ("img_covid", "dice", "Dice, mean over images with an annotated mask"),
    ("img_covid", "iou", "IoU, mean over images with an annotated mask"),
    ("img_covid", "precision", "precision, mean over images with an annotated mask"),
    ("img_covid", "recall", "recall, mean over images with an annotated mask"),
    ("pooled_covid", "dice", "Dice of all pixels of images with an annotated mask"),
    ("img_all_e1", "dice", "Dice, mean over all images; both masks empty: 1"),
    ("fp_normal", "over_1_percent", "Normal images with more than 1 % marked"),
    ("fp_pneumonia", "over_1_percent", "Non-COVID images with more than 1 % marked"),
)
Found = dict[str, Any]


def score(out: Path, names: list[str], folder: Path) -> None:
    """Write truth.csv, truth.json and truth.md into `out`.

    A picture without a given mask, and a mask that cannot be used, is told and counted. ValueError where `folder` holds
    no masks of a kind that was read, or none of these names.
    """
    parts = {task: scored(out, names, masks, task) for task, masks in kinds(folder, out, names).items()}
    summary = {task: measures(frame, task) for task, (frame, _) in parts.items()}
    facts = {
        "use": NOTICE,
        "truth": text(str(folder)),
        "px": PX,
        "bootstrap": BOOTSTRAP.model_dump(),
        "pictures": len(names),
        "masks": {task: counted for task, (_, counted) in parts.items()},
        "measures": summary,
    }
    lines = pd.concat([per_picture(frame, task) for task, (frame, _) in parts.items()])
    with replacing(out / "truth.csv", recorded=False) as part:
        lines.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    with replacing(out / "truth.json", recorded=False) as part:
        part.write_text(json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    page = table(facts)
    with replacing(out / "truth.md", recorded=False) as part:
        part.write_text(page, encoding="utf-8")
    print(page)


def kinds(folder: Path, out: Path, names: list[str]) -> dict[str, Path]:
    """Task -> the folder of its masks: below `folder`, or `folder` itself by its name; those that were read."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; masks are in its folders lung and infection")
    below = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    found = {task: below[name] for task in MASKS for name in FOLDERS[task] if name in below}
    if not found:
        found = {task: folder for task in MASKS if folder.resolve().name.lower() in FOLDERS[task]}
    if not found:
        raise ValueError(f"{folder}: has no folder lung or infection, and is not called so; say what its masks are")
    read = {task: path for task, path in found.items() if any(place(out, task, name).is_file() for name in names)}
    if not read:
        raise ValueError(f"{folder}: holds {', '.join(found)} masks, which this model does not read")
    return read


def scored(out: Path, names: list[str], masks: Path, task: str) -> tuple[pd.DataFrame, Found]:
    """One row per picture with a given mask: columns as of `evaluate.scores`; and how many there were of what."""
    rows, counted = [], {"scored": 0, "without mask": 0, "unusable": 0, "of another size": 0}
    for name in names:
        file = next((path for s in SUFFIXES if (path := masks / f"{name}{s}").is_file()), None)
        if file is None:
            counted["without mask"] += 1
            continue
        try:
            given = read_mask(file)
            with Image.open(place(out, task, name)) as image:
                read = np.asarray(image) > 0
            same_field(given, read, file)
        except (OSError, ValueError) as error:
            counted["unusable"] += 1
            print(f"covidqu read: {text(' '.join(str(error).split()))}", file=sys.stderr)
            continue
        counted["of another size"] += int(given.shape != read.shape)
        rows.append(columns(name, squeezed(read), squeezed(given), task))
    if not rows:
        raise ValueError(f"{masks}: no usable mask with the name of a picture, such as {text(names[0])}.png")
    counted["scored"] = len(rows)
    return pd.DataFrame(rows), counted


def read_mask(path: Path) -> np.ndarray:
    """(H, W) bool of a picture of one or two values, 0 outside; ValueError for another, naming the file."""
    try:
        with Image.open(path) as image:
            refuse_size(*image.size)
            values = np.asarray(image.convert("RGB") if image.mode in ("P", "RGBA", "LA", "CMYK") else image)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a mask ({fault(error)}); save it again as PNG") from error
    if values.ndim == 3:
        if np.ptp(values, axis=2).any():
            raise ValueError(f"{path}: has colours; a mask is black outside and one grey inside")
        values = values[..., 0]
    several = np.unique(values)
    if len(several) > 2 or (len(several) == 2 and several[0] != 0):
        raise ValueError(f"{path}: has {len(several)} values, from {several[0]}; a mask has 0 and one more")
    return values > 0


def same_field(given: np.ndarray, read: np.ndarray, path: Path) -> None:
    """ValueError for a mask of another aspect ratio: it was not drawn on this picture. A square one is 256 x 256."""
    (h, w), (height, width) = given.shape, read.shape
    if abs(h * width - w * height) > 0.02 * h * width and h != w:
        raise ValueError(f"{path}: is {w} x {h}, the picture {width} x {height}; masks have the picture's aspect ratio")


def squeezed(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (256, 256) bool: where at least half of a pixel is inside."""
    return mask if mask.shape == (PX, PX) else resized(mask.astype(np.uint8) * np.uint8(255), PX) > 127


def columns(name: str, read: np.ndarray, given: np.ndarray, task: str) -> Found:
    """One row of scores; the label is that of a folder in the name, as COVID-QU-Ex has them."""
    logits = np.where(read, np.float16(1), np.float16(-1))[None]
    found = {f"{task}_{key}": values[0] for key, values in task_scores(task, logits, given[None]).items()}
    label = next((part for part in name.split("/") if part in CLASSES), "")
    return {"name": text(name), "label": label, "n_px": PX * PX, "lung_area_px": 0, "near_duplicate": False} | found


def per_picture(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    """What truth.csv has of one task. Dice and IoU are empty where both masks are."""
    counts = protocols.counts(frame, task)
    values = protocols.measures(counts, if_empty=float("nan"))
    out = frame[["name", "label"]].assign(mask=task)
    out = out.assign(**{key: values[key] for key in ("dice", "iou", "precision", "recall")})
    return out.assign(**{key: frame[f"{task}_{key}"] for key in COUNTED})


def measures(frame: pd.DataFrame, task: str) -> list[Found]:
    """Every measure that some picture qualifies for, with n and its interval."""
    found = []
    for protocol, measure, what in MEASURED:
        if protocol.startswith("fp_") and task != "infection":
            continue
        chosen = protocols.select(protocol, frame, task)
        if len(chosen):
            value, low, high = interval(protocol, measure, frame, task)
            found.append({"what": what, "protocol": protocol, "measure": measure, "n": len(chosen)})
            found[-1] |= {"value": value, "low": low, "high": high}
    blank = frame[(frame["label"] == "") & (frame[f"{task}_tp"] + frame[f"{task}_fn"] == 0)]
    if task == "infection" and len(blank):  # whatever those patients have
        large = (blank["infection_fp"] > protocols.LARGE_AREA * blank["n_px"]).to_numpy(np.float64)
        value, low, high = bootstrap_mean(large, BOOTSTRAP)
        what = "images without an annotated mask, with more than 1 % marked"
        found.append({"what": what, "protocol": None, "measure": "over_1_percent", "n": len(blank)})
        found[-1] |= {"value": value, "low": low, "high": high}
    foreground = protocols.select("img_covid", frame, task)
    for column, what in (("nsd2", "surface Dice within 2 px, mean"), ("hd95", "HD95 in px, mean where both masks are")):
        values = foreground[f"{task}_{column}"].dropna().to_numpy()
        if len(values):
            value, low, high = bootstrap_mean(values, BOOTSTRAP)
            found.append({"what": what, "protocol": "img_covid", "measure": column, "n": len(values)})
            found[-1] |= {"value": value, "low": low, "high": high}
    return found


def interval(protocol: str, measure: str, frame: pd.DataFrame, task: str) -> Interval:
    """One protocol's measure with its interval over images."""
    if protocols.PROTOCOLS[protocol].unit == "pixel":
        return bootstrap_ratio(protocols.pooled(protocol, frame, task), protocols.pooled_measure(measure), BOOTSTRAP)
    return bootstrap_mean(protocols.per_image(protocol, frame, task)[measure].to_numpy(), BOOTSTRAP)


def table(facts: Found) -> str:
    """The page of one scoring."""
    lines = [f"# Masks read, against those in `{facts['truth']}`", "", f"{NOTICE}.", ""]
    for task, counted in facts["masks"].items():
        said = ", ".join(f"{n} {what}" for what, n in counted.items() if n or what == "scored")
        lines.append(f"{facts['pictures']} pictures, {task} masks: {said}. ")
    lines += ["", f"Both masks are compared at {PX} x {PX} pixels; [95 %]: bootstrap over images.", ""]
    lines += ["| mask | measure | n | value [95 %] |", "| --- | --- | --- | --- |"]
    for task, found in facts["measures"].items():
        for one in found:
            ends = "" if one["low"] is None else f" [{one['low']:.3f}, {one['high']:.3f}]"
            lines.append(f"| {task} | {one['what']} | {one['n']} | {one['value']:.3f}{ends} |")
    return "\n".join(lines) + "\n"
