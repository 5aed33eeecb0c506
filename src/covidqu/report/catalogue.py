"""All tables and figures, one entry each, in the order of listings. Imports nothing heavy.

A new one costs an entry here and the function that makes it: of a table `function(sources) -> cells`, of a figure
`function(sources, wanted) -> matplotlib figure`. A paper's table without a function is described in the paper's file:
`measured` in `published/*.yaml`, read by `papers/measured.py`. Remarks below a table are in `remarks.yaml`.
"""

from collections.abc import Iterable
from typing import TypeVar

from covidqu.config.params import Params
from covidqu.imports import PACKAGE, ROOT, closure
from covidqu.report.core.artefacts import Artefact, Baselines, Figure, Page, Reads, Table
from covidqu.report.core.runs import (
    CBAM,
    CBAM_NETS,
    CBAM_PAIR,
    HEADLINES,
    OURS,
    RECON,
    RECON_ALL,
    RECON_CLASS,
    SWIN,
    UNET_ROI,
    UNETPP,
    ablated,
    base_runs,
    calibrated,
    with_infection,
)

Kind = TypeVar("Kind", Table, Figure)
MASK, CLASS = "infection", "class"  # what a baseline gives
DATA, IMAGES = Reads.RUNS | Reads.DATA, Reads.RUNS | Reads.DATA | Reads.IMAGES
PREDICTED = IMAGES | Reads.PREDICTIONS
AS_MASK, AS_CLASS = (Baselines((gives,), (CBAM,), one_row=True) for gives in (MASK, CLASS))
NETWORK = "drawing.architecture_figure:architecture"
LOSSES, CLASS_AND_LOSS = "drawing.curve_figures:losses", "drawing.curve_figures:class_and_loss"
MATRIX, LUNGS = "drawing.classification_figures:confusion_matrix", "drawing.mask_panels:lungs_and_classes"

ARTEFACTS: tuple[Artefact, ...] = (
    # paper 000
    Table("swin-dual/table-1", reads=DATA),
    Table("swin-dual/table-2", reads=DATA),
    Table("swin-dual/table-3", "papers.paper_000:table_3", reads=IMAGES),
    Table("swin-dual/table-params", "papers.param_counts:swin_parts", reads=Reads.ARCHITECTURES),
    Table("swin-dual/table-4", runs=SWIN[:1], baselines=Baselines((CLASS,), SWIN[:1])),
    Table("swin-dual/table-5", runs=SWIN[1:], baselines=Baselines((MASK, CLASS), SWIN[1:])),
    Table("swin-dual/text", runs=SWIN, baselines=Baselines((MASK, CLASS), SWIN)),
    Figure("swin-dual/figure-1", NETWORK, runs=SWIN[1:], reads=Reads.ARCHITECTURES, caption="architecture"),
    Figure("swin-dual/figure-2", LOSSES, runs=SWIN[:1], caption="training and validation loss, phase 1"),
    Figure("swin-dual/figure-3", LOSSES, runs=SWIN[1:], caption="training and validation loss, phase 2"),
    Figure("swin-dual/figure-4", CLASS_AND_LOSS, runs=SWIN[:1], caption="accuracy and loss, phase 1"),
    Figure("swin-dual/figure-5", MATRIX, runs=SWIN[:1], caption="confusion matrix and ROC, phase 1"),
    Figure(
        "swin-dual/figure-6", LUNGS, runs=SWIN[:1], reads=PREDICTED, caption="lungs and classes, phase 1", kind="png"
    ),
    Figure("swin-dual/figure-7", CLASS_AND_LOSS, runs=SWIN[1:], caption="accuracy and loss, phase 2"),
    Figure("swin-dual/figure-8", MATRIX, runs=SWIN[1:], caption="confusion matrix and ROC, phase 2"),
    Figure(
        "swin-dual/figure-9",
        LUNGS,
        runs=SWIN[1:],
        reads=PREDICTED,
        caption="lungs, infection and classes, phase 2",
        kind="png",
    ),
    # paper 001
    Table("unetpp-b3/data", reads=DATA),
    Table("unetpp-b3/table-1", settings=UNETPP),
    Table("unetpp-b3/table-2", runs=(UNETPP,), baselines=Baselines((MASK,), (UNETPP,))),
    Table("unetpp-b3/table-3", runs=(UNETPP,), baselines=Baselines((MASK,), (UNETPP,))),
    Table("unetpp-b3/text", "papers.paper_001:dynamics", runs=(UNETPP,), reads=DATA | Reads.VALIDATION),
    Figure(
        "unetpp-b3/figure-1",
        "drawing.data_figures:class_and_area",
        reads=DATA,
        caption="classes and infected area of the infection subset",
    ),
    Figure(
        "unetpp-b3/figure-2",
        "drawing.panels:examples",
        reads=IMAGES,
        caption="training images, COVID-19 by infected area, others by id: lung mask (blue), infection mask (yellow)",
        kind="png",
    ),
    Figure("unetpp-b3/architecture", NETWORK, runs=(UNETPP,), reads=Reads.ARCHITECTURES, caption="architecture"),
    # paper 002
    Table("unet-roi/table-1", reads=DATA),
    Table("unet-roi/table-2", reads=DATA),
    Table("unet-roi/table-3", runs=UNET_ROI[:1]),
    Table(
        "unet-roi/table-4", "papers.paper_002:infection", runs=UNET_ROI[1:], baselines=Baselines((MASK,), UNET_ROI[1:2])
    ),
    Figure(
        "unet-roi/figure-1",
        "drawing.panels:qualitative",
        runs=UNET_ROI[1:],
        reads=PREDICTED | Reads.ROI,
        caption="test images chosen by infected area, never by score: annotation (yellow), prediction (blue)",
        kind="png",
    ),
    Figure("unet-roi/architecture", NETWORK, runs=UNET_ROI[1:2], reads=Reads.ARCHITECTURES, caption="architecture"),
    # paper 003
    Table("cbam-mtl/table-1"),
    Table("cbam-mtl/table-2", "papers.paper_003:images", reads=DATA),
    Table("cbam-mtl/table-3", "papers.paper_003_masks:table_3", runs=CBAM_PAIR, baselines=AS_MASK),
    Table("cbam-mtl/table-4", runs=CBAM_PAIR, baselines=AS_CLASS),
    Table("cbam-mtl/table-5", settings=CBAM),
    Table("cbam-mtl/table-6", "papers.paper_003_masks:table_6", runs=(CBAM,), baselines=AS_MASK),
    Table("cbam-mtl/table-7", runs=(CBAM,), baselines=AS_CLASS),
    Table("cbam-mtl/table-8", "papers.paper_003_masks:table_8", runs=CBAM_NETS, baselines=AS_MASK),
    Table("cbam-mtl/table-9", runs=CBAM_NETS, baselines=AS_CLASS),
    Table("cbam-mtl/text", "papers.paper_003_pairs:tests", runs=CBAM_PAIR),
    Figure("cbam-mtl/figure-1", NETWORK, runs=(CBAM,), reads=Reads.ARCHITECTURES, caption="architecture"),
    Figure(
        "cbam-mtl/figure-2",
        MATRIX,
        runs=(CBAM,),
        caption="confusion matrix and ROC of the proposed network on chest X-rays",
    ),
    Figure(
        "cbam-mtl/figure-3",
        "drawing.mask_panels:stages",
        runs=("cbam-mtl-unet-simple", *CBAM_PAIR),
        reads=PREDICTED,
        caption="segmentation of chest X-rays by stage",
        kind="png",
    ),
    Figure(
        "cbam-mtl/figure-4",
        "drawing.cam_panels:heat_maps",
        runs=(CBAM,),
        reads=IMAGES | Reads.EXPLAIN | Reads.CAMS,
        caption="Grad-CAM on chest X-rays",
        kind="png",
    ),
    # paper 004
    Table("recon-mtl/table-1", reads=DATA),
    Table(
        "recon-mtl/table-2",
        "papers.paper_004:experiments",
        runs=RECON_ALL,
        baselines=Baselines((MASK, CLASS), (RECON,), one_row=True),
    ),
    Table("recon-mtl/text", runs=(RECON,), baselines=Baselines((CLASS,), (RECON,))),
    Table("recon-mtl/related-work"),
    Figure(
        "recon-mtl/figure-3",
        "drawing.data_figures:composition",
        reads=DATA,
        caption="images of COVID-QU-Ex by class and split, in place of the paper's CT data",
    ),
    Figure("recon-mtl/figure-4", NETWORK, runs=(RECON,), reads=Reads.ARCHITECTURES, caption="architecture"),
    Figure("recon-mtl/figure-5", "drawing.classification_figures:roc", runs=RECON_CLASS, caption="ROC on chest X-rays"),
    Figure(
        "recon-mtl/figure-6",
        "drawing.mask_panels:overlays",
        runs=(RECON, "recon-mtl-unet"),
        reads=PREDICTED,
        caption="infection and reconstruction of chest X-rays",
        kind="png",
    ),
    # ours
    Figure("reference/architecture", NETWORK, runs=(OURS,), reads=Reads.ARCHITECTURES, caption="architecture"),
    # across systems
    Table(
        "common/data",
        "systems.data:table",
        reads=DATA,
        caption="Facts of the data found by the audit",
        page=Page.OTHER,
    ),
    Table(
        "common/overview",
        "systems.overview:table",
        runs=(*UNET_ROI, UNETPP, *SWIN, CBAM, RECON, OURS),
        caption="Printed and measured, on the official test images",
        reads=Reads.RUNS | Reads.TABLES,
        page=Page.OTHER,
    ),
    Table(
        "common/cross-system",
        "systems.cross_system:table",
        runs=HEADLINES,
        caption="The five systems and ours on the same test images of the infection subset",
        baselines=Baselines((MASK, CLASS), (RECON,), one_row=True),
        ours=1,
    ),
    Table(
        "common/pairwise",
        "systems.pairwise:table",
        runs=HEADLINES,
        one_seed=True,
        caption="Every pair of the systems' headline runs on the same test images, with paired tests",
        ours=2,
    ),
    Table(
        "common/detection",
        "systems.detection:table",
        runs=HEADLINES,
        one_seed=True,
        reads=Reads.RUNS | Reads.VALIDATION,
        caption="Images called infected by how much of them the infection mask marks",
    ),
    Table(
        "common/lesions",
        "systems.lesions:table",
        runs=HEADLINES,
        one_seed=True,
        caption="Annotated infection lesion by lesion: found, missed, and marked falsely",
    ),
    Table(
        "common/clustered",
        "systems.clustered:table",
        runs=HEADLINES,
        one_seed=True,
        reads=DATA,
        caption="Intervals over images, and over groups of images that are copies of one another",
    ),
    Table(
        "common/severity",
        "systems.severity:table",
        runs=HEADLINES,
        one_seed=True,
        caption="Infected share of the lung, predicted against annotated",
        ours=3,
    ),
    Figure(
        "common/bland-altman",
        "systems.severity:bland_altman",
        runs=HEADLINES,
        caption="Infected share of the annotated lung, COVID-19 test images",
    ),
    Table(
        "common/subgroups",
        "systems.subgroups:table",
        runs=HEADLINES,
        one_seed=True,
        caption="The headline runs by infected area, class and near-duplicates",
    ),
    Figure(
        "common/dice-by-area",
        "systems.subgroups:dice_by_area",
        runs=HEADLINES,
        caption="Infection Dice by annotated area, and images with more than 1 % positive where none is annotated",
    ),
    Table(
        "common/boundary",
        "systems.boundary:table",
        runs=HEADLINES,
        one_seed=True,
        caption="Distances between predicted and annotated outlines of infection, COVID-19 images",
    ),
    Table(
        "common/worst-cases",
        "systems.worst_cases:table",
        runs=HEADLINES,
        one_seed=True,
        reads=IMAGES,
        caption="The COVID-19 test images that our system marks worst, chosen by score",
        page=Page.OURS,
        ours=2,
    ),
    Figure(
        "common/worst-cases",
        "systems.worst_cases:figure",
        runs=(OURS,),
        reads=PREDICTED,
        caption="COVID-19 test images that our system marks worst",
        page=Page.OURS,
        kind="png",
    ),
    Table(
        "common/references",
        "systems.references:table",
        reads=DATA | Reads.BASELINES,
        caption="What to expect without a network, and from a second annotation, on the same test images",
    ),
    Table(
        "common/cost",
        "systems.cost:table",
        runs=base_runs,
        reads=Reads.RUNS | Reads.COST,
        caption="What each run costs, beside its infection Dice",
        ours=5,
    ),
    Figure(
        "common/cost",
        "systems.cost_figure:figure",
        runs=with_infection,
        needs=HEADLINES,
        reads=Reads.RUNS | Reads.COST,
        caption="Infection Dice against what it costs",
    ),
    Table(
        "common/param-counts",
        "papers.param_counts:all_runs",
        reads=Reads.ARCHITECTURES,
        caption="Parameters of each network, as configured and with the paper's settings",
    ),
    Table(
        "common/stated-settings",
        "systems.stated:table",
        runs=base_runs,
        reads=Reads.HISTORY,
        caption="What the papers state of their settings, beside ours",
    ),
    Table(
        "common/published-consistency",
        "arithmetic.consistency:table",
        caption="Do the printed numbers fit each other? Arithmetic on the papers, nothing measured",
    ),
    Table(
        "common/printed-gap",
        "arithmetic.printed_gap:table",
        caption="What printed pairs of Dice and IoU say of their averages; arithmetic, nothing measured",
    ),
    Table(
        "audit/000-mask-channel",
        "systems.audits:mask_channel",
        runs=SWIN,
        reads=Reads.RUNS | Reads.EXPLAIN,
        caption="Does the class head of paper 000 read masks, or what is hidden in them?",
    ),
    Table(
        "audit/000-false-infection",
        "systems.audits:invented_infection",
        runs=SWIN[1:],
        caption="Infection that paper 000's network marks on images without annotated infection",
    ),
    Table(
        "audit/002-roi-source",
        "systems.audits:roi_source",
        runs=UNET_ROI[1:],
        caption="Paper 002 with an annotated and with a predicted region of interest",
    ),
    Table(
        "audit/004-skip-reconstruction",
        "systems.audits:skips",
        runs=(RECON, f"{RECON}-no-skips"),
        caption="Paper 004 with and without skip connections into the reconstruction",
    ),
    Table(
        "common/leakage",
        "systems.leakage:table",
        runs=base_runs,
        reads=DATA,
        caption="Duplicates across splits, and what they are worth to each run",
        page=Page.OTHER,
    ),
    Table(
        "common/protocols",
        "systems.protocols:table",
        runs=with_infection,
        caption="Every infection run under every protocol, on the same test images",
    ),
    Table(
        "common/batch-order",
        "systems.batch_order:table",
        runs=with_infection,
        caption="The mean over batches (paper 001) in file order and in other orders of the same images",
    ),
    Table(
        "common/calibration",
        "systems.calibration:table",
        runs=calibrated,
        caption="Do the probabilities of class heads and infection masks mean what they say?",
        ours=4,
    ),
    Figure(
        "common/reliability",
        "systems.calibration:figure",
        runs=HEADLINES,
        caption="Calibration of class heads and of infection masks, test images",
    ),
    Table(
        "common/ablations",
        "systems.ablations:table",
        runs=ablated,
        reads=Reads.RUNS | Reads.VALIDATION,
        caption="What each part of the reference system brings, on validation images",
        page=Page.OURS,
        ours=1,
    ),
    Figure(
        "common/ablations",
        "systems.ablations:figure",
        runs=ablated,
        reads=Reads.RUNS | Reads.VALIDATION,
        caption="What each part of the reference system brings, on validation images",
        page=Page.OURS,
    ),
)


def tables(params: Params) -> dict[str, Table]:
    """All tables by name."""
    return {one.name: one for one in ARTEFACTS if isinstance(one, Table) and one.made(params)}


def table(name: str, params: Params) -> Table:
    """The table of that name; ValueError names the tables that exist."""
    return _one(tables(params), name, "table")


def figures(params: Params) -> dict[str, Figure]:
    """All figures by name, the training curves of every trained base run as well."""
    found = {one.name: one for one in ARTEFACTS if isinstance(one, Figure) and one.made(params)}
    trained = [run for run in params.base_runs if params.run(run).epochs > 0]
    return found | {one.name: one for one in (curves(params, run) for run in trained)}


def figure(name: str, params: Params) -> Figure:
    """The figure of that name; ValueError names the figures that exist."""
    return _one(figures(params), name, "figure")


def curves(params: Params, run: str) -> Figure:
    """The training curves of a run: `{system}/curves-{run}`."""
    name = f"{params.run(run).model.system.replace('_', '-')}/curves-{run}"
    return Figure(name, "drawing.curve_figures:curves", runs=(run,), reads=Reads.HISTORY, caption=f"training of {run}")


def validated(params: Params) -> list[str]:
    """Runs whose Val images are scored, too: those of which a table or figure reads them."""
    return list(dict.fromkeys(run for one in ARTEFACTS for run in one.validated(params)))


def code(artefacts: Iterable[Artefact]) -> list[str]:
    """Files behind tables and figures, relative to the repository's root: no import names what makes them."""
    chosen = list(artefacts)
    if any(Reads.TABLES in one.reads for one in chosen):
        chosen += [one for one in ARTEFACTS if isinstance(one, Table)]
    files = closure(*{one.module for one in chosen})
    return [f"src/{ROOT}/{file.relative_to(PACKAGE).as_posix()}" for file in files]


def _one(known: dict[str, Kind], name: str, what: str) -> Kind:
    if name not in known:
        raise ValueError(f"no {what} is called '{name}'; {what}s are: {', '.join(known)}")
    return known[name]
