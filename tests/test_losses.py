"""Losses against numbers worked out by hand, the empty cases first."""

import numpy as np
import pytest
import torch

from covidqu.config.training import Bce, Dice
from covidqu.training.losses import bce_loss, dice_loss, hard_dice, task_loss, total_loss

FAR = 40.0  # a logit whose sigmoid is 0 or 1 in float32


def logits(mask: list[list[int]]) -> torch.Tensor:
    return (torch.tensor(mask, dtype=torch.float32) * 2 - 1).mul(FAR)[:, None, None, :]


def target(mask: list[list[int]]) -> torch.Tensor:
    return torch.tensor(mask, dtype=torch.float32)[:, None, None, :]


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        ([[0, 0, 0, 0]], [[0, 0, 0, 0]], 0.0),  # 1 - 1/1
        ([[1, 1, 1, 0]], [[0, 0, 0, 0]], 1 - 1 / 4),  # false positives on an empty target are punished
        ([[0, 0, 0, 0]], [[1, 1, 0, 0]], 1 - 1 / 3),
        ([[1, 1, 0, 0]], [[1, 0, 0, 0]], 1 - 3 / 4),
        ([[1, 1, 0, 0], [1, 1, 1, 1]], [[1, 1, 0, 0], [0, 0, 0, 0]], 1 - 5 / 9),  # pooled over the batch
    ],
)
def test_dice_with_smoothing_one(prediction: list[list[int]], truth: list[list[int]], expected: float) -> None:
    assert dice_loss(logits(prediction), target(truth), smooth=1.0).item() == pytest.approx(expected, abs=1e-6)


def test_dice_without_smoothing_is_finite_and_differentiable_on_empty() -> None:
    x = torch.full((2, 1, 4, 4), -1.0, requires_grad=True)
    dice_loss(x, torch.zeros(2, 1, 4, 4), smooth=0.0).backward()
    assert torch.isfinite(x.grad).all()


def test_bce_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1, 4, 4)), rng.integers(0, 2, (2, 1, 4, 4))
    p = 1 / (1 + np.exp(-x))
    expected = -(3.5 * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert bce_loss(torch.tensor(x), torch.tensor(y, dtype=torch.float64), 3.5).item() == pytest.approx(expected)


def test_terms_add_up_and_train_ratio_is_used() -> None:
    x, y = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    terms = [
        Bce(kind="bce", weight=0.5, pos_weight="train"),
        Bce(kind="bce", weight=0.25, pos_weight=2.0),
        Dice(kind="dice", weight=2.0, smooth=1.0),
    ]
    expected = 0.5 * bce_loss(x, y, 7.0) + 0.25 * bce_loss(x, y, 2.0) + 2 * dice_loss(x, y, 1.0)
    assert torch.allclose(task_loss(terms, x, y, pos_weight=7.0), expected)
    both = total_loss({"lung": terms, "infection": terms}, {"lung": x, "infection": x}, {"lung": y, "infection": y},
                      {"lung": 7.0, "infection": 7.0})  # fmt: skip
    assert torch.allclose(both, 2 * expected)


def test_low_precision_logits_give_a_float32_loss() -> None:
    terms = [Dice(kind="dice", weight=1.0, smooth=1.0)]
    assert task_loss(terms, torch.randn(1, 1, 4, 4).bfloat16(), torch.ones(1, 1, 4, 4), 1.0).dtype == torch.float32


def test_hard_dice_counts_images_with_foreground_only() -> None:
    prediction = logits([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    total, count = hard_dice(prediction, target([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]))
    assert count.item() == 2
    assert total.item() == pytest.approx(2 / 3 + 0)
