"""Per-image numbers of one run on Val: packed data, split, lung masks and weights in, validation.parquet out.

What a choice between runs may rest on: Test stays untouched. No logits are kept; the columns are those that `score`
writes for masks at 256 x 256 and for classes, so that every protocol of `evaluate.protocols` applies.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from covidqu.config.data import PX
from covidqu.config.training import Run
from covidqu.data.examples import Inputs, RunData
from covidqu.data.index import Packed
from covidqu.evaluate.predictions import Predictions
from covidqu.evaluate.scores import class_columns, image_columns, resized, task_scores, truth_masks, write_scores
from covidqu.files import sha256
from covidqu.steps.predict import outcomes, ready
from covidqu.stored import read_parquet

PART = "Val"


def validate(name: str, run: Run, inputs: Inputs, *, weights: Path, out: Path) -> None:
    """Write `out`: one row per Val image that training chose its epoch by, in row order.

    Those are the images whose label the run's class head knows, or all without a head. Columns and meta as in
    scores.parquet, `part` in meta; neither counts at another side than 256 nor errors of a
    reconstruction. ValueError where the split or the weights do not fit.
    """
    data, splits = RunData.open(run, inputs), read_parquet(inputs.split)
    examples, (model, device) = data.examples(PART), ready(run, weights)
    found = [
        columns(data.packed, run, rows, given, weights)
        for rows, given in outcomes(f"{name} validate", examples, run, model, device, data.statistics)
    ]
    whole = {column: np.concatenate([part[column] for part in found]) for column in found[0]}
    meta: dict[str, Any] = {"run": name, "weights_sha256": sha256(weights), "data_hash": data.packed.data_hash}
    meta |= {"roi": run.roi, "subset": run.subset, "split": run.split}
    meta |= {"tasks": list(run.tasks), "px": PX, "classes": run.class_map}
    write_scores(out, image_columns(data.packed, splits, examples.rows).assign(**whole), meta | {"part": PART})
    print(f"{name}: numbers of {len(examples)} validation images", file=sys.stderr)


def columns(
    data: Packed, run: Run, rows: np.ndarray, found: dict[str, np.ndarray], weights: Path
) -> dict[str, np.ndarray]:
    """Arrays of `predict.forward` for (b,) rows -> (b,) per column; ValueError for logits that are not finite."""
    broken = [key for key, values in found.items() if not np.isfinite(values).all()]
    if broken:
        raise ValueError(f"{weights}: {', '.join(broken)} hold nan or inf; the model diverged, train it again")
    out: dict[str, Any] = {}
    for task in run.masks:
        scores = task_scores(task, resized(found[f"{task}_logits"], PX), truth_masks(data, task, rows))
        out |= {f"{task}_{column}": values for column, values in scores.items()}
    if "class" in run.tasks:
        given = Predictions(weights, {"classes": run.class_map}, rows, found["class_logits"])
        out |= class_columns(given, data.index["label"].to_numpy()[rows])
    return out
