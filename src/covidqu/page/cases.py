"""The case explorer's data: every test image of the infection subset, with what each run made of it.

Input: scores, cards and, where they are at hand, the packed arrays, predictions.npz and cam.npz. Output, in
`out/cases`: `index.js` (images and runs), `scores/RUN.js`, outlines in `annotation/K.js` and `contours/RUN/K.js`,
`heat/RUN/K.js` (Grad-CAM), `images/ROW.webp`. A page that was opened as a file may not fetch, so every script hands its
data to one function that the page defines: `covidquCase(name, data)`. K counts blocks of `BLOCK` images, which the page
loads when it shows one of them.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import CLASSES, PX
from covidqu.data.index import Packed, open_packed
from covidqu.evaluate import classification, protocols
from covidqu.ingest.pairs import leaks
from covidqu.page import contours
from covidqu.page.public import packed_images
from covidqu.report.core import titles
from covidqu.report.core.published import SHOWN, heading
from covidqu.report.core.runs import HEADLINES, OURS
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import colours, predicted

SUBSET = "infection"  # its images have both annotations
BLOCK = 100  # images whose outlines are in one file
WEBP_QUALITY = 90  # about 9 kB an image; for display, nothing is measured on it
DIGITS = {"dice": 4, "iou": 4, "hd95": 1}
LAYERS = {  # name: (words, colour, whether it is a prediction and drawn dashed)
    "truth-lung": ("annotated lung", colours.LIGHT_BLUE, False),
    "truth-infection": ("annotated infection", colours.YELLOW, False),
    "found-lung": ("predicted lung", colours.PURPLE, True),
    "found-infection": ("predicted infection", colours.ORANGE, True),
    "heat": ("Grad-CAM of COVID-19", colours.GREEN, False),
}


@dataclass(frozen=True)
class Shown:
    """A run as the page lists it: `drawn` mask tasks with outlines, `lacks` what cannot be shown and why.

    `reduced`: whether a setting differs from the full run; Provenance says which.
    """

    name: str
    system: str
    tasks: list[str]
    drawn: list[str]
    heat: list[int] | None
    classes: list[str]
    roi: str
    reduced: bool
    lacks: str


def write(sources: Sources, out: Path) -> dict[str, Any]:
    """Write `out/cases`; return, as `cases`, what cases.html says without a script.

    `count` images, `blank` of them without annotated infection, `shown` runs, `groups` (paper -> runs), `missing` (what
    is not here and why -> its runs), `start` (the runs chosen first), `images` (whether they are here), `layers`,
    `classes`, `block`, `px`, `outlines` (whether any run has them).
    Predictions are read block by block, one run at a time.
    ValueError where scores, packed data or predictions do not belong together.
    """
    absent = {run: why for run in sources.params.resolved if (why := why_absent(sources, run))}
    scored = {run: of_subset(sources, run) for run in sources.params.resolved if run not in absent}
    found: dict[str, Any] = {
        "count": 0,
        "missing": missing(absent, []),
        "shown": [],
        "groups": {},
        "start": [],
        "images": False,
    }
    found |= {"layers": LAYERS, "classes": CLASSES, "block": BLOCK, "px": PX}
    if not scored:
        return {"cases": found}
    folder, listed, packed = out / "cases", every_case(scored), _packed(sources)
    if packed is not None:
        check(listed, packed, sources)
        write_images(folder / "images", packed.images, listed["row"])
        write_blocks(folder, "annotation", contours.truth(packed, listed["row"].to_numpy()))
    shown = [write_run(sources, folder, run, frame, listed) for run, frame in scored.items()]
    script(folder, "index", index(listed, shown, sources.duplicates, images=packed is not None))
    groups = {heading(system): [run for run in shown if run.system == system] for system in SHOWN}
    found |= {
        "count": len(listed),
        "blank": int((listed["infected"] == 0).sum()),
        "shown": shown,
        "missing": missing(absent, shown),
        "outlines": any(run.drawn for run in shown),
        "images": packed is not None,
        "start": start(shown),
    }
    return {"cases": found | {"groups": {name: runs for name, runs in groups.items() if runs}}}


def why_absent(sources: Sources, run: str) -> str | None:
    """Why a run is not in the explorer; None when it is."""
    return sources.why_no_run(run) or (
        None if len(of_subset(sources, run)) else f"tested on the {sources.params.run(run).subset} subset"
    )


def missing(absent: dict[str, str], shown: list[Shown]) -> dict[str, list[str]]:
    """What is not here and why -> the runs that it is said of."""
    found: dict[str, list[str]] = {}
    for run, why in absent.items():
        found.setdefault(f"not in the explorer: {why.removeprefix(f'run {run} ')}", []).append(run)
    for one in shown:
        if one.lacks:
            found.setdefault(one.lacks, []).append(one.name)
    return found


def of_subset(sources: Sources, run: str) -> pd.DataFrame:
    """A run's scores on images of the explorer."""
    scores = sources.scores(run)
    return scores[scores["subset"] == SUBSET]


def every_case(scored: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One line per image that any run was scored on, in row order: row, id, label, near_duplicate, lung, infected (px).

    `infected` is nan for an image that only runs without infection were scored on.
    """
    columns = ["row", "id", "label", "near_duplicate", "lung_area_px"]
    frames = []
    for scores in scored.values():
        annotated = scores["infection_tp"] + scores["infection_fn"] if "infection_tp" in scores else np.nan
        frames.append(scores[columns].assign(infected=annotated).rename(columns={"lung_area_px": "lung"}))
    frames.sort(key=lambda frame: frame["infected"].isna().any())
    return pd.concat(frames).drop_duplicates("row").sort_values("row", ignore_index=True)


def _packed(sources: Sources) -> Packed | None:
    images = packed_images(sources)
    return open_packed(images.parent) if images else None


def check(listed: pd.DataFrame, packed: Packed, sources: Sources) -> None:
    """Do scores and packed data name the same images? ValueError says which does not."""
    known = packed.index["id"].reindex(listed["row"]).to_numpy()
    wrong = np.flatnonzero(known != listed["id"].to_numpy())
    if len(wrong):
        first = listed.iloc[wrong[0]]
        raise ValueError(
            f"{sources.data}: row {first['row']} of the packed data is {known[wrong[0]]}, in the scores of "
            f"{sources.results} it is {first['id']}; score these data, or name the data that were scored"
        )


def write_images(folder: Path, images: np.ndarray, rows: Iterable[int]) -> None:
    """One file per image, so that the page loads those that are in sight."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        _, encoded = cv2.imencode(".webp", np.asarray(images[row]), [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
        (folder / f"{row}.webp").write_bytes(encoded)


def write_run(sources: Sources, folder: Path, run: str, scores: pd.DataFrame, listed: pd.DataFrame) -> Shown:
    """Scores, outlines and maps of one run, each as long as the list of cases; null where the run has no value."""
    config = sources.params.run(run)
    script(folder, f"scores/{run}", numbers(scores, config.masks, listed["row"]))
    paths, heat, reasons = _outlines(sources, run, listed), None, []
    if paths:
        write_blocks(folder, f"contours/{run}", paths)
    elif config.masks:
        reasons.append("no outlines: predictions.npz is not here (step: predict)")
    if (sources.folder(run) / "cam.npz").is_file():
        rows, maps = contours.heat(sources.folder(run) / "cam.npz")
        heat, texts = list(maps.shape[1:]), [base64.b64encode(one.tobytes()).decode() for one in maps]
        write_blocks(folder, f"heat/{run}", {"maps": _in_order(listed, rows, texts)})
    elif run in sources.params.explain:
        reasons.append("no Grad-CAM: cam.npz is not here (step: explain)")
    names = [predicted.class_name(config.class_map, k) for k in sorted(set(config.class_map.values()))]
    return Shown(
        name=run,
        system=config.model.system.replace("_", "-"),
        tasks=list(config.masks),
        drawn=list(paths),
        heat=heat,
        classes=names if "class" in config.tasks else [],
        roi=config.roi,
        reduced=bool(titles.deviation_texts(sources, [run])),
        lacks="; ".join(reasons),
    )


def numbers(scores: pd.DataFrame, tasks: Iterable[str], rows: pd.Series) -> dict[str, Any]:
    """Columns per mask task, and `class`: `p` (a list per class) and the `target`, -1 for a label the head lacks.

    dice, iou and hd95 (px) exist where the task is annotated (`img_covid`), hd95 only where something was predicted
    too; `found` and `wrong` are predicted and falsely predicted pixels.
    """
    placed = scores.set_index("row", drop=False)
    out: dict[str, dict[str, Any]] = {}
    for task in tasks:
        overlap = protocols.per_image("img_covid", placed, task)
        columns = {"dice": overlap["dice"], "iou": overlap["iou"], "hd95": placed.loc[overlap.index, f"{task}_hd95"]}
        out[task] = {name: _column(values.reindex(rows), DIGITS[name]) for name, values in columns.items()}
        counts = {"found": placed[f"{task}_tp"] + placed[f"{task}_fp"], "wrong": placed[f"{task}_fp"]}
        out[task] |= {name: _column(values.reindex(rows), None) for name, values in counts.items()}
    if "class_target" in placed:
        probabilities = classification.probabilities(placed.filter(regex=r"^class_logit_\d+$").to_numpy())
        known = pd.DataFrame(probabilities, index=placed.index).reindex(rows)
        target = _column(placed["class_target"].reindex(rows), None)
        out["class"] = {"p": [_column(known[k], 4) for k in known], "target": target}
    return out


def _outlines(sources: Sources, run: str, listed: pd.DataFrame) -> dict[str, list[str | None]]:
    """Mask task -> outline per case; empty without predictions."""
    if not (sources.folder(run) / "predictions.npz").is_file():
        return {}
    found = predicted.opened(sources, run)
    if found.meta["run"] != run:
        raise ValueError(f"{found.path}: made by run '{found.meta['run']}'; run the `predict` step of {run}")
    tasks = [task for task in sources.params.run(run).masks if task in found.meta["tasks"]]
    return {task: _in_order(listed, found.rows, contours.predicted(found, task)) for task in tasks}


def _in_order(listed: pd.DataFrame, rows: np.ndarray, values: list[str]) -> list[str | None]:
    known = dict(zip(rows.tolist(), values, strict=True))
    return [known.get(row) for row in listed["row"]]


def _column(values: pd.Series, digits: int | None) -> list[float | int | None]:
    """For JSON: None for nan, integers without `digits`."""
    return [None if pd.isna(v) else int(v) if digits is None else round(float(v), digits) for v in values]


def index(listed: pd.DataFrame, shown: list[Shown], duplicates: pd.DataFrame | None, *, images: bool) -> dict[str, Any]:
    """What the page has to know before it shows anything; areas in pixels."""
    common = [f"{SUBSET}/Test/", f"{SUBSET}/"]
    short = [next((i.removeprefix(p) for p in common if i.startswith(p)), i) for i in listed["id"]]
    copies = earlier_copies(duplicates)
    fields = ("name", "tasks", "drawn", "heat", "classes", "roi", "reduced", "lacks")
    return {
        "px": PX,
        "block": BLOCK,
        "images": images,
        "heat": LAYERS["heat"][1],
        "row": listed["row"].tolist(),
        "id": short,
        "label": listed["label"].tolist(),
        "lung": _column(listed["lung"], None),
        "infected": _column(listed["infected"], None),
        "near": [bool(near) for near in listed["near_duplicate"]],
        "copy": [copies.get(i, "") for i in listed["id"]],
        "runs": [{name: getattr(run, name) for name in fields} for run in shown],
    }


def earlier_copies(duplicates: pd.DataFrame | None) -> dict[str, str]:
    """Id of a Test image -> its most similar image of Train or Val, in words."""
    if duplicates is None:
        return {}
    pairs = duplicates[leaks(duplicates)].sort_values("aligned_correlation")
    found: dict[str, str] = {}
    for pair in pairs.itertuples():
        test, other = (pair.id_a, pair.id_b) if pair.split_a == "Test" else (pair.id_b, pair.id_a)
        how = "equal pixels" if pair.exact else f"correlation after alignment {pair.aligned_correlation:.4f}"
        found[str(test)] = f"{other} ({how})"
    return found


def start(shown: list[Shown]) -> list[str]:
    """The two runs that the page opens with: ours, then headline runs; those that learn infection and have outlines."""
    ranked = [
        run for name in dict.fromkeys((OURS, *HEADLINES)) for run in shown if run.name == name and SUBSET in run.tasks
    ]
    ranked = sorted(ranked, key=lambda run: not run.drawn) or shown
    return [run.name for run in ranked[:2]]


def blocks(values: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Number of a block and its values."""
    return ((k // BLOCK, values[k : k + BLOCK]) for k in range(0, len(values), BLOCK))


def write_blocks(folder: Path, name: str, columns: dict[str, list[Any]]) -> None:
    """`name/K.js` for each block of the columns."""
    for parts in zip(*(blocks(values) for values in columns.values()), strict=True):
        script(folder, f"{name}/{parts[0][0]}", {key: part for key, (_, part) in zip(columns, parts, strict=True)})


def script(folder: Path, name: str, data: Any) -> None:
    """A file that hands `data` to the page under its name."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    file = folder / f"{name}.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"covidquCase({json.dumps(name)},{text});\n", encoding="utf-8")
