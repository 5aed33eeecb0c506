"""Tables of paper 003 (multi-task networks with CBAM): data, hyper-parameters, classification; all its tables' names.

The paper's images are CT, ours are radiographs: only the direction of an effect can be compared. Infected is COVID-19,
its second class is Normal; Non-COVID images, neither of the two, are left out. Shares are in percent, as printed;
numbers are means over seeds. "Simple" means two things in the paper: preprocessing without CBAM in Tables 3 and 4
(`cbam-mtl-unet-pre`), neither of the two in Tables 8 and 9 (`cbam-mtl-*-simple`).
"""

from collections.abc import Callable

from covidqu.config.data import SPLITS
from covidqu.config.training import CLASS_MAPS, Run
from covidqu.report.core.cells import Cell, Value, with_published
from covidqu.report.core.kinds import Kind
from covidqu.report.core.measures import class_cell, image_cell, not_run, over_seeds
from covidqu.report.core.run_cells import class_protocol
from covidqu.report.core.sources import Sources
from covidqu.report.papers.data_tables import count_cell
from covidqu.report.papers.paper_003_masks import BACKBONES, MODELS, OURS, PERCENT, RUN, TABLES_OF_MASKS, in_head
from covidqu.report.papers.paper_003_pairs import TABLES_OF_PAIRS

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
    return with_published("cbam-mtl/table-1", [])


def images(sources: Sources) -> list[Cell]:
    """Table 2: the paper's counts of CT images; below them ours, of the two classes that the runs are trained on."""
    name = "cbam-mtl/table-2"
    known = sources.params.run(RUN).class_map if RUN in sources.params.resolved else CLASS_MAPS["covid_vs_normal"]
    columns = {
        INFECTED: [label for label, k in known.items() if k == 1],
        NORMAL: [label for label, k in known.items() if k == 0],
        "Total": list(known),
    }
    cells = []
    for row, split in {**{f"this data set, {split}": split for split in SPLITS}, "this data set, all": None}.items():
        for column, labels in columns.items():
            note = f"{' and '.join(labels)}; chest radiographs; {ON_THE_FLY}"
            cells.append(count_cell(sources, row, column, "infection", split, labels, note))
    return with_published(name, cells)


def hyper_parameters(sources: Sources) -> list[Cell]:
    """Table 5 beside the resolved settings of the proposed U-Net; rows below it the paper's text gives elsewhere."""
    name, column = "cbam-mtl/table-5", "Value(s)"
    if RUN not in sources.params.resolved:
        reason = f"run {RUN} is not in the parameters"
        return with_published(name, [not_run(row, column, reason) for row in SETTINGS])
    values, how = settings(sources.params.run(RUN)), "settings of the run"
    cells = [Cell(row, column, None, v, v, how, how, run=RUN, kind=Kind.SETTING) for row, v in values.items()]
    return with_published(name, cells)


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


def classification(sources: Sources, name: str, rows: dict[str, str]) -> list[Cell]:
    """`rows`: label -> base run. Decisions by the larger probability, as the paper's, hence one number for both."""
    cells = []
    for row, run in rows.items():
        cells += [_class(sources, row, column, run, metric) for column, metric in METRICS.items()]
        cells.append(_class(sources, row, "Balanced Acc", run, "balanced_accuracy", paper=False))
        cells.append(over_seeds(sources, run, lambda one, row=row: _always_infected(sources, row, one)))
    return with_published(name, cells)


def _class(sources: Sources, row: str, column: str, run: str, metric: str, *, paper: bool = True) -> Cell:
    how = class_protocol(metric) if paper else ""
    return over_seeds(sources, run, lambda one: class_cell(sources, row, column, one, metric, paper=how, scale=PERCENT))


def _always_infected(sources: Sources, row: str, run: str) -> Cell:
    """Accuracy of a network that calls every image infected: the classes are not balanced here."""
    shown = {"select": in_head, "scale": PERCENT, "how": "share of infected images"}
    return image_cell(sources, row, "Acc of always infected", run, lambda s: s["class_target"] == 1, **shown)


TABLES: dict[str, Callable[[Sources], list[Cell]]] = {
    "cbam-mtl/table-1": earlier_work,
    "cbam-mtl/table-2": images,
    "cbam-mtl/table-4": lambda s: classification(s, "cbam-mtl/table-4", MODELS),
    "cbam-mtl/table-5": hyper_parameters,
    "cbam-mtl/table-7": lambda s: classification(s, "cbam-mtl/table-7", OURS),
    "cbam-mtl/table-9": lambda s: classification(s, "cbam-mtl/table-9", BACKBONES),
    **TABLES_OF_MASKS,
    **TABLES_OF_PAIRS,
}
