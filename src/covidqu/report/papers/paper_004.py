"""Tables of paper 004 (multi-task network with reconstruction): split, task combinations, area under the ROC curve.

The paper's images are CT, ours are radiographs: COVID is COVID-19, non-COVID is Normal and Non-COVID together. Its Dice
is that of Keras, most likely: probabilities, not masks, pooled over batches of four, and only 30 of its 100 test images
have a mask. So the nearest number here is the soft Dice of batches of images with a mask; whether the paper's is that
cannot be known. Dice is in percent, all else are fractions, as printed.
"""

from dataclasses import replace

import pandas as pd

from covidqu.config.data import CLASSES
from covidqu.evaluate import protocols
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.evaluate.statistics import Interval, bootstrap_strata
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Missing, Status, Unit
from covidqu.report.core.measures import FALSE_POSITIVES, HEADLINE, MARKED, cell, class_cell, image_cell
from covidqu.report.core.run_cells import SEEDS, class_protocol, not_run, or_missing, scaled, tested_on
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counts

OURS = "recon-mtl-t123"
EXPERIMENTS = {  # row of Table 2: run; the paper repeats its own system in each experiment
    "Exp1: T1 & T2": "recon-mtl-t12",
    "Exp1: T1 & T3": "recon-mtl-t13",
    "Exp1: T2 & T3": "recon-mtl-t23",
    "Exp1: T1 & T2 & T3 with 512 x 512": "recon-mtl-t123-512",
    "Exp1: Ours (T1&T2&T3 256 x 256)": OURS,
    "Exp2: Ours": OURS,
    "Exp2: U-NET 512 x 512": "recon-mtl-unet-512",
    "Exp2: U-NET 256 x 256": "recon-mtl-unet",
    "Exp3: Ours": OURS,
    "Exp3: CNN 8-layers": "recon-mtl-cnn8",
}
NO_MASK, NO_CLASS = ("recon-mtl-t13", "recon-mtl-cnn8"), ("recon-mtl-t12", "recon-mtl-unet", "recon-mtl-unet-512")
RECONSTRUCTS = ("recon-mtl-t12", "recon-mtl-t13", "recon-mtl-t123-512", OURS)
CLASS_METRICS = {"Acc": "accuracy", "Sens": "sensitivity", "Spec": "specificity", "AUC": "auc"}
SPLITS = {"Train": {"split": "Train"}, "Validation": {"split": "Val"}, "Test": {"split": "Test"}}
ANALOGUE = "radiographs of this data set; the paper counts CT images"
GROUPS = {
    "Non-COVID": {"labels": ("Normal", "Non-COVID"), "note": f"Normal and Non-COVID together; {ANALOGUE}"},
    "COVID": {"labels": ("COVID-19",), "note": ANALOGUE},
    "Total": {"labels": CLASSES, "note": ANALOGUE},
}
PERCENT = 100.0
SETTINGS = ("mini-batch size", "learning rate", "epochs", "early stopping")  # stated in the text
SOFT = [{"kind": "dice", "weight": 1.0, "smooth": 1.0}]  # the training loss is 1 minus this Dice


def split(sources: Sources) -> list[Cell]:
    """Table 1 with our images: non-COVID is Normal and Non-COVID."""
    return counts(sources, "infection", SPLITS, GROUPS)


def experiments(sources: Sources) -> list[Cell]:
    """Table 2: all ten rows; a run stands in every row that the paper repeats it in."""
    cells = []
    for row, run in EXPERIMENTS.items():
        if run not in NO_MASK:
            cells += [_dice(sources, row, run), _dice_of_all(sources, row, "Dice, all images", run)]
            for protocol, label in FALSE_INFECTION.items():
                for words, metric in (*((column, FALSE_POSITIVES[column]) for column in MARKED), ("mean area", "area")):
                    column = f"{label}, {words}"
                    cells.append(cell(sources, row, column, run, "infection", metric, correct=protocol))
        if run not in NO_CLASS:
            cells += [_class(sources, row, column, run) for column in CLASS_METRICS]
        if run in RECONSTRUCTS:
            how = "mean over images"
            cells.append(image_cell(sources, row, "reconstruction MSE", run, "reconstruction_mse", how=how))
    return cells


def _class(sources: Sources, row: str, column: str, run: str) -> Cell:
    """COVID-19 against the rest; the paper's number is made in the same way."""
    metric = CLASS_METRICS[column]
    return class_cell(sources, row, column, run, metric, paper=class_protocol(metric))


def _dice(sources: Sources, row: str, run: str) -> Cell:
    """In percent: soft Dice of batches of images with a mask, and the mean Dice of these images."""
    found = cell(sources, row, "Dice", run, "infection", "dice", correct=HEADLINE, scale=PERCENT)
    if not found.measured:
        return found
    soft, how = soft_dice(sources, run, protocols.select(HEADLINE, sources.scores(run), "infection"))
    by_paper, low, high = scaled(soft, PERCENT)
    theirs = {"measured_paper": by_paper, "paper_low": low, "paper_high": high}
    return replace(found, **theirs, protocol_paper=f"{how}, images with infection")


@or_missing
def _dice_of_all(sources: Sources, row: str, column: str, run: str) -> Cell:
    """The same over all test images, in case the paper's 100 images were meant."""
    scores = sources.scores(run)
    if "infection_tp" not in scores:
        raise Missing(Status.NO_OUTPUT, f"run {run} has no infection mask")
    soft, how = soft_dice(sources, run, scores)
    note = "half of the images have an empty mask, of which a batch of them scores about 0 unless it is blank"
    by_paper, low, high = scaled(soft, PERCENT)
    return Cell(
        *(row, column, None, by_paper, None, f"{how}, all images"),
        n=len(scores),
        run=run,
        split=tested_on(sources, run),
        seeds=SEEDS,
        note=note,
        kind=Kind.PERFORMANCE,
        unit=Unit.PERCENT,
        paper_low=low,
        paper_high=high,
    )


def soft_dice(sources: Sources, run: str, scores: pd.DataFrame) -> tuple[Interval, str]:
    """Soft Dice (smoothing 1) pooled in batches of the run's size in file order, and how it was made in words."""
    batch = sources.params.run(run).batch
    dice = 1.0 - protocols.batch_losses(scores, "infection", batch, SOFT)
    strata = protocols.infected_batches(scores, "infection", batch)
    found = bootstrap_strata(dice, strata, sources.params.evaluate.bootstrap)
    return found, f"soft, mean over batches of {batch}"


def prose(sources: Sources) -> list[Cell]:
    """The area under the ROC curve; counts of CT patients and images are printed only."""
    area = class_cell(sources, "ROC AUC (Fig 5)", "value", OURS, "auc", paper=class_protocol("auc"))
    return [area, *_settings(sources)]


def _settings(sources: Sources) -> list[Cell]:
    """Settings that the text states, beside those of the run."""
    if OURS not in sources.params.resolved:
        return [not_run(row, "value", f"run {OURS} is not in the parameters") for row in SETTINGS]
    run, how = sources.params.run(OURS), "settings of the run"
    patience = "none" if run.patience is None else run.patience
    values = dict(zip(SETTINGS, (run.batch, run.optimizer.lr, run.epochs, patience), strict=True))
    return [Cell(row, "value", None, v, v, how, how, run=OURS, kind=Kind.SETTING) for row, v in values.items()]
