"""What the reference system adds: averaged weights, warm-up, mirrored test images, a gate, two augmentations."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from covidqu.config.params import load, merge, read
from covidqu.config.training import Elastic, Gamma, Run
from covidqu.data.augment import Augmenter
from covidqu.data.index import open_packed
from covidqu.systems.reference import both
from covidqu.training.average import Average
from covidqu.training.learner import Learner
from covidqu.training.optimization import optimization
from covidqu.training.resume import Progress, State
from support.places import ROOT
from support.training import Workplace

SMALL = {
    "ema": 0.9,
    "init": "random",
    "split": "official",
    "epochs": 4,
    "model": {"encoder": "resnet18", "decoder_channels": [8, 8, 8, 8, 8]},
}


@pytest.fixture
def place(workplace: Callable[..., Workplace]) -> Callable[[], Workplace]:
    full = read([ROOT / "params.yaml"])["runs"]["reference-lung"]
    return lambda **changes: workplace(runs={"reference-lung": merge(merge(full, SMALL), changes)})


def reference() -> Run:
    return load([ROOT / "params.yaml"]).run("reference")


def test_average_by_hand() -> None:
    """Decay 0.9, but at most (1 + n) / (10 + n) after n steps; counters are copied."""
    model = nn.BatchNorm1d(1)
    kept = Average(model, 0.9)
    expected, values = 0.0, np.random.default_rng(0).normal(size=120)
    for n, value in enumerate(values):
        model.weight.data.fill_(value)
        model.num_batches_tracked.fill_(n)
        kept.update(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = value if n == 0 else decay * expected + (1 - decay) * value
    assert kept.module.weight.item() == pytest.approx(expected, abs=1e-6)
    assert kept.module.num_batches_tracked.item() == len(values) - 1
    again = Average(model, 0.9)
    again.load_state_dict(kept.state_dict())
    assert (again.steps, again.module.weight.item()) == (120, kept.module.weight.item())


def test_rate_rises_then_falls() -> None:
    run = reference().model_copy(update={"epochs": 6})
    optimizer, scheduler = optimization(run, nn.Linear(1, 1))
    assert scheduler is not None
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    top, low = run.optimizer.lr, run.schedule.lr_min
    falling = [low + (top - low) * (1 + np.cos(np.pi * k / 5)) / 2 for k in range(5)]
    assert rates == pytest.approx([top / 2, *falling])


def test_warm_up_of_all_epochs_is_refused() -> None:
    raw = reference().model_dump(mode="json")
    with pytest.raises(ValueError, match="leave none at full rate"):
        Run.model_validate(raw | {"epochs": 1})


def test_the_averaged_weights_are_kept_and_validated(place: Callable[..., Workplace]) -> None:
    plain, smooth = place(ema=None), place()
    histories = []
    for workplace in (plain, smooth):
        workplace.train("reference-lung")
        histories.append(workplace.history("reference-lung"))
    last = [load_file(p.out("reference-lung") / "last.safetensors") for p in (plain, smooth)]
    assert all(torch.equal(last[0][k], last[1][k]) for k in last[0]), "the average never acts on the training"
    best = [load_file(p.weights("reference-lung")) for p in (plain, smooth)]
    assert not torch.equal(best[0]["net.encoder.conv1.weight"], best[1]["net.encoder.conv1.weight"])
    assert list(histories[0]["train_loss"]) == list(histories[1]["train_loss"])
    assert list(histories[0]["val_loss"]) != list(histories[1]["val_loss"])


def test_resume_with_averaged_weights_is_bit_equal(
    place: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = place(), place()
    whole.train("reference-lung")
    save = State.save

    def stop_after_two(self: State, progress: Progress, learner: Learner) -> None:
        save(self, progress, learner)
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(State, "save", stop_after_two)
        broken.train("reference-lung")
    broken.train("reference-lung")
    for file in (whole.weights, lambda run: whole.out(run) / "last.safetensors"):
        first = file("reference-lung")
        assert first.read_bytes() == Path(str(first).replace(str(whole.folder), str(broken.folder))).read_bytes()


def test_mirrored_test_images(place: Callable[..., Workplace], tmp_path: Path) -> None:
    """Logits are the mean of those of the image and of its mirror image, turned back."""
    plain, both_ways = place(flip_test=False, epochs=1, schedule={"warmup": 0}), place(epochs=1, schedule={"warmup": 0})
    for workplace in (plain, both_ways):
        workplace.train("reference-lung")
    one = plain.predict("reference-lung", tmp_path / "one.npz")
    two = both_ways.predict("reference-lung", tmp_path / "two.npz")
    images = open_packed(plain.packed).images
    monkey = images[:, :, ::-1].copy()
    folder = plain.packed.parent / "mirrored"
    folder.mkdir()
    for file in plain.packed.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    np.save(folder / "images.npy", monkey)
    index = pd.read_parquet(folder / "index.parquet")
    index["image_sha256"] = [hashlib.sha256(image).hexdigest() for image in monkey]
    index.to_parquet(folder / "index.parquet")
    plain.packed = folder
    turned = plain.predict("reference-lung", tmp_path / "turned.npz")
    mean = (one["lung_logits"].astype(float) + turned["lung_logits"][:, :, ::-1].astype(float)) / 2
    assert np.abs(two["lung_logits"] - mean).max() < 0.02
    assert np.allclose(two["class_logits"], (one["class_logits"] + turned["class_logits"]) / 2, atol=1e-4)
    assert not np.allclose(one["class_logits"], two["class_logits"], atol=1e-4)


def test_gate_is_the_product_of_two_probabilities() -> None:
    a, b = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)) * 5
    assert torch.allclose(both(a, b).sigmoid(), a.sigmoid() * b.sigmoid(), atol=1e-6)
    far = torch.tensor([-1e4, 1e4])
    assert both(far, far).tolist() == pytest.approx([-2e4, 1e4], rel=1e-3)


def test_elastic_and_gamma_reach_the_library_and_move_masks_with_the_image() -> None:
    steps = [Elastic(kind="elastic", alpha=0.4, sigma=0.05, p=1), Gamma(kind="gamma", limit=0.2, p=1)]
    elastic, gamma = Augmenter(steps, 128).transform.transforms
    assert (elastic.alpha, elastic.sigma, elastic.approximate) == (pytest.approx(51.2), pytest.approx(6.4), False)
    assert gamma.gamma_limit == pytest.approx((80, 120))
    image = np.zeros((128, 128), np.uint8)
    image[32:96, 32:96] = 255
    moved, mask = Augmenter(steps[:1], 128)(image, (image > 0).astype(np.uint8), 1, 0)
    agreement = ((moved > 127) == (mask > 0)).mean()
    assert agreement > 0.98
    assert 20 < ((mask > 0) != (image > 0)).sum() < 3000, "something moved, and not far"
