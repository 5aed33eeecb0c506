"""Losses against numbers worked out by hand, the empty cases first."""

import numpy as np
import pytest
import torch

from covidqu.config.training import Bce, CrossEntropy, Dice, LossTerm, Mse
from covidqu.data.examples import LABELS
from covidqu.training.losses import every_part, measures, total, total_loss

COVID, NORMAL = LABELS.index("COVID-19"), LABELS.index("Normal")
FAR = 40.0  # a logit whose sigmoid is 0 or 1 in float32


def logits(mask: list[list[int]]) -> torch.Tensor:
    return (torch.tensor(mask, dtype=torch.float32) * 2 - 1).mul(FAR)[:, None, None, :]


def target(mask: list[list[int]]) -> torch.Tensor:
    return torch.tensor(mask, dtype=torch.float32)[:, None, None, :]


def loss_of(
    terms: list[LossTerm], x: torch.Tensor, y: torch.Tensor, ratio: float = 1.0, label: torch.Tensor | None = None
) -> torch.Tensor:
    """The loss of one task."""
    label = torch.full((len(x),), COVID) if label is None else label
    return total_loss({"infection": terms}, {"infection": x}, {"infection": y}, {"infection": ratio}, label)


def dice(smooth: float = 1.0, weight: float = 1.0) -> Dice:
    return Dice(kind="dice", weight=weight, smooth=smooth)


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
    assert loss_of([dice()], logits(prediction), target(truth)).item() == pytest.approx(expected, abs=1e-6)


def test_dice_without_smoothing_is_finite_and_differentiable_on_empty() -> None:
    x = torch.full((2, 1, 4, 4), -1.0, requires_grad=True)
    loss_of([dice(0.0)], x, torch.zeros(2, 1, 4, 4)).backward()
    assert torch.isfinite(x.grad).all()


def test_bce_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1, 4, 4)), rng.integers(0, 2, (2, 1, 4, 4))
    p = 1 / (1 + np.exp(-x))
    expected = -(3.5 * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    bce = Bce(kind="bce", weight=1.0, pos_weight=3.5)
    assert loss_of([bce], torch.tensor(x), torch.tensor(y)).item() == pytest.approx(expected)


def test_terms_add_up_and_train_ratio_is_used() -> None:
    x, y = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    label = torch.zeros(2, dtype=torch.int64)
    terms = [Bce(kind="bce", weight=0.5, pos_weight="train"), Bce(kind="bce", weight=0.25, pos_weight=2.0), dice(1, 2)]
    alone = [
        *(0.5 * loss_of([Bce(kind="bce", weight=1.0, pos_weight=7.0)], x, y), 2 * loss_of([dice()], x, y)),
        0.25 * loss_of([Bce(kind="bce", weight=1.0, pos_weight=2.0)], x, y),
    ]
    assert torch.allclose(loss_of(terms, x, y, 7.0), torch.stack(alone).sum())
    both = {"lung": x, "infection": x}, {"lung": y, "infection": y}, {"lung": 7.0, "infection": 7.0}
    assert torch.allclose(total_loss({"lung": terms, "infection": terms}, *both, label), 2 * torch.stack(alone).sum())


def test_low_precision_logits_give_a_float32_loss() -> None:
    assert loss_of([dice()], torch.randn(1, 1, 4, 4).bfloat16(), torch.ones(1, 1, 4, 4)).dtype == torch.float32


def test_the_loss_of_val_depends_neither_on_order_nor_on_the_batch() -> None:
    """Batches of one class, as in a file sorted by class, made a blank mask look better than a useful one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 1, 8, 8, generator=generator)
    y = (torch.rand(12, 1, 8, 8, generator=generator) > 0.5).float()
    y[6:] = 0
    label = torch.tensor([COVID] * 6 + [NORMAL] * 6)
    loss = {
        "infection": [dice(), Dice(kind="dice", weight=0.5, smooth=1.0, only="COVID-19")],
        "reconstruction": [Mse(kind="mse", weight=1.0)],
    }
    loss["infection"].append(Bce(kind="bce", weight=0.5, pos_weight="train", only="COVID-19"))

    def whole(order: torch.Tensor, batch: int) -> float:
        sums: list[torch.Tensor] = []
        for places in order.split(batch):
            outputs = {task: x[places] for task in loss}
            targets = {task: y[places] for task in loss}
            found = every_part(loss, outputs, targets, {"infection": 3.0}, label[places])
            found = [part.double().sum(0) for part in found]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        return total(loss, sums, len(order)).item()

    expected = whole(torch.arange(12), 12)
    for batch in (1, 4, 5):
        assert whole(torch.arange(12), batch) == pytest.approx(expected, rel=1e-12)
        assert whole(torch.randperm(12, generator=generator), batch) == pytest.approx(expected, rel=1e-12)
    sure = {"blank": torch.full_like(x, -FAR), "right": (y * 2 - 1) * FAR}
    losses = {name: total_loss(loss, *({t: v for t in loss} for v in (found, y)), {"infection": 3.0}, label)
              for name, found in sure.items()}  # fmt: skip
    assert losses["right"] < losses["blank"]


def test_bce_of_one_class_still_divides_by_the_whole_batch() -> None:
    x, y = torch.randn(3, 1, 4, 4), (torch.rand(3, 1, 4, 4) > 0.5).float()
    plain, only = Bce(kind="bce", weight=1.0), Bce(kind="bce", weight=1.0, only="COVID-19")
    label = torch.tensor([COVID, NORMAL, NORMAL])
    assert torch.isclose(loss_of([only], x, y, label=label), loss_of([plain], x[:1], y[:1]) / 3)


def test_dice_of_one_class_pools_its_images_only() -> None:
    x, y = torch.randn(3, 1, 4, 4), (torch.rand(3, 1, 4, 4) > 0.5).float()
    only = Dice(kind="dice", weight=2.0, smooth=1.0, only="COVID-19")
    label = torch.tensor([NORMAL, COVID, COVID])
    assert torch.isclose(loss_of([only], x, y, label=label), 2 * loss_of([dice()], x[1:], y[1:]))


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_a_batch_without_the_class_adds_zero_and_stays_in_the_graph(smooth: float) -> None:
    x = torch.randn(3, 1, 4, 4, requires_grad=True)
    terms = [
        Bce(kind="bce", weight=0.5, only="COVID-19"),
        Dice(kind="dice", weight=1.0, smooth=smooth, only="COVID-19"),
    ]
    loss = loss_of(terms, x, torch.ones(3, 1, 4, 4), label=torch.full((3,), NORMAL))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_class_loss_by_hand() -> None:
    terms = [CrossEntropy(kind="cross_entropy", weight=1.0)]
    assert loss_of(terms, torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([1])).item() == pytest.approx(np.log(3))
    one = loss_of(terms, torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 0])).item()
    assert one == pytest.approx((np.log(1 + np.exp(-2)) + np.log(1 + np.exp(-1))) / 2)
    two = loss_of(terms, torch.tensor([[0.0, 2.0], [0.0, -1.0]]), torch.tensor([1, 0])).item()
    assert one == pytest.approx(two), "one sigmoid logit is a softmax of it against 0"


def numbers(task: str, x: torch.Tensor, y: torch.Tensor) -> dict[str, tuple[float, float]]:
    return {name: (total.item(), count.item()) for name, (total, count) in measures(task, x, y).items()}


def test_reconstruction_and_class_measures() -> None:
    values, truth = torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    assert loss_of([Mse(kind="mse", weight=2.0)], values, truth).item() == pytest.approx(0.25)
    assert numbers("reconstruction", values, truth) == {"mse": (0.125, 1)}
    assert numbers("class", torch.tensor([[0.1], [-3.0]]), torch.tensor([1, 1])) == {"accuracy": (1, 2)}
    assert numbers("class", torch.eye(3), torch.tensor([0, 1, 0])) == {"accuracy": (2, 3)}


def test_measures_of_masks_count_the_images_that_they_are_defined_for() -> None:
    prediction = logits([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    truth = target([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert numbers("lung", prediction, truth) == {"dice": (pytest.approx(2 / 3), 2)}
    assert numbers("infection", prediction, truth) == {
        "dice": (pytest.approx(2 / 3), 2),
        "dice_all": (pytest.approx(2 / 3 + 1), 4),  # the blank mask of the blank image counts 1
        "marked": (1, 2),
    }
