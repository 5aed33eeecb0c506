"""Which runs tables and figures show: names of base runs, and sets of runs that follow from the parameters.

Imports nothing heavy. Repetitions of a run with other seeds follow from the parameters, too (`Params.seeds`).
"""

from covidqu.config.params import Params

SWIN = ("swin-dual-lung", "swin-dual-infection")
UNETPP = "unetpp-b3"
UNET_ROI = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted")
CBAM = "cbam-mtl-unet-proposed"
CBAM_PAIR = ("cbam-mtl-unet-pre", CBAM)
CBAM_NETS = tuple(f"cbam-mtl-{net}-{kind}" for kind in ("simple", "proposed") for net in ("unet", "unetpp", "resunet"))
RECON = "recon-mtl-t123"
RECON_CLASS = ("recon-mtl-t13", "recon-mtl-t23", RECON, "recon-mtl-cnn8")
RECON_ALL = ("recon-mtl-t12", *RECON_CLASS, "recon-mtl-t123-512", "recon-mtl-unet", "recon-mtl-unet-512")
OURS = "reference"
HEADLINES = (SWIN[1], UNETPP, *UNET_ROI, CBAM, RECON, OURS)  # one or two runs of each system


def base_runs(params: Params) -> list[str]:
    """All runs, of those that are repeated with other seeds the first."""
    return params.base_runs


def with_infection(params: Params) -> list[str]:
    """Base runs with an infection mask."""
    return [run for run in params.base_runs if "infection" in params.run(run).tasks]


def trained_on_infection(params: Params) -> list[str]:
    """Base runs with an infection mask that were trained at all."""
    return [run for run in with_infection(params) if params.run(run).epochs]


def calibrated(params: Params) -> list[str]:
    """Base runs that give probabilities of classes or of infection."""
    return [run for run in params.base_runs if {"class", "infection"} & set(params.run(run).tasks)]


def ablated(params: Params) -> list[str]:
    """The runs that ablations compare."""
    return params.ablated


def lineage(params: Params, names: list[str]) -> list[str]:
    """The runs and all runs whose weights or lung masks they build on, in the order of `params.resolved`."""
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        waiting += [parent for parent in (params.run(name).init, params.run(name).roi) if parent in params.resolved]
    return [name for name in params.resolved if name in wanted]
