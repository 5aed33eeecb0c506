"""One abstract test that every system inherits."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import save_file

from covidqu.config.training import Model, Task, UnetppB3, UnetRoi
from covidqu.losses import dice_loss
from covidqu.systems.base import System, build, load_weights, prepare


class SystemContract:
    """Subclasses name the printed or derived configuration and a small one."""

    full: ClassVar[Model]
    small: ClassVar[Model]
    tasks: ClassVar[tuple[Task, ...]] = ("infection",)
    expected_parameters: ClassVar[int]
    px: ClassVar[int] = 64

    def make(self, seed: int = 0) -> System:
        torch.manual_seed(seed)
        return build(self.small, self.tasks)

    def image(self, count: int = 2) -> torch.Tensor:
        return torch.rand(count, self.make().channels, self.px, self.px, generator=torch.Generator().manual_seed(1))

    def test_parameter_count(self) -> None:
        with torch.device("meta"):
            assert build(self.full, self.tasks).parameter_count() == self.expected_parameters

    def test_shapes_and_logits(self) -> None:
        out = self.make().eval()(self.image() * 1e3)
        assert set(out) == set(self.tasks)
        for value in out.values():
            assert value.shape == (2, 1, self.px, self.px)
            assert value.min() < 0 or value.max() > 1, "values within [0, 1] are no logits"

    def test_gradient_reaches_every_parameter(self) -> None:
        system = self.make().train()
        sum(v.square().mean() for v in system(self.image(4)).values()).backward()
        trainable = [(n, p) for n, p in system.named_parameters() if p.requires_grad]
        silent = [n for n, p in trainable if p.grad is None or not p.grad.abs().sum() > 0]
        assert not silent

    def test_nothing_frozen_moves(self) -> None:
        system = self.make().train()
        before = {n: p.detach().clone() for n, p in system.named_parameters()}
        optimizer = torch.optim.AdamW([p for p in system.parameters() if p.requires_grad], lr=1e-2)
        sum(v.square().mean() for v in system(self.image(4)).values()).backward()
        optimizer.step()
        for name, parameter in system.named_parameters():
            assert torch.equal(before[name], parameter) != parameter.requires_grad, name

    def test_evaluation_is_deterministic_and_independent_of_the_batch(self) -> None:
        system, image = self.make().eval(), self.image(3)
        with torch.inference_mode():
            once, again, alone = system(image), system(image), system(image[:1])
        for task in self.tasks:
            assert torch.equal(once[task], again[task])
            assert torch.allclose(once[task][:1], alone[task], atol=1e-5)

    def test_overfits_four_images(self) -> None:
        system = self.make().train()
        mask = torch.zeros(4, 1, self.px, self.px)
        for i in range(4):
            mask[i, :, 8 : 24 + 8 * i, 8 + 8 * i : 40] = 1
        image = (0.2 + 0.6 * mask).expand(-1, system.channels, -1, -1)
        optimizer = torch.optim.Adam(system.parameters(), lr=1e-2)
        for _ in range(50):
            optimizer.zero_grad()
            loss = sum(dice_loss(v, mask, 1.0) for v in system(image).values()) / len(self.tasks)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.15

    def test_weights_round_trip(self, tmp_path: Path) -> None:
        first, second = self.make(0), self.make(1)
        save_file(first.state_dict(), tmp_path / "w.safetensors", metadata={"scope": "model"})
        assert load_weights(second, tmp_path / "w.safetensors") == "model"
        image = self.image()
        with torch.inference_mode():
            assert torch.equal(first.eval()(image)[self.tasks[0]], second.eval()(image)[self.tasks[0]])

    def test_weights_of_another_shape_are_refused_whole(self, tmp_path: Path) -> None:
        system = self.make()
        before = {k: v.clone() for k, v in system.state_dict().items()}
        state = {k: v.clone() for k, v in self.make(1).state_dict().items()}
        name = next(k for k, v in state.items() if v.ndim == 4)
        save_file(state | {name: state[name][:1].clone()}, tmp_path / "w.safetensors", metadata={"scope": "model"})
        with pytest.raises(ValueError, match=f"1 of {len(state)} tensors do not fit"):
            load_weights(system, tmp_path / "w.safetensors")
        assert all(torch.equal(before[k], v) for k, v in system.state_dict().items())

    def test_export_gives_the_same_logits(self) -> None:
        system, image = self.make().eval(), self.image()
        exported = torch.export.export(system, (image,)).module()
        with torch.inference_mode():
            for task, value in exported(image).items():
                assert torch.allclose(value, system(image)[task], atol=1e-5)


class TestUnetRoi(SystemContract):
    full = UnetRoi(system="unet_roi", width=64)
    small = UnetRoi(system="unet_roi", width=8)
    expected_parameters = 31_036_481


class TestUnetppB3(SystemContract):
    full = UnetppB3(system="unetpp_b3", encoder="efficientnet-b3", decoder_channels=(256, 128, 64, 32, 16))
    small = UnetppB3(system="unetpp_b3", encoder="efficientnet-b0", decoder_channels=(32, 16, 16, 8, 8))
    expected_parameters = 13_624_793


def test_prepare_normalises_as_named() -> None:
    image = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    assert torch.equal(prepare(image, 1, "unit"), torch.ones(1, 1, 4, 4))
    imagenet = prepare(image, 3, "imagenet")[0, :, 0, 0]
    assert torch.allclose(imagenet, torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))
    assert torch.equal(image, torch.full((1, 4, 4), 255, dtype=torch.uint8)), "the input is left as it was"


def test_encoder_weights_fit_only_their_encoder(tmp_path: Path) -> None:
    donor = build(
        UnetppB3(system="unetpp_b3", encoder="efficientnet-b0", decoder_channels=(8, 8, 8, 8, 8)), ("infection",)
    )
    part = donor.pretrained_part()
    save_file(
        {k: v + 1 for k, v in part.state_dict().items()}, tmp_path / "e.safetensors", metadata={"scope": "encoder"}
    )
    other = build(TestUnetppB3.small, ("infection",))
    head = other.net.segmentation_head[0].weight.clone()
    assert load_weights(other, tmp_path / "e.safetensors") == "encoder"
    name, value = next(iter(part.state_dict().items()))
    assert torch.equal(other.pretrained_part().state_dict()[name], value + 1)
    assert torch.equal(other.net.segmentation_head[0].weight, head)
    with pytest.raises(ValueError, match="has no encoder"):
        load_weights(build(TestUnetRoi.small, ("lung",)), tmp_path / "e.safetensors")
