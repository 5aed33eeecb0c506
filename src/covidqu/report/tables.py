"""Step `table`: one table as CSV and Markdown.

Enters: the data folder (index, audit, splits) and the results folder (scores, cards, histories); leaves: `out`.csv and
`out`.md. `build` gives the same table to the comparison, so that numbers cannot differ between the two.
"""

from collections.abc import Callable
from pathlib import Path

from covidqu.config.params import Params
from covidqu.report import data_tables, leakage, overview, paper_001, paper_002, protocol_table, titles
from covidqu.report.cells import Cell, Table, write
from covidqu.report.sources import Sources
from covidqu.report.targets import table_inputs

BUILDERS: dict[str, Callable[[Sources], list[Cell]]] = {
    "swin-dual/table-1": lambda s: data_tables.split_by_class(s, "swin-dual/table-1", "lung"),
    "swin-dual/table-2": lambda s: data_tables.split_by_class(s, "swin-dual/table-2", "infection"),
    "swin-dual/table-3": lambda s: data_tables.two_subsets(s, "swin-dual/table-3"),
    "unetpp-b3/data": lambda s: data_tables.test_images(s, "unetpp-b3/data"),
    "unetpp-b3/table-1": paper_001.hyper_parameters,
    "unetpp-b3/table-2": paper_001.overall,
    "unetpp-b3/table-3": paper_001.by_category,
    "unetpp-b3/text": paper_001.dynamics,
    "unet-roi/table-1": lambda s: data_tables.class_by_split(s, "unet-roi/table-1", "lung"),
    "unet-roi/table-2": lambda s: data_tables.class_by_split(s, "unet-roi/table-2", "infection"),
    "unet-roi/table-3": paper_002.lung,
    "unet-roi/table-4": paper_002.infection,
    "common/data": data_tables.data_facts,
    "common/leakage": leakage.leakage,
    "common/protocols": protocol_table.protocols,
    "common/overview": lambda s: overview.overview(s, BUILDERS),
}
CAPTIONS = {
    "common/overview": "Printed and measured, on the official test images",
    "common/data": "Facts of the data found by the audit",
    "common/leakage": "Duplicates across splits, and what they are worth to each run",
    "common/protocols": "Every infection run under every protocol, on the same test images",
}
ONE_TRAINING = (
    "One training per run (see `seeds`): the interval is over test images, not over repetitions of the training."
)
REMARKS = {
    "unetpp-b3/table-2": [
        "The paper's protocol pools pixels within batches of eight in file order and counts empty = empty as 1, so "
        "that half of its batches only tell whether healthy images stay blank. The correct protocol pools all images; "
        "the headline is the mean over COVID-19 images.",
        ONE_TRAINING,
    ],
    "unetpp-b3/table-3": [
        "Non-COVID means not annotated for COVID-19 infection, not free of opacity.",
        ONE_TRAINING,
    ],
    "unet-roi/table-3": [ONE_TRAINING],
    "unet-roi/table-4": [
        "ROI ground-truth multiplies the image with the annotated lung mask, which nobody has for a new patient; "
        "a predicted ROI is what can be deployed. The paper does not say which one it used at test.",
        ONE_TRAINING,
    ],
    "common/leakage": ["The data hold no patient identifiers: overlap of patients between splits cannot be excluded."],
    "common/overview": [ONE_TRAINING],
    "common/protocols": ["\n".join(protocol_table.definitions()), ONE_TRAINING],
}


def build(sources: Sources, name: str) -> Table:
    """The table `{system}/{name}`; ValueError names the tables that exist."""
    runs = table_inputs(name, sources.params)
    assert name in BUILDERS, f"{name}: a target without a builder"
    if name in CAPTIONS:
        heading = titles.with_deviations(sources, CAPTIONS[name], runs)
    else:
        heading = titles.title(sources, name, runs, paper_001.RUN if name == "unetpp-b3/table-1" else None)
    return Table(name, heading, BUILDERS[name](sources), REMARKS.get(name, []))


def table(name: str, params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`.csv and `out`.md; what was not measured stays empty with the reason."""
    write(build(Sources(params, data, results), name), out)
