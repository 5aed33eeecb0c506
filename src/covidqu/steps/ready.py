"""Before the first job: can this machine train these runs? Nothing is read, trained or written.

Settings that need no network are checked when they are loaded; here are the device, its precision, and what only a
network can tell, built without values: its encoder, the parts that `freeze` and `rates` name. PyTorch takes seconds to
start, and is left out where there is nothing to ask it.
"""

from pathlib import Path

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.errors import first_line

DEVICES = ("nvidia[0-9]*", "kfd", "dxg")  # files in /dev of a GPU: NVIDIA's, AMD's, and inside Windows


def ready(params: Params, names: list[str]) -> None:
    """ValueError with one line for each of the runs `names` (none: all) that cannot be trained here, ten at most."""
    faults, seen = [], set[str]()
    for name in names or params.resolved:
        run = params.run(name)
        same = run.model_copy(update={"seed": 0}).model_dump_json()
        if same not in seen:
            seen.add(same)
            try:
                if wants_device(run):
                    from covidqu.training.launch import check_devices

                    check_devices(run)
                if wants_network(run):
                    learns(run)
            except Exception as error:  # whatever a library says of a network that cannot be
                faults.append(f"runs.{name}: {first_line(error)}")
    if faults:
        more = [f"and {len(faults) - 9} more runs"] if len(faults) > 10 else []
        raise ValueError("\n".join([*faults[: 9 if more else 10], *more]))


def wants_device(run: Run) -> bool:
    """Whether a device may lack what the run asks for: a GPU, or a precision that only GPUs have."""
    return run.accelerator == "cuda" or run.precision == "16-mixed" or (run.accelerator == "auto" and gpu_may_be_here())


def gpu_may_be_here() -> bool:
    """Whether the system shows a GPU; PyTorch may still not be able to use it."""
    return any(any(Path("/dev").glob(name)) for name in DEVICES)


def wants_network(run: Run) -> bool:
    """Whether settings can be wrong in a way that only the built network shows."""
    return bool(run.freeze or run.rates) or getattr(run.model, "encoder", "").startswith("tu-")


def learns(run: Run) -> None:
    """Build the network without values, let it see a batch, group its parameters. ValueError names the key."""
    import torch

    from covidqu.systems.base import build
    from covidqu.training.optimization import freeze, parameter_groups

    with torch.device("meta"):
        try:
            network = build(run.model, run.tasks, run.image_px).train()
            network(torch.empty(2, network.channels, run.image_px, run.image_px))
        except Exception as error:
            raise ValueError(f"model: no network can be made of {run.model!r} ({first_line(error)})") from error
    freeze(run, network)
    if run.epochs:
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise ValueError("freeze: leaves nothing to train; name fewer parts, or set epochs: 0")
        parameter_groups(run, network)
