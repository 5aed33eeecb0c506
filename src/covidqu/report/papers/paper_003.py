"""Tables of paper 003 (multi-task networks with CBAM): data, hyper-parameters, classification.

The paper's images are CT, ours are radiographs: only the direction of an effect can be compared. Infected is COVID-19,
its second class is Normal; Non-COVID images, neither of the two, are left out. Shares are in percent, as printed;
numbers are means over seeds. "Simple" means two things in the paper: preprocessing without CBAM in Tables 3 and 4
(`cbam-mtl-unet-pre`), neither of the two in Tables 8 and 9 (`cbam-mtl-*-simple`).
"""

from covidqu.config.data import SPLITS
from covidqu.config.training import CLASS_MAPS, Run
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Kind
from covidqu.report.core.measures import class_cell, image_cell, not_run, over_seeds
from covidqu.report.core.run_cells import class_protocol
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counts
from covidqu.report.papers.paper_003_masks import BACKBONES, MODELS, OURS, PERCENT, RUN, in_head

METRICS = {
    "Acc": "accuracy",
    "Sens": "sensitivity",
    "Spec": "specificity",
    "AUC": "auc",
    "Precision": "precision",
    "F1": "f1",
    "MCC": "mcc",
}
INFECTED, NORMAL = "Class 1 (Infected)", "Class 2 (Healthy)"  # as printed
ON_THE_FLY = "augmented copies are drawn anew in each epoch, of Train only: there is no augmented count"
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
    rows = {f"this data set, {split}": {"split": split} for split in SPLITS} | {"this data set, all": {"split": None}}
    note = f"chest radiographs; {ON_THE_FLY}"
    shown = {name: {"labels": labels, "note": f"{' and '.join(labels)}; {note}"} for name, labels in columns.items()}
    return counts(sources, "infection", rows, shown)


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


def table_4(sources: Sources) -> list[Cell]:
    """Table 4: with and without CBAM."""
    return _classification(sources, MODELS)


def table_7(sources: Sources) -> list[Cell]:
    """Table 7: the proposed model."""
    return _classification(sources, OURS)


def table_9(sources: Sources) -> list[Cell]:
    """Table 9: simple and proposed on three backbones."""
    return _classification(sources, BACKBONES)


def _classification(sources: Sources, rows: dict[str, str]) -> list[Cell]:
    """`rows`: label -> base run. Decisions by the larger probability, as the paper's, hence one number for both."""
    cells = []
    for row, run in rows.items():
        cells += [_class(sources, row, column, run, metric) for column, metric in METRICS.items()]
        cells.append(_class(sources, row, "Balanced Acc", run, "balanced_accuracy", paper=False))
        cells.append(over_seeds(sources, run, lambda one, row=row: _always_infected(sources, row, one)))
    return cells


def _class(sources: Sources, row: str, column: str, run: str, metric: str, *, paper: bool = True) -> Cell:
    how = class_protocol(metric) if paper else ""
    return over_seeds(sources, run, lambda one: class_cell(sources, row, column, one, metric, paper=how, scale=PERCENT))


def _always_infected(sources: Sources, row: str, run: str) -> Cell:
    """Accuracy of a network that calls every image infected: the classes are not balanced here."""
    shown = {"select": in_head, "scale": PERCENT, "how": "share of infected images"}
    return image_cell(sources, row, "Acc of always infected", run, lambda s: s["class_target"] == 1, **shown)
