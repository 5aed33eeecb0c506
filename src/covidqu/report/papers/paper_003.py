"""Tables of paper 003 (multi-task networks with CBAM): data, hyper-parameters.

The paper's images are CT, ours are radiographs: only the direction of an effect can be compared. Infected is COVID-19,
its second class is Normal; Non-COVID images, neither of the two, are left out. Shares are in percent, as printed;
numbers are means over seeds. "Simple" means two things in the paper: preprocessing without CBAM in Tables 3 and 4
(`cbam-mtl-unet-pre`), neither of the two in Tables 8 and 9 (`cbam-mtl-*-simple`).
"""

from covidqu.config.data import SPLITS
from covidqu.config.training import CLASS_MAPS, Run
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.run_cells import not_run
from covidqu.report.core.runs import CBAM as RUN
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import Images

INFECTED, NORMAL = "Class 1 (Infected)", "Class 2 (Healthy)"  # as printed
NOTE = "chest radiographs; augmented copies are drawn anew in each epoch, of Train only: there is no augmented count"
SETTINGS = (  # rows of Table 5
    *("Mini-Batch Size", "Learning Rate", "Number of Epochs", "Convolutional Kernel Size", "Gradient Decay Rate"),
    "Loopy Belief Propagation (for CRF)",
)
KERNELS = "3x3"  # of all double convolutions and residual blocks in systems/cbam_mtl.py
NO_CRF = "none: the paper names a CRF and describes none"


def earlier_work(_: Sources) -> list[Cell]:
    """Table 1: results of other authors."""
    return []


def images(sources: Sources) -> list[Cell]:
    """Table 2: the paper's counts of CT images; below them ours, of the two classes that the runs are trained on."""
    known = sources.params.run(RUN).class_map if RUN in sources.params.resolved else CLASS_MAPS["covid_vs_normal"]
    columns = {
        INFECTED: [label for label, k in known.items() if k == 1],
        NORMAL: [label for label, k in known.items() if k == 0],
        "Total": list(known),
    }
    rows = {f"this data set, {split}": split for split in SPLITS} | {"this data set, all": None}
    return [
        Images(split=split, labels=labels, note=f"{' and '.join(labels)}; {NOTE}").cell(sources, row, column)
        for row, split in rows.items()
        for column, labels in columns.items()
    ]


def hyper_parameters(sources: Sources) -> list[Cell]:
    """Table 5 beside the resolved settings of the proposed U-Net; rows below it the paper's text gives elsewhere."""
    column = "Value(s)"
    if RUN not in sources.params.resolved:
        reason = f"run {RUN} is not in the parameters"
        return [not_run(row, column, reason) for row in SETTINGS]
    values, how = settings(sources.params.run(RUN)), "settings of the run"
    cells = [Cell(row, column, None, v, v, how, how, run=RUN, kind=Kind.SETTING) for row, v in values.items()]
    return cells


def settings(run: Run) -> dict[str, Value]:
    """Row of Table 5 -> the run's setting; MATLAB calls Adam's first beta the gradient decay factor."""
    betas = getattr(run.optimizer, "betas", None)
    values = (run.batch, f"{run.optimizer.lr:g}", run.epochs, KERNELS, "none" if betas is None else betas[0], NO_CRF)
    terms = [f"{t.weight:g} x {t.kind} ({task})" for task, terms in run.loss.items() for t in terms]
    classes = ", ".join(f"{label} {k}" for label, k in run.class_map.items())
    return {
        **dict(zip(SETTINGS, values, strict=True)),
        "Optimizer": run.optimizer.kind,
        "Loss function": " + ".join(terms),
        "Image size": f"{run.image_px}x{run.image_px}",
        "Preprocessing": ", ".join([*(f"{f.kind} {f.px}x{f.px}" for f in run.filters), run.normalise]),
        "Augmentation": ", ".join(a.kind for a in run.augment) or "none",
        "Classes": classes or "none",
        "Sampler": run.sampler,
    }
