"""Tables of paper 001 (U-Net++ on EfficientNet-B3): hyper-parameters, test set, categories, training dynamics."""

from dataclasses import replace

from covidqu.config.data import CLASSES, PX
from covidqu.config.training import Run
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind, Missing, Status
from covidqu.report.core.measures import SEEDS, cell, false_positive_cells, measure, not_run
from covidqu.report.core.published import printed
from covidqu.report.core.run_cells import Found, or_missing
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counts, scored_images

RUN = "unetpp-b3"
TASK = "infection"
BATCHES = "batch8_seq"
METRICS = {
    "Dice Coefficient": "dice",
    "IoU Score": "iou",
    "Pixel Accuracy": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1-Score": "f1",
}
UNDEFINED = "undefined without an infected pixel: the paper's value is a convention; see the false positives below"


def images(sources: Sources) -> list[Cell]:
    """Section II: the test set."""
    classes = {label: {"labels": [label]} for label in CLASSES}
    return counts(sources, "infection", classes, {"test images": {"split": "Test"}})


def hyper_parameters(sources: Sources) -> list[Cell]:
    """Table I beside the run's resolved settings."""
    if RUN not in sources.params.resolved:
        reason = f"run {RUN} is not in the parameters"
        return [not_run(row, column, reason) for row, column in printed("unetpp-b3/table-1")]
    how = "settings of the run"
    cells = [
        Cell(row, "Value", None, v, v, how, how, run=RUN, kind=Kind.SETTING)
        for row, v in _settings(sources.params.run(RUN)).items()
    ]
    return cells


def _settings(run: Run) -> dict[str, Value]:
    terms = [f"{t.weight:g} x {t.kind}{_weighting(t)}" for t in run.loss.get(TASK, [])]
    return {
        "Input size": f"{run.image_px}x{run.image_px}",
        "Batch size": run.batch,
        "Learning rate": f"{run.optimizer.lr:g}",
        "Optimizer": run.optimizer.kind,
        "Loss function": " + ".join(terms),
        "Epochs": run.epochs,
        "Early stopping patience": "none" if run.patience is None else run.patience,
        "Encoder weights": run.init,
        "Encoder": getattr(run.model, "encoder", run.model.system),
        "Augmentation": ", ".join(a.kind for a in run.augment) or "none",
    }


def _weighting(term: object) -> str:
    weight = getattr(term, "pos_weight", 1.0)
    return "" if weight == 1.0 else f" (pos_weight {weight})"


def overall(sources: Sources) -> list[Cell]:
    """Table II: batches of eight against pixels pooled over all test images; then COVID-19 only and false positives."""
    cells = [
        cell(sources, row, "Score", RUN, TASK, metric, paper=BATCHES, correct="pooled_all")
        for row, metric in METRICS.items()
    ]
    cells += [
        cell(sources, row, "Score, COVID-19 pixels pooled", RUN, TASK, metric, correct="pooled_covid")
        for row, metric in METRICS.items()
        if metric not in ("accuracy", "f1")
    ]
    cells.append(
        cell(sources, "Dice Coefficient", "Score, mean of COVID-19 images", RUN, TASK, "dice", correct="img_covid")
    )
    for protocol, label in FALSE_INFECTION.items():
        cells += false_positive_cells(sources, f"{label} images", RUN, protocol)
    return cells


def by_category(sources: Sources) -> list[Cell]:
    """Table III: means over the images of a class; where nothing is infected, false positives instead of Dice."""
    cells = []
    for label in ("COVID-19", "Non-COVID", "Normal"):
        cells.append(scored_images(sources, label, "Samples", RUN, label))
        for column, metric in (("Dice", "dice"), ("IoU", "iou"), ("Recall", "recall")):
            correct = "img_covid" if label == "COVID-19" else None
            shown = {"paper": _category_protocol(metric), "correct": correct, "label": label}
            note = "" if correct else UNDEFINED
            cells.append(cell(sources, label, column, RUN, TASK, metric, **shown, note=note))
    for protocol, label in FALSE_INFECTION.items():
        cells += false_positive_cells(sources, label, RUN, protocol)
    return cells


def _category_protocol(metric: str) -> str:
    """Table III counts empty = empty as 1 for Dice and IoU (1.000), as 0 for recall (0.000)."""
    return "img_all_e0" if metric == "recall" else "img_all_e1"


def dynamics(sources: Sources) -> list[Cell]:
    """Section IV-C and the infected area of Section II."""
    area = _area(sources, "infection area, typical fraction of image", "value")
    return [*_epochs(sources), area]


def _epochs(sources: Sources) -> list[Cell]:
    rows = ("best epoch (validation)", "training Dice at best epoch", "validation Dice at best epoch")
    rows = (*rows, "final learning rate")
    history = sources.history(RUN) if RUN in sources.params.resolved else None
    if history is None:
        reason = sources.why_no_run(RUN) or f"run {RUN} has no history"
        return [not_run(row, "value", reason) for row in rows]
    best, last, config = history[history["best"] == 1].iloc[-1], history.iloc[-1], sources.params.run(RUN)
    how = "mean over images with infection, training resolution"
    gap = "the paper's mean over batches was not recorded"
    final = f"{float(last['lr']):.3g} in epoch {int(last['epoch'])}; after it the schedule ends"
    end = config.schedule.lr_min if config.schedule.kind == "cosine" else config.optimizer.lr
    batches, *bounds = _validation_dice(sources)
    found: tuple[tuple[Value, str, Value, str, str, str], ...] = (
        (None, "", int(best["epoch"]), f"best validation Dice, {how}", "Val", gap),
        (None, "", float(best[f"train_{TASK}_dice"]), f"{how}, augmented, during training", "Train", gap),
        (batches, BATCHES if batches else "", float(best[f"val_{TASK}_dice"]), how, "Val", "" if batches else gap),
        (end, "rate at the end of the schedule", float(last["lr"]), "rate of the last epoch", "", final),
    )
    cells = [
        Cell(row, "value", None, ours, v, by, p, run=RUN, split=split, seeds=SEEDS, note=note)
        for row, (ours, by, v, p, split, note) in zip(rows, found, strict=True)
    ]
    cells[2] = replace(cells[2], paper_low=bounds[0], paper_high=bounds[1])
    return cells


def _validation_dice(sources: Sources) -> Found:
    """Dice of Val under the paper's protocol with its interval; None where the run was not validated."""
    if sources.why_no_validation(RUN) or (scores := sources.validation(RUN)) is None:
        return None, None, None
    return measure(BATCHES, scores, TASK, "dice", sources.params.evaluate)


@or_missing
def _area(sources: Sources, row: str, column: str) -> Cell:
    share = sources.packed("infection")["infection_px"] / PX**2
    infected = share[share > 0]
    if infected.empty:
        raise Missing(Status.UNDEFINED, "no image is infected")
    note = f"median {infected.median():.4f}; {(infected < 0.1).mean():.1%} of the infected images lie below 0.10"
    how = ("mean over all images", "mean over images with infection")
    means = float(share.mean()), float(infected.mean())
    return Cell(row, column, None, *means, *how, n=len(infected), split="all", note=note)
