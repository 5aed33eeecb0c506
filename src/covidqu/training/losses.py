"""Where the loss is: network outputs and targets in, loss and measures out.

Each term of a loss is a function of a few numbers per image (`parts`), summed over images, and of these sums (`value`).
A training step sums over its batch; validation sums over the whole of Val, so that its loss depends neither on the
order of images nor on the size of a batch. Dice is written out: the library's is 0 for an empty target.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from covidqu.config.training import Bce, CrossEntropy, Dice, LossTerm, Mse
from covidqu.data.examples import LABELS

MEASURES = {"lung": "dice", "infection": "dice", "class": "accuracy", "reconstruction": "mse"}
MARKED = 0.01  # share of an image above which infection where none is annotated counts as false
Outputs = dict[str, Tensor]


def parts(term: LossTerm, logits: Tensor, target: Tensor, ratio: float, label: Tensor) -> Tensor:
    """(B, k) float32, the numbers per image of one term.

    `logits` and `target`: (B, 1, H, W) of masks and reconstruction; (B, K) and (B,) of classes, where K = 1 is the
    logit of class 1. `ratio`: background / foreground pixels of Train. `label` (B,): places in `LABELS`; with
    `term.only`, images of other classes count 0. Dice: intersection, positive, true, and whether the image counts.
    """
    only = getattr(term, "only", None)
    counted = torch.ones_like(label) if only is None else label == LABELS.index(only)
    counted = counted.to(logits.dtype)
    match term:
        case Bce():
            weight = ratio if term.pos_weight == "train" else float(term.pos_weight)
            truth = target.to(logits.dtype)
            pixels = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            if weight != 1:
                pixels = pixels * (1 + (weight - 1) * truth)
            return (pixels.flatten(1).mean(1) * counted)[:, None]
        case Dice():
            probability, truth = logits.sigmoid().flatten(1), target.to(logits.dtype).flatten(1)
            sums = [(probability * truth).sum(1), probability.sum(1), truth.sum(1), torch.ones_like(counted)]
            return torch.stack(sums, 1) * counted[:, None]
        case CrossEntropy() if logits.shape[1] == 1:
            return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype)[:, None], reduction="none")
        case CrossEntropy():
            return F.cross_entropy(logits, target, reduction="none")[:, None]
        case Mse():
            return (logits - target).square().flatten(1).mean(1)[:, None]


def value(term: LossTerm, sums: Tensor, images: int) -> Tensor:
    """The term from the sums (k,) of its parts over `images` images; a scalar.

    Dice: 1 - (2 I + smooth) / (P + G + smooth), pooled over the images that count, 0 when none does. All others: the
    mean over all images.
    """
    if not isinstance(term, Dice):
        return sums[0] / images
    intersection, positive, true, counted = sums
    dice = 1 - (2 * intersection + term.smooth) / (positive + true + term.smooth).clamp_min(1e-12)
    return dice * (counted > 0)


def every_part(
    loss: dict[Any, list[LossTerm]], logits: Outputs, targets: Outputs, ratios: dict[str, float], label: Tensor
) -> list[Tensor]:
    """(B, k) of each term of each task in turn, in float32 whatever the precision of the forward pass."""
    return [
        parts(term, logits[task].float(), targets[task], ratios.get(task, 1.0), label)
        for task, terms in loss.items()
        for term in terms
    ]


def total(loss: dict[Any, list[LossTerm]], sums: list[Tensor], images: int) -> Tensor:
    """Weighted sum of all terms from the sums of their parts."""
    terms = [term for of_task in loss.values() for term in of_task]
    return torch.stack([t.weight * value(t, s, images) for t, s in zip(terms, sums, strict=True)]).sum()


def total_loss(
    loss: dict[Any, list[LossTerm]], logits: Outputs, targets: Outputs, ratios: dict[str, float], label: Tensor
) -> Tensor:
    """The loss of one batch; every dict is keyed by task."""
    return total(loss, [p.sum(0) for p in every_part(loss, logits, targets, ratios, label)], len(label))


@torch.no_grad()
def measures(task: str, logits: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Name -> (sum over the images that it is defined for, number of these images).

    Masks: `dice`, mean of 2 I / (P + G) at logit > 0 over images with foreground. Infection, too: `dice_all` over all
    images, where a blank mask of an image without foreground counts 1 and any other 0; `marked`, the share of images
    without foreground of which more than `MARKED` is positive. Classes: `accuracy`. Reconstruction: `mse`.
    """
    count = torch.tensor(len(logits), dtype=torch.float64, device=logits.device)
    if task == "class":
        decided = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
        return {"accuracy": ((decided == target).sum().double(), count)}
    if task == "reconstruction":
        return {"mse": ((logits.float() - target).square().flatten(1).mean(1).double().sum(), count)}
    positive, truth = logits.flatten(1) > 0, target.flatten(1) > 0
    area, marked = truth.sum(1), positive.sum(1)
    present, dice = area > 0, 2 * (positive & truth).sum(1).double() / (marked + area).clamp_min(1)
    found = {"dice": (dice[present].sum(), present.sum().double())}
    if task == "infection":
        false = marked[~present] > MARKED * positive.shape[1]
        blank = (marked[~present] == 0).sum()
        found |= {
            "dice_all": (dice[present].sum() + blank, count),
            "marked": (false.sum().double(), count - present.sum()),
        }
    return found


class Epoch:
    """Running sums of one pass, on the device: no step waits for it. Added over processes at the end."""

    def __init__(self, loss: dict[Any, list[LossTerm]]) -> None:
        self.tasks, self.names, self.sizes = tuple(loss), list[str](), list[int]()
        self.sums: Tensor | None = None

    def add(self, values: list[Tensor], logits: Outputs, targets: Outputs) -> None:
        """`values`: scalars or vectors to sum up; the measures of each task come with them."""
        found = {f"{t}_{n}": pair for t in self.tasks for n, pair in measures(t, logits[t], targets[t]).items()}
        flat = [v.detach().double().reshape(-1) for v in (*values, *(part for pair in found.values() for part in pair))]
        self.names, self.sizes = list(found), [len(v) for v in flat[: len(values)]]
        self.sums = torch.cat(flat) if self.sums is None else self.sums + torch.cat(flat)

    def result(self, fabric: Fabric, prefix: str) -> tuple[list[Tensor], dict[str, float]]:
        """The sums of `values` on the host, and `prefix`_task_measure -> mean, nan where no image defines it."""
        whole = fabric.all_reduce(self.sums, reduce_op="sum").cpu()
        pairs = whole[-2 * len(self.names) :].reshape(-1, 2).tolist()
        means = {
            f"{prefix}_{n}": s / count if count else math.nan for n, (s, count) in zip(self.names, pairs, strict=True)
        }
        return list(whole[: sum(self.sizes)].split(self.sizes)), means
