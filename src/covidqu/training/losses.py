"""Losses from network outputs and targets; Dice by hand: the library's returns 0 on an all-empty target.

And their running means over an epoch, with one measure per task: hard Dice, accuracy, mean squared error.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from covidqu.config.training import Bce, CrossEntropy, Dice, LossTerm, Mse
from covidqu.data.batches import LABELS

MEASURES = {"lung": "dice", "infection": "dice", "class": "accuracy", "reconstruction": "mse"}


def dice_loss(logits: Tensor, target: Tensor, smooth: float) -> Tensor:
    """1 - (2 I + smooth) / (P + G + smooth), sums over the whole batch; (B, 1, H, W) -> scalar.

    Batch-pooled, so an empty target is penalised through the other images' sums and, alone, through P.
    """
    probability = logits.sigmoid()
    intersection = (probability * target).sum()
    total = probability.sum() + target.sum()
    return 1 - (2 * intersection + smooth) / (total + smooth).clamp_min(1e-12)


def bce_loss(logits: Tensor, target: Tensor, pos_weight: float, counted: Tensor | None = None) -> Tensor:
    """Mean over all pixels of the binary cross-entropy; foreground weighted by `pos_weight`.

    `counted` (B,) bool: the other images count 0, in a mean that still divides by all pixels.
    """
    weight = None if pos_weight == 1 else torch.tensor(pos_weight, device=logits.device, dtype=logits.dtype)
    if counted is None:
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
    pixels = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none")
    return (pixels.flatten(1).mean(1) * counted).mean()


def class_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy; logits (B, K), target (B,) class indices; with K = 1 the logit is that of class 1."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.to(logits.dtype))
    return F.cross_entropy(logits, target)


def task_loss(
    terms: list[LossTerm], logits: Tensor, target: Tensor, pos_weight: float = 1.0, label: Tensor | None = None
) -> Tensor:
    """Weighted sum of one task's terms, in float32 whatever the precision of the forward pass.

    `pos_weight`: the ratio of the training pixels, used by terms that say `pos_weight: train`; `label` (B,): index of
    `LABELS`, for terms of one class only.
    """
    logits = logits.float()
    total = logits.new_zeros(())
    for term in terms:
        counted = None
        if getattr(term, "only", None):
            assert label is not None, "a term of one class needs the labels"
            counted = label == LABELS.index(term.only)
        match term:
            case Bce():
                ratio = pos_weight if term.pos_weight == "train" else float(term.pos_weight)
                total = total + term.weight * bce_loss(logits, target.float(), ratio, counted)
            case Dice() if counted is None:
                total = total + term.weight * dice_loss(logits, target.float(), term.smooth)
            case Dice():  # a batch without such an image adds 0, still connected to the graph
                of_class = dice_loss(logits[counted], target[counted].float(), term.smooth)
                total = total + term.weight * (of_class if counted.any() else 0 * logits.sum())
            case CrossEntropy():
                total = total + term.weight * class_loss(logits, target)
            case Mse():
                total = total + term.weight * F.mse_loss(logits, target.float())
    return total


def total_loss(
    loss: dict[Any, list[LossTerm]],
    logits: dict[str, Tensor],
    targets: dict[str, Tensor],
    ratios: dict[str, float],
    label: Tensor | None = None,
) -> Tensor:
    """Sum over tasks; every dict is keyed by task."""
    return torch.stack([task_loss(loss[t], logits[t], targets[t], ratios.get(t, 1.0), label) for t in loss]).sum()


def hard_dice(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over images with foreground of 2 I / (P + G) at logit > 0, and their number; (B, 1, H, W) -> scalars."""
    positive, truth = logits.flatten(1) > 0, target.flatten(1) > 0
    area = truth.sum(1)
    dice = 2 * (positive & truth).sum(1) / (positive.sum(1) + area).clamp_min(1)
    present = area > 0
    return dice[present].sum().double(), present.sum().double()


def measure(task: str, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over images of the task's measure (see `MEASURES`), and the number of images that it is defined for."""
    if task in ("lung", "infection"):
        return hard_dice(logits, target)
    count = torch.tensor(len(logits), dtype=torch.float64, device=logits.device)
    if task == "class":
        decided = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
        return (decided == target).sum().double(), count
    return (logits.float() - target).square().flatten(1).mean(1).sum().double(), count


class Sums:
    """Running sums on the device (no synchronisation per step), added over processes at the end."""

    def __init__(self, tasks: tuple[str, ...], device: torch.device) -> None:
        self.tasks = tasks
        self.values = torch.zeros(2 + 2 * len(tasks), dtype=torch.float64, device=device)

    def add(self, loss: Tensor, logits: dict[str, Tensor], targets: dict[str, Tensor]) -> None:
        with torch.no_grad():
            pairs = [value for task in self.tasks for value in measure(task, logits[task], targets[task])]
            self.values += torch.stack([loss.double(), torch.ones_like(pairs[0]), *pairs])

    def result(self, fabric: Fabric, prefix: str, where: str) -> dict[str, float]:
        loss, count, *pairs = fabric.all_reduce(self.values, reduce_op="sum").tolist()
        if not np.isfinite(loss):
            raise ValueError(f"{where}: the {prefix} loss is not finite; lower optimizer.lr or set precision: 32-true")
        found = {
            f"{prefix}_{task}_{MEASURES[task]}": pairs[2 * i] / pairs[2 * i + 1] if pairs[2 * i + 1] else 0.0
            for i, task in enumerate(self.tasks)
        }
        return {f"{prefix}_loss": loss / count, **found}
