"""What tables and figures there are, and what each shows: names only, for `targets`. Imports nothing heavy.

Lists hold base runs; their repetitions with other seeds follow from the parameters.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """Where a table's reference rows stand: `gives` of the baselines that are shown, the runs whose place they take.

    `one_row`: rows are runs, so that a reference is one row; else it has each row of the runs.
    """

    gives: tuple[str, ...]
    runs: tuple[str, ...]
    one_row: bool = False


SWIN = ("swin-dual-lung", "swin-dual-infection")
UNET_ROI = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted")
CBAM = "cbam-mtl-unet-proposed"
CBAM_PAIR = ("cbam-mtl-unet-pre", CBAM)
CBAM_NETS = tuple(f"cbam-mtl-{net}-{kind}" for kind in ("simple", "proposed") for net in ("unet", "unetpp", "resunet"))
RECON = "recon-mtl-t123"
RECON_CLASS = ("recon-mtl-t13", "recon-mtl-t23", RECON, "recon-mtl-cnn8")
RECON_ALL = ("recon-mtl-t12", *RECON_CLASS, "recon-mtl-t123-512", "recon-mtl-unet", "recon-mtl-unet-512")
OURS = "reference"
HEADLINES = ("swin-dual-infection", "unetpp-b3", *UNET_ROI, CBAM, RECON, OURS)  # one or two runs of each system
RANKS, DETECTION, ORDERS = "common/rank-stability", "common/detection", "common/batch-order"  # tables
# tables that show one seed of a run that is repeated
ONE_SEED = tuple(
    f"common/{name}" for name in ("pairwise", "detection", "severity", "subgroups", "boundary", "worst-cases")
)

STATIC_TABLES = {  # name: runs that the table reports on
    "swin-dual/table-1": (),
    "swin-dual/table-2": (),
    "swin-dual/table-3": (),
    "swin-dual/table-params": (),
    "swin-dual/table-4": SWIN[:1],
    "swin-dual/table-5": SWIN[1:],
    "swin-dual/text": SWIN,
    "unetpp-b3/data": (),
    "unetpp-b3/table-1": (),
    "unetpp-b3/table-2": ("unetpp-b3",),
    "unetpp-b3/table-3": ("unetpp-b3",),
    "unetpp-b3/text": ("unetpp-b3",),
    "unet-roi/table-1": (),
    "unet-roi/table-2": (),
    "unet-roi/table-3": UNET_ROI[:1],
    "unet-roi/table-4": UNET_ROI[1:],
    "cbam-mtl/table-1": (),
    "cbam-mtl/table-2": (),
    "cbam-mtl/table-3": CBAM_PAIR,
    "cbam-mtl/table-4": CBAM_PAIR,
    "cbam-mtl/table-5": (),
    "cbam-mtl/table-6": (CBAM,),
    "cbam-mtl/table-7": (CBAM,),
    "cbam-mtl/table-8": CBAM_NETS,
    "cbam-mtl/table-9": CBAM_NETS,
    "cbam-mtl/text": CBAM_PAIR,
    "recon-mtl/table-1": (),
    "recon-mtl/table-2": RECON_ALL,
    "recon-mtl/text": (RECON,),
    "common/data": (),
    "common/overview": (*UNET_ROI, "unetpp-b3", *SWIN, CBAM, RECON, OURS),
    "common/cross-system": HEADLINES,
    **dict.fromkeys(ONE_SEED, HEADLINES),
    RANKS: HEADLINES,
    "common/references": (),
    "common/cost": (),
    "common/budget": (),
    "common/param-counts": (),
    "common/published-consistency": (),
    "common/printed-gap": (),
    "audit/000-mask-channel": SWIN,
    "audit/000-false-infection": SWIN[1:],
    "audit/002-roi-source": UNET_ROI[1:],
    "audit/004-skip-reconstruction": (RECON, "recon-mtl-t123-no-skips"),
}
STATIC_FIGURES = {  # name: suffix of the file, runs without which there is no figure
    "unetpp-b3/figure-1": ("svg", ()),
    "unetpp-b3/figure-2": ("png", ()),
    "unetpp-b3/architecture": ("svg", ("unetpp-b3",)),
    "unet-roi/figure-1": ("png", UNET_ROI[1:]),
    "unet-roi/architecture": ("svg", UNET_ROI[1:2]),
    "swin-dual/figure-1": ("svg", SWIN[1:]),
    "swin-dual/figure-2": ("svg", SWIN[:1]),
    "swin-dual/figure-3": ("svg", SWIN[1:]),
    "swin-dual/figure-4": ("svg", SWIN[:1]),
    "swin-dual/figure-5": ("svg", SWIN[:1]),
    "swin-dual/figure-6": ("png", SWIN[:1]),
    "swin-dual/figure-7": ("svg", SWIN[1:]),
    "swin-dual/figure-8": ("svg", SWIN[1:]),
    "swin-dual/figure-9": ("png", SWIN[1:]),
    "cbam-mtl/figure-1": ("svg", (CBAM,)),
    "cbam-mtl/figure-2": ("svg", (CBAM,)),
    "cbam-mtl/figure-3": ("png", ("cbam-mtl-unet-simple", *CBAM_PAIR)),
    "cbam-mtl/figure-4": ("png", (CBAM,)),
    "recon-mtl/figure-3": ("svg", ()),
    "recon-mtl/figure-4": ("svg", (RECON,)),
    "recon-mtl/figure-5": ("svg", RECON_CLASS),
    "recon-mtl/figure-6": ("png", (RECON, "recon-mtl-unet")),
    "reference/architecture": ("svg", (OURS,)),
    "common/bland-altman": ("svg", HEADLINES),
    "common/reliability": ("svg", HEADLINES),
    "common/dice-by-area": ("svg", HEADLINES),
    "common/cost": ("svg", HEADLINES),
    "common/budget": ("svg", HEADLINES),
    "common/worst-cases": ("png", (OURS,)),
}
WITH_DATA = (
    *("swin-dual/table-1", "swin-dual/table-2", "swin-dual/table-3", "unetpp-b3/data", "unetpp-b3/text"),
    *("unet-roi/table-1", "unet-roi/table-2", "cbam-mtl/table-2", "recon-mtl/table-1", "common/data"),
    *("common/leakage", "common/references", "unetpp-b3/figure-1", "unetpp-b3/figure-2", "unet-roi/figure-1"),
    *("recon-mtl/figure-3", "common/worst-cases", RANKS),
    *("swin-dual/figure-6", "swin-dual/figure-9", "cbam-mtl/figure-3", "cbam-mtl/figure-4", "recon-mtl/figure-6"),
)
WITH_IMAGES = (
    "swin-dual/table-3",
    *(name for name, (suffix, _) in STATIC_FIGURES.items() if suffix == "png"),
)
# images, and what is not predicted
WITHOUT_PREDICTIONS = ("swin-dual/table-3", "unetpp-b3/figure-2", "cbam-mtl/figure-4")
WITH_PREDICTIONS = tuple(name for name in WITH_IMAGES if name not in WITHOUT_PREDICTIONS)
WITH_ARCHITECTURES = (
    *("swin-dual/table-params", "common/param-counts", "unetpp-b3/architecture", "unet-roi/architecture"),
    *("swin-dual/figure-1", "cbam-mtl/figure-1", "recon-mtl/figure-4", "reference/architecture"),
)
ONLY_ARCHITECTURES = WITH_ARCHITECTURES[2:]  # figures that read nothing of a run
WITH_EXPLAIN = ("audit/000-mask-channel", "cbam-mtl/figure-4")
WITH_CAMS = ("cbam-mtl/figure-4",)
ABLATIONS = "common/ablations"  # table and figure, on Val images
COST, BUDGET = "common/cost", "common/budget"  # tables and figures
MASK, CLASS = "infection", "class"
WITH_REFERENCES = {
    "swin-dual/table-4": Place((CLASS,), SWIN[:1]),
    "swin-dual/table-5": Place((MASK, CLASS), SWIN[1:]),
    "swin-dual/text": Place((MASK, CLASS), SWIN),
    "unetpp-b3/table-2": Place((MASK,), ("unetpp-b3",)),
    "unetpp-b3/table-3": Place((MASK,), ("unetpp-b3",)),
    "unet-roi/table-4": Place((MASK,), UNET_ROI[1:2]),
    **{f"cbam-mtl/table-{number}": Place((MASK,), (CBAM,), one_row=True) for number in (3, 6, 8)},
    **{f"cbam-mtl/table-{number}": Place((CLASS,), (CBAM,), one_row=True) for number in (4, 7, 9)},
    "recon-mtl/table-2": Place((MASK, CLASS), (RECON,), one_row=True),
    "recon-mtl/text": Place((CLASS,), (RECON,)),
    "common/cross-system": Place((MASK, CLASS), (RECON,), one_row=True),
}
