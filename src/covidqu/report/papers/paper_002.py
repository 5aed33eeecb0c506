"""Table IV of paper 002 (two-phase U-Net): infection segmentation on the test images."""

from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.report.core.cells import Cell
from covidqu.report.core.measures import HEADLINE, Loss, Mask, Measure, false_infection
from covidqu.report.core.run_cells import across, evaluate
from covidqu.report.core.runs import UNET_ROI
from covidqu.report.core.sources import Sources

REGIONS = {"": UNET_ROI[1], ", ROI predicted": UNET_ROI[2]}  # the paper's reading, then the deployable one


def infection(sources: Sources) -> list[Cell]:
    """With the annotated and with the predicted lung mask as region of interest, which the notes name."""
    cells = []
    for suffix, run in REGIONS.items():
        note = f"ROI {sources.params.run(run).roi}" if run in sources.params.resolved else ""
        rows: dict[str, Measure] = {"Mean Loss": Loss(run=run, task="infection", note=note)}
        for row, metric in (("Mean Dice Score", "dice"), ("Mean IoU Score", "iou")):
            rows[row] = Mask(run=run, metric=metric, paper="img_all_e1", correct=HEADLINE, note=note)
        cells += [evaluate(sources, row, f"Value{suffix}", one) for row, one in rows.items()]
        for protocol, label in FALSE_INFECTION.items():
            cells += across(sources, f"{label} images", false_infection(run, protocol, suffix, note))
    return cells
