"""Numbers in the prose of paper 001 (U-Net++ on EfficientNet-B3): training dynamics and infected area."""

from dataclasses import replace

from covidqu.config.data import PX
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.measures import NONE, Found, measure
from covidqu.report.core.run_cells import SEEDS, not_run, or_missing
from covidqu.report.core.sources import Sources

RUN = "unetpp-b3"
TASK = "infection"
BATCHES = "batch8_seq"


def dynamics(sources: Sources) -> list[Cell]:
    """Section IV-C and the infected area of Section II."""
    area = _area(sources, "infection area, typical fraction of image", "value")
    return [*_epochs(sources), area]


def _epochs(sources: Sources) -> list[Cell]:
    of_best = ("best epoch (validation)", "training Dice at best epoch", "validation Dice at best epoch")
    rows = (*of_best, "final learning rate")
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
        return NONE
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
