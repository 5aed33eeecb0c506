"""Step `tables`: each table as CSV and Markdown.

Enters: the data folder (index, audit, splits) and the results folder (scores, cards, histories, explained runs,
architectures, baselines); leaves: a .csv and an .md per table. `build` gives the same table to the comparison, so that
numbers cannot differ between the two. A module with tables of its own lists them in a dict `TABLES`.
"""

from collections.abc import Callable
from pathlib import Path

from covidqu.config.params import Params
from covidqu.report import remarks
from covidqu.report.arithmetic import consistency, printed_gap
from covidqu.report.core import references, targets, titles
from covidqu.report.core.catalogue import CBAM, WITH_REFERENCES
from covidqu.report.core.cells import Cell, Table, write
from covidqu.report.core.sources import Sources
from covidqu.report.papers import data_tables, paper_000, paper_001, paper_002, paper_003, paper_004, param_counts
from covidqu.report.systems import (
    ablations,
    audits,
    batch_order,
    boundary_table,
    budget,
    calibration_table,
    cost_table,
    cross_system,
    detection,
    leakage,
    overview,
    pairwise,
    protocol_table,
    rank_stability,
    reference_table,
    severity_table,
    subgroups,
    worst_cases,
)

BUILDERS: dict[str, Callable[[Sources], list[Cell]]] = {
    "swin-dual/table-1": lambda s: data_tables.split_by_class(s, "swin-dual/table-1", "lung"),
    "swin-dual/table-2": lambda s: data_tables.split_by_class(s, "swin-dual/table-2", "infection"),
    "swin-dual/table-3": lambda s: data_tables.two_subsets(s, "swin-dual/table-3"),
    **paper_000.TABLES,
    "unetpp-b3/data": lambda s: data_tables.test_images(s, "unetpp-b3/data"),
    "unetpp-b3/table-1": paper_001.hyper_parameters,
    "unetpp-b3/table-2": paper_001.overall,
    "unetpp-b3/table-3": paper_001.by_category,
    "unetpp-b3/text": paper_001.dynamics,
    "unet-roi/table-1": lambda s: data_tables.class_by_split(s, "unet-roi/table-1", "lung"),
    "unet-roi/table-2": lambda s: data_tables.class_by_split(s, "unet-roi/table-2", "infection"),
    "unet-roi/table-3": paper_002.lung,
    "unet-roi/table-4": paper_002.infection,
    **paper_003.TABLES,
    **paper_004.TABLES,
    **param_counts.TABLES,
    **cost_table.TABLES,
    **budget.TABLES,
    **consistency.TABLES,
    **printed_gap.TABLES,
    **cross_system.TABLES,
    **reference_table.TABLES,
    **pairwise.TABLES,
    **detection.TABLES,
    **rank_stability.TABLES,
    **batch_order.TABLES,
    **severity_table.TABLES,
    **calibration_table.TABLES,
    **subgroups.TABLES,
    **boundary_table.TABLES,
    **worst_cases.TABLES,
    **ablations.TABLES,
    **audits.TABLES,
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
    "common/cross-system": "The five systems and ours on the same test images of the infection subset",
    "common/references": "What to expect without a network, and from a second annotation, on the same test images",
    "common/pairwise": "Every pair of the systems' headline runs on the same test images, with paired tests",
    "common/detection": "Images called infected by how much of them the infection mask marks",
    "common/rank-stability": "How sure the order of the systems by Dice is, with other images and other seeds",
    "common/batch-order": "The mean over batches (paper 001) in file order and in other orders of the same images",
    "common/severity": "Infected share of the lung, predicted against annotated",
    "common/calibration": "Do the probabilities of class heads and infection masks mean what they say?",
    "common/subgroups": "The headline runs by infected area, class and near-duplicates",
    "common/boundary": "Distances between predicted and annotated outlines of infection, COVID-19 images",
    "common/ablations": "What each part of the reference system brings, on validation images",
    "common/worst-cases": "The COVID-19 test images that our system marks worst, chosen by score",
    "common/printed-gap": "What printed pairs of Dice and IoU say of their averages; arithmetic, nothing measured",
    "common/cost": "What each run costs, beside its infection Dice",
    "common/budget": "Infection Dice on validation images after each epoch, beside the cost of training until then",
    "common/param-counts": "Parameters of each network, as configured and with the paper's settings",
    "common/published-consistency": "Do the printed numbers fit each other? Arithmetic on the papers, nothing measured",
    "audit/000-mask-channel": "Does the class head of paper 000 read masks, or what is hidden in them?",
    "audit/000-false-infection": "Infection that paper 000's network paints on images without annotated infection",
    "audit/002-roi-source": "Paper 002 with an annotated and with a predicted region of interest",
    "audit/004-skip-reconstruction": "Paper 004 with and without skip connections into the reconstruction",
}
SETTINGS = {"unetpp-b3/table-1": paper_001.RUN, "cbam-mtl/table-5": CBAM}  # tables that show the settings of a run


def build(sources: Sources, name: str, *, with_references: bool = True) -> Table:
    """The table `{system}/{name}`, with its reference rows or without; ValueError names the tables that exist."""
    runs = targets.table_inputs(name, sources.params)
    assert name in BUILDERS, f"{name}: a target without a builder"
    if name in CAPTIONS:
        heading = titles.with_deviations(sources, CAPTIONS[name], runs)
    else:
        heading = titles.title(sources, name, runs, SETTINGS.get(name))
    cells, words = sources.once(BUILDERS[name]), remarks.REMARKS.get(name, [])
    if with_references and name in WITH_REFERENCES:
        cells, words = [*cells, *references.beside(sources, name, BUILDERS[name])], [*words, references.REMARK]
    return Table(name, heading, cells, words)


def tables(names: list[str], params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`/{name}.csv and .md of the named tables, or of all; what was not measured is empty with the reason."""
    sources = Sources(params, data, results)
    for name in names or targets.tables(params):
        write(build(sources, name), out / name)
