"""Devices, precision and seeds of a training process, decided once and the same way on every machine."""

import os
import random
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import Logger, TensorBoardLogger
from lightning_fabric.plugins.environments import LightningEnvironment

from covidqu.config.machine import Machine
from covidqu.config.training import Run
from covidqu.cores import cores
from covidqu.gpus import take
from covidqu.training.memory import keep_freed_memory


def launch(run: Run, machine: Machine, live: Path | None = None) -> Fabric:
    """Devices, precision and logger; started once per process. `live`: folder of the logger that `machine` names."""
    on_gpu = check_devices(run)
    if run.threads:
        torch.set_num_threads(run.threads)
    if run.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # costs a tenth; nothing here reads such memory
    if not on_gpu:
        keep_freed_memory()
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=take(run.devices) if on_gpu else run.devices,
        strategy="ddp" if run.devices > 1 else "auto",
        precision=run.precision,
        loggers=watched(machine, live),
        plugins=[LightningEnvironment()],  # not that of a scheduler: there, `devices: 2` was one process that said two
    )
    fabric.launch()
    return fabric


def check_devices(run: Run) -> bool:
    """Whether the run trains on a GPU of this machine. ValueError for devices or a precision that it lacks."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if run.accelerator == "cuda" and not there:
        raise ValueError("accelerator: cuda is asked for and there is none; set `accelerator: auto` or cpu")
    on_gpu = run.accelerator != "cpu" and there > 0
    if on_gpu and run.devices > there:
        raise ValueError(f"devices: {run.devices} GPUs are asked for, {there} are there; set devices: {there}")
    if not on_gpu and run.precision == "16-mixed":
        raise ValueError("precision: 16-mixed needs a GPU; set bf16-mixed or 32-true")
    if on_gpu and run.precision == "bf16-mixed" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError("precision: bf16-mixed, which this GPU lacks; set 16-mixed or 32-true")
    return on_gpu


def watched(machine: Machine, live: Path | None) -> list[Logger]:
    """The logger that `machine` names; ValueError where its package is missing."""
    if machine.logger is None or live is None:
        return []
    try:
        return [TensorBoardLogger(live.parent, live.name, version="")]
    except ModuleNotFoundError:
        raise ValueError("machine.logger: tensorboard is not installed; uv sync --extra tensorboard") from None


def worker_processes(machine: Machine, fabric: Fabric) -> int:
    """How many processes prepare batches for this one."""
    if machine.workers is not None:
        return machine.workers
    return min(16, max(cores() // fabric.world_size - 1, 1)) if fabric.device.type == "cuda" else 0


def seed_all(seed: int, epoch: int, rank: int) -> None:
    """Seed Python, NumPy and torch for one epoch of one process: order of weights, dropout."""
    drawn = [int(s) for s in np.random.SeedSequence([seed, epoch, rank]).generate_state(3)]
    random.seed(drawn[0])
    np.random.seed(drawn[1])
    torch.manual_seed(drawn[2])
