"""Losses from logits and 0/1 targets, written by hand: the library's Dice returns 0 on an all-empty target.

And their running means over an epoch, with the hard Dice of each task.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from covidqu.config.training import Bce, Dice, LossTerm


def dice_loss(logits: Tensor, target: Tensor, smooth: float) -> Tensor:
    """1 - (2 I + smooth) / (P + G + smooth), sums over the whole batch; (B, 1, H, W) -> scalar.

    Batch-pooled, so an empty target is penalised through the other images' sums and, alone, through P.
    """
    probability = logits.sigmoid()
    intersection = (probability * target).sum()
    total = probability.sum() + target.sum()
    return 1 - (2 * intersection + smooth) / (total + smooth).clamp_min(1e-12)


def bce_loss(logits: Tensor, target: Tensor, pos_weight: float) -> Tensor:
    """Mean over all pixels of the binary cross-entropy; foreground weighted by `pos_weight`."""
    weight = None if pos_weight == 1 else torch.tensor(pos_weight, device=logits.device, dtype=logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)


def task_loss(terms: list[LossTerm], logits: Tensor, target: Tensor, pos_weight: float) -> Tensor:
    """Weighted sum of one task's terms, in float32 whatever the precision of the forward pass.

    `pos_weight`: the ratio of the training pixels, used by terms that say `pos_weight: train`.
    """
    logits, target = logits.float(), target.float()
    total = logits.new_zeros(())
    for term in terms:
        match term:
            case Bce():
                ratio = pos_weight if term.pos_weight == "train" else float(term.pos_weight)
                total = total + term.weight * bce_loss(logits, target, ratio)
            case Dice():
                total = total + term.weight * dice_loss(logits, target, term.smooth)
    return total


def total_loss(
    loss: dict[Any, list[LossTerm]], logits: dict[str, Tensor], targets: dict[str, Tensor], ratios: dict[str, float]
) -> Tensor:
    """Sum over tasks; every dict is keyed by task."""
    return torch.stack([task_loss(loss[t], logits[t], targets[t], ratios[t]) for t in loss]).sum()


def hard_dice(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over images with foreground of 2 I / (P + G) at logit > 0, and their number; (B, 1, H, W) -> scalars."""
    positive, truth = logits.flatten(1) > 0, target.flatten(1) > 0
    area = truth.sum(1)
    dice = 2 * (positive & truth).sum(1) / (positive.sum(1) + area).clamp_min(1)
    present = area > 0
    return dice[present].sum().double(), present.sum().double()


class Sums:
    """Running sums on the device (no synchronisation per step), added over processes at the end."""

    def __init__(self, tasks: tuple[str, ...], device: torch.device) -> None:
        self.tasks = tasks
        self.values = torch.zeros(2 + 2 * len(tasks), dtype=torch.float64, device=device)

    def add(self, loss: Tensor, logits: dict[str, Tensor], targets: dict[str, Tensor]) -> None:
        with torch.no_grad():
            pairs = [value for task in self.tasks for value in hard_dice(logits[task], targets[task])]
            self.values += torch.stack([loss.double(), torch.ones_like(pairs[0]), *pairs])

    def result(self, fabric: Fabric, prefix: str, where: str) -> dict[str, float]:
        loss, count, *pairs = fabric.all_reduce(self.values, reduce_op="sum").tolist()
        if not np.isfinite(loss):
            raise ValueError(f"{where}: the {prefix} loss is not finite; lower optimizer.lr or set precision: 32-true")
        dice = {
            f"{prefix}_{task}_dice": pairs[2 * i] / pairs[2 * i + 1] if pairs[2 * i + 1] else 0.0
            for i, task in enumerate(self.tasks)
        }
        return {f"{prefix}_loss": loss / count, **dice}
