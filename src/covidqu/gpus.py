"""A GPU each: processes of this project that share a host take different ones, whoever started them."""

import fcntl
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import torch

OF_FIRST = "COVIDQU_GPUS"  # what the first process of a training took, for those that it starts
held: dict[int, TextIO] = {}  # number -> lock; it lasts as long as the process, also one that is killed


def visible() -> list[str]:
    """Names of the GPUs that this process may use, the same in all processes of the host, whatever their numbers."""
    import torch

    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]


def take(count: int) -> list[int]:
    """Numbers of `count` visible GPUs that no other process has taken; where too few are left, of shared ones as well.

    ValueError: there are fewer than `count`.
    """
    if "LOCAL_RANK" in os.environ:  # one of several processes of a training
        return [int(number) for number in os.environ.get(OF_FIRST, ",".join(map(str, range(count)))).split(",")]
    names = visible()
    if len(names) < count:
        raise ValueError(f"devices: {count} GPUs are asked for and {len(names)} are there; set devices: {len(names)}")
    for number, name in enumerate(names):
        if len(held) < count and number not in held and (lock := locked(name)):
            held[number] = lock
    mine = sorted(held)[:count]
    if len(mine) < count:
        mine += [number for number in range(len(names)) if number not in held][: count - len(mine)]
        print(f"GPU {mine}: shared, all {len(names)} are in use by other processes", file=sys.stderr)
    os.environ[OF_FIRST] = ",".join(map(str, mine))
    return mine


def one_device(accelerator: str) -> "torch.device":
    """The CPU, or one GPU; `accelerator` as in the settings of a run."""
    import torch

    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", take(1)[0]) if on_gpu else torch.device("cpu")


def locked(name: str) -> TextIO | None:
    """The lock of the GPU of that name; None where another process holds it."""
    path = Path(tempfile.gettempdir(), f"covidqu-{os.getuid()}-{name}.lock")
    file = path.open("w")  # left open: the lock goes with it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
