"""Before the first job: can this machine train these runs? Nothing is read, trained or written.

Settings that need no network are checked when they are loaded; here are the device, its precision, and what only a
network can tell, built without values: its encoder, its sides, the parts that `freeze` and `rates` name.
"""

import torch

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.errors import first_line
from covidqu.systems.base import build
from covidqu.training.launch import check_devices
from covidqu.training.optimization import freeze, parameter_groups


def ready(params: Params, names: list[str]) -> None:
    """ValueError with one line for each of the runs `names` (none: all) that cannot be trained here, ten at most."""
    faults, seen = [], set[str]()
    for name in names or params.resolved:
        run = params.run(name)
        same = run.model_copy(update={"seed": 0}).model_dump_json()
        if same not in seen:
            seen.add(same)
            try:
                check_devices(run)
                learns(run)
            except Exception as error:  # whatever a library says of a network that cannot be
                faults.append(f"runs.{name}: {first_line(error)}")
    if faults:
        more = [f"and {len(faults) - 9} more runs"] if len(faults) > 10 else []
        raise ValueError("\n".join([*faults[: 9 if more else 10], *more]))


def learns(run: Run) -> None:
    """Build the network without values, let it see a batch, group its parameters. ValueError names the key."""
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
