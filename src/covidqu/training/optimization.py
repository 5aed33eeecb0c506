"""What is trained, how fast: frozen parts, one rate per group of parameters, the schedule."""

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from covidqu.config.training import Run


def freeze(run: Run, model: nn.Module) -> list[nn.Module]:
    """Fix the weights of the parts named in `run.freeze` and return these parts."""
    parts = [part(model, name, "freeze") for name in run.freeze]
    for module in parts:
        module.requires_grad_(False)
    return parts


def optimization(run: Run, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
    """Optimiser of the trainable parameters, and its schedule (None for a constant rate or no epochs)."""
    kind = torch.optim.AdamW if run.optimizer.kind == "adamw" else torch.optim.Adam
    optimizer = kind(parameter_groups(run, model), **run.optimizer.model_dump(exclude={"kind"}), fused=True)
    if run.schedule.kind == "constant" or not run.epochs:
        return optimizer, None
    warmup = run.schedule.warmup
    cosine = CosineAnnealingLR(optimizer, T_max=run.epochs - warmup, eta_min=run.schedule.lr_min)
    if not warmup:
        return optimizer, cosine
    rising = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return optimizer, SequentialLR(optimizer, [rising, cosine], milestones=[warmup])


def parameter_groups(run: Run, model: nn.Module) -> list[dict[str, Any]]:
    """Trainable parameters in groups of one rate: the longest name in `run.rates` that a parameter's begins with.

    ValueError for a name that is no part of the model.
    """
    for name in run.rates.keys() - {"others"}:
        part(model, name, f"rates.{name}")
    groups: dict[float, list[nn.Parameter]] = {run.rates.get("others", 1.0): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            owners = [owner for owner in run.rates if name.startswith(f"{owner}.")]
            factor = run.rates.get(max(owners, key=len) if owners else "others", 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": p, "lr": run.optimizer.lr * factor} for factor, p in groups.items() if p]


def part(model: nn.Module, name: str, where: str) -> nn.Module:
    """A part by its dotted name; ValueError lists the model's parts."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        names = ", ".join(name for name, _ in model.named_children())
        raise ValueError(f"{where}: the model has no part '{name}'; its parts are: {names}, and their parts") from None
