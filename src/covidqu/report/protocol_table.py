"""Table `common/protocols`: each infection run under each protocol, so that no number stands without its protocol."""

from covidqu.evaluate.protocols import PROTOCOLS
from covidqu.report.cells import Cell
from covidqu.report.measures import cell, false_positive_cells
from covidqu.report.sources import Sources

METRICS = ("dice", "iou")
CORRECT = ("img_covid", "pooled_covid", "pooled_all")


def protocols(sources: Sources) -> list[Cell]:
    """Rows are runs, columns protocol and metric; false positives on healthy images at the end of each run.

    Repetitions with other seeds are left to the tables of their paper. Protocols of the papers fill `measured_paper`,
    the correct ones `measured_correct` with their interval.
    """
    cells = []
    for run in sources.params.base_runs:
        if "infection" not in sources.params.run(run).tasks:
            continue
        for protocol, known in PROTOCOLS.items():
            for metric in (m for m in METRICS if m in known.measures):
                side = {"correct" if protocol in CORRECT else "paper": protocol}
                cells.append(cell(sources, run, f"{protocol} {metric}", run, "infection", metric, **side))
        cells += false_positive_cells(sources, run, run, "infection")
    return cells


def definitions() -> list[str]:
    """One line per protocol: what is averaged, over which images, and what empty masks count."""
    units = {
        "image": "mean over images",
        "pixel": "pixels of all images pooled",
        "batch": "mean over batches of images",
    }
    which = {"all": "all test images", "foreground": "images with an annotated mask", "empty": "images without one"}
    return [f"- `{p.name}`: {units[p.unit]}; {which[p.images]}; {p.empty_masks}" for p in PROTOCOLS.values()]
