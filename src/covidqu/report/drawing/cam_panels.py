"""Paper 003, Fig. 4: Grad-CAM of the class head over the image, with annotated lung and infection.

Input: packed arrays, cam.npz, explain.parquet and scores of one run; output: a matplotlib figure. Images are chosen by
annotated area, never by score; the caption has the mean over all images beside what chance would give.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from covidqu.config.data import PX
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import panels, predicted
from covidqu.report.drawing.colours import LIGHT_BLUE, ORANGE, YELLOW
from covidqu.zipped import reading_zip

OPACITY = 0.75  # of the heat map where it is 1; the lung has to remain visible below it
REGIONS = {"lungs": ("cam_lung_share", "lung_px"), "infection": ("cam_infection_share", "infection_px")}


def heat_maps(sources: Sources, wanted: Wanted) -> Figure:
    """Columns are images: above image and annotation, below the heat map over it."""
    (run,) = wanted.runs
    packed = open_packed(sources.data / "packed")
    rows, maps = _maps(sources, run)
    chosen = panels.cases(packed.index.iloc[rows], sources.params.report.panel_cases)
    drawn = Figure(figsize=(2.9 * len(chosen) + 0.4, 7.8), layout="constrained")
    above, below = drawn.subplots(2, len(chosen), squeeze=False)
    decided = _classes(sources, run)
    for top, bottom, (why, row) in zip(above, below, chosen, strict=True):
        name = packed.index["id"][row].split("/")[-1]
        panels.image(top, packed.images[row], f"{panels.wrapped(f'{name}: {why}', 40)}\n{packed.index['label'][row]}")
        panels.image(bottom, packed.images[row], decided.get(row, "class not scored"))
        bottom.imshow(overlay(maps[int(np.flatnonzero(rows == row)[0])]))
        for axes in (top, bottom):
            panels.contour(axes, unpack_mask(np.asarray(packed.lung_masks[row])), LIGHT_BLUE)
            panels.contour(axes, unpack_mask(np.asarray(packed.infection_masks[row])), YELLOW)
    words = (
        f"{wanted.title}: {run} (seed {sources.params.run(run).seed}), test images chosen by infected area, never by "
        "score; annotated lung (blue) and infection (yellow); Grad-CAM of the infected class from 0 (clear) to 1 "
        "(orange)"
    )
    drawn.suptitle(panels.wrapped(words, 32 * len(chosen)), fontsize=9.5)
    drawn.supxlabel(panels.wrapped(shares(sources, packed, run), 38 * len(chosen)), fontsize=9)
    return drawn


def overlay(cam: np.ndarray) -> np.ndarray:
    """(h, w) of 0 to 1 -> (256, 256, 4): one colour, the more opaque the higher."""
    alpha = OPACITY * predicted.at_256(cam).clip(0, 1)
    return np.dstack([np.broadcast_to(to_rgb(ORANGE), (PX, PX, 3)), alpha])


def shares(sources: Sources, packed: Packed, run: str) -> str:
    """Mean share of Grad-CAM energy inside each annotation, and the mean share of the image that it covers."""
    found = sources.explain(run)
    if found is None:
        raise ValueError(f"{sources.folder(run)}/explain.parquet: missing; run the `explain` step of {run}")
    words = [_share(found, packed.index, name, *columns) for name, columns in REGIONS.items()]
    return f"Mean share of Grad-CAM energy inside the annotated {'; inside the '.join(words)}"


def _share(found: pd.DataFrame, index: pd.DataFrame, name: str, column: str, pixels: str) -> str:
    known = found[found[column].notna()]
    if known.empty:
        return f"{name}: undefined for every image"
    area = index.loc[known["row"], pixels].to_numpy() / PX**2
    return f"{name} {known[column].mean():.1%}, which cover {area.mean():.1%} of the image (n = {len(known):,})"


def _maps(sources: Sources, run: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) rows of the index and (n, h, w) maps."""
    path = sources.folder(run) / "cam.npz"
    if not path.is_file():
        raise ValueError(f"{path}: missing; run the `explain` step of {run}")
    with reading_zip(path), np.load(path) as file:
        rows, maps = file["row"], file["cam"]
    if len(rows) != len(maps) or not np.isfinite(maps).all():
        raise ValueError(f"{path}: {len(maps)} maps for {len(rows)} rows, or nan among them; run `explain` again")
    return rows.astype(np.int64), maps


def _classes(sources: Sources, run: str) -> dict[int, str]:
    """Row -> the class decided on, in words; empty when the run is not scored."""
    if sources.why_no_run(run) is not None:
        return {}
    scores, labels = sources.scores(run), sources.params.run(run).class_map
    width = sum(str(column).removeprefix("class_logit_").isdigit() for column in scores)
    logits = scores[[f"class_logit_{k}" for k in range(width)]].to_numpy(np.float64)
    decided = predicted.decisions(logits, labels)
    unknown = np.where(scores["class_target"] < 0, "\n" + scores["label"] + " is no class of this head", "")
    return {
        int(row): f"predicted class: {name} ({p:.2f}){note}"
        for row, (name, p), note in zip(scores["row"], decided, unknown, strict=True)
    }
