"""Table and figure `common/worst-cases`: the COVID-19 test images that our system marks worst, to be looked at.

Input: scores of the headline runs, what was read by eye (`readings`); for the figure the packed arrays and
predictions. Output: cells, rows are ranks, and a matplotlib figure. Here images are chosen by score, and say so.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate import classification
from covidqu.evaluate.protocols import measures, per_image
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.measures import HEADLINE
from covidqu.report.core.references import EVERY
from covidqu.report.core.run_cells import SEEDS, absent, not_run, tested_on
from covidqu.report.core.runs import OURS
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import panels, predicted
from covidqu.report.drawing.colours import LIGHT_BLUE, YELLOW
from covidqu.report.systems.cross_system import COVID, NO_OUTPUT
from covidqu.report.systems.headline_runs import HEADLINE_RUNS
from covidqu.report.systems.readings import Reading, readings

WORST, ACROSS = 20, 5
SIDE = 2.8  # inches of an image
BEST = "infection Dice of the best other headline run"
UNREAD = Missing(Status.NOT_APPLICABLE, "not looked at")


def worst_images(scores: pd.DataFrame, count: int = WORST) -> pd.DataFrame:
    """The `count` images of the scores with the lowest infection `dice` where infection is annotated; ties by id."""
    dice = per_image(HEADLINE, scores, "infection")["dice"]
    return scores.loc[dice.index].assign(dice=dice).sort_values(["dice", "id"]).head(count)


def table(sources: Sources) -> list[Cell]:
    """Rows are ranks, the worst first."""
    reason = sources.why_no_run(OURS)
    if reason:
        return [not_run(f"rank 1 to {WORST}", EVERY, reason)]
    worst, others, known = worst_images(sources.scores(OURS)), _others(sources), readings()
    probability, cells = _probability(sources, worst), []
    for place, (_, image) in enumerate(worst.iterrows()):
        row = f"rank {place + 1}"
        cells += [
            *_of_image(sources, row, image, None if probability is None else float(probability[place])),
            _best(sources, row, others.loc[image["id"]] if image["id"] in others.index else None),
            _reading(row, known.get(image["id"])),
        ]
    return cells


def _cell(sources: Sources, row: str, column: str, value: Value, run: str = OURS, how: str = "this image") -> Cell:
    """A value of one image, so without an interval; without a value: the run has no such output."""
    if value is None:
        return absent(row, column, NO_OUTPUT)
    place = {"n": 1, "run": run, "split": tested_on(sources, run), "seeds": SEEDS}
    return Cell(row, column, measured_correct=value, protocol_correct=how, **place)


def _of_image(sources: Sources, row: str, image: pd.Series, probability: float | None) -> list[Cell]:
    """What one row of the scores says."""
    tp, fp, fn = (float(image[f"infection_{count}"]) for count in ("tp", "fp", "fn"))
    values: dict[str, Value] = {
        "image": str(image["id"]),
        "infection Dice": float(image["dice"]),
        "annotated infection, share of the image": (tp + fn) / float(image["n_px"]),
        "predicted infection, share of the image": (tp + fp) / float(image["n_px"]),
        "lung Dice": _lung_dice(image),
        "probability of COVID-19": probability,
        "near-duplicate in official Train or Val": "yes" if image["near_duplicate"] else "no",
    }
    return [_cell(sources, row, column, value) for column, value in values.items()]


def _lung_dice(image: pd.Series) -> float | None:
    """None without a lung mask, annotated or predicted."""
    if "lung_tp" not in image.index:
        return None
    counts = np.array([image[f"lung_{count}"] for count in ("tp", "fp", "fn", "tn")], np.float64)
    found = float(measures(counts, if_empty=float("nan"))["dice"])
    return None if np.isnan(found) else found


def _probability(sources: Sources, images: pd.DataFrame) -> np.ndarray | None:
    """(n,) probability of the class that COVID-19 belongs to; None without a head that knows it."""
    classes, logits = sources.params.run(OURS).class_map, images.filter(regex=r"^class_logit_\d+$")
    if logits.empty or COVID not in classes:
        return None
    return classification.probabilities(logits.to_numpy())[:, classes[COVID]]


def _others(sources: Sources) -> pd.DataFrame:
    """Infection Dice of the other headline runs that were scored: rows are image ids, columns are runs."""
    found = {}
    for run in HEADLINE_RUNS.values():
        if run != OURS and sources.why_no_run(run) is None:
            scores = sources.scores(run)
            dice = per_image(HEADLINE, scores, "infection")["dice"]
            found[run] = pd.Series(dice.to_numpy(), index=scores.loc[dice.index, "id"])
    return pd.DataFrame(found)


def _best(sources: Sources, row: str, others: pd.Series | None) -> Cell:
    """The largest Dice of the others, which the column `run` names; of equal ones the first of `HEADLINE_RUNS`."""
    if others is None or others.isna().all():
        return not_run(row, BEST, "no other headline run was scored on this image")
    run = str(others.idxmax())
    return _cell(sources, row, BEST, float(others[run]), run, HEADLINE)


def _reading(row: str, found: Reading | None) -> Cell:
    if found is None:
        return absent(row, "reading", UNREAD)
    return Cell(row, "reading", measured_correct=found.cause, protocol_correct="by eye", n=1, note=found.words)


def figure(sources: Sources, wanted: Wanted) -> Figure:
    """Each of these images plain, and beside it with the outlines of annotated and predicted infection."""
    reason = sources.why_no_run(OURS)
    if reason:
        raise ValueError(f"{sources.folder(OURS)}: {reason}; run its `score` step")
    worst, packed = worst_images(sources.scores(OURS)), open_packed(sources.data / "packed")
    rows = [int(row) for row in worst["row"]]
    masks = predicted.maps(predicted.opened(sources, OURS), "infection_logits", rows) > 0
    down = -(-len(rows) // ACROSS)
    drawn = Figure(figsize=(2 * ACROSS * SIDE, down * (SIDE + 0.3) + 0.8), layout="constrained")
    grid = drawn.subplots(down, 2 * ACROSS, squeeze=False).reshape(-1, 2)
    for place, (plain, outlined) in enumerate(grid):
        if place >= len(rows):
            plain.set_axis_off()
            outlined.set_axis_off()
            continue
        image, row = worst.iloc[place], rows[place]
        panels.image(plain, packed.images[row], f"{place + 1}: {image['name']}")
        panels.image(outlined, packed.images[row], f"Dice {image['dice']:.3f}, {panels.area(masks[place])}")
        panels.contour(outlined, unpack_mask(np.asarray(packed.infection_masks[row])), YELLOW)
        panels.contour(outlined, masks[place], LIGHT_BLUE)
    words = f"{wanted.title}: the {len(rows)} lowest Dice, chosen by score; annotation (yellow), prediction (blue)"
    drawn.suptitle(panels.wrapped(words, 260), fontsize=12)
    return drawn
