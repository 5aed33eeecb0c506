"""Table 2 of paper 003 (multi-task networks with CBAM): the data, of the classes that its runs are trained on."""

from covidqu.config.data import SPLITS
from covidqu.config.training import CLASS_MAPS
from covidqu.report.core.cells import Cell
from covidqu.report.core.runs import CBAM as RUN
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import Images

INFECTED, NORMAL = "Class 1 (Infected)", "Class 2 (Healthy)"  # as printed
NOTE = "chest radiographs; augmented copies are drawn anew in each epoch, of Train only: there is no augmented count"


def images(sources: Sources) -> list[Cell]:
    """Infected is COVID-19, the second class is Normal; Non-COVID images, neither of the two, are left out."""
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
