"""One abstract test that every system inherits."""

from pathlib import Path
from typing import ClassVar

import pytest
import timm
import torch

from covidqu.config.models import CbamMtl, Model, ReconMtl, Reference, SwinDual, Task, UnetppB3, UnetRoi
from covidqu.config.training import Bce, Dice
from covidqu.data.examples import IMAGENET_MEAN, IMAGENET_STD
from covidqu.systems.base import System, build, load_weights, prepare
from covidqu.systems.weights import save_weights
from covidqu.training.losses import measures, total_loss


class SystemContract:
    """Subclasses name the printed or derived configuration and a small one."""

    full: ClassVar[Model]
    small: ClassVar[Model]
    tasks: ClassVar[tuple[Task, ...]] = ("infection",)
    expected_parameters: ClassVar[int]
    classes: ClassVar[int] = 0
    rate: ClassVar[float] = 1e-2  # of the four-image test
    px: ClassVar[int] = 64

    def make(self, seed: int = 0) -> System:
        torch.manual_seed(seed)
        return build(self.small, self.tasks, self.px)

    def image(self, count: int = 2) -> torch.Tensor:
        return torch.rand(count, self.make().channels, self.px, self.px, generator=torch.Generator().manual_seed(1))

    def test_parameter_count(self) -> None:
        with torch.device("meta"):
            assert build(self.full, self.tasks, 256).parameter_count() == self.expected_parameters

    def test_shapes_and_logits(self) -> None:
        out = self.make().eval()(self.image() * 1e3)
        assert set(out) == set(self.tasks)
        for task, value in out.items():
            assert value.shape == ((2, self.classes) if task == "class" else (2, 1, self.px, self.px))
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
        masks = [t for t in self.tasks if t in ("lung", "infection")]
        mask = torch.zeros(4, 1, self.px, self.px)
        for i in range(4):
            mask[i, :, 8 : 24 + 8 * i, 8 + 8 * i : 40] = 1
        image = (0.2 + 0.6 * mask).expand(-1, system.channels, -1, -1)
        optimizer = torch.optim.Adam(system.parameters(), lr=self.rate)
        terms = [Dice(kind="dice", weight=1 / len(masks), smooth=1.0), Bce(kind="bce", weight=1.0)]
        for _ in range(60):
            optimizer.zero_grad()
            found = system(image)
            targets, label = dict.fromkeys(masks, mask), torch.zeros(4, dtype=torch.int64)
            total_loss(dict.fromkeys(masks, terms), found, targets, {}, label).backward()
            optimizer.step()
        assert min(measures(t, found[t], mask)["dice"][0].item() / 4 for t in masks) > 0.9

    def test_weights_round_trip(self, tmp_path: Path) -> None:
        first, second = self.make(0), self.make(1)
        save_weights(tmp_path / "w.safetensors", first.state_dict(), {"scope": "model"})
        assert load_weights(second, tmp_path / "w.safetensors") == "model"
        image = self.image()
        with torch.inference_mode():
            assert torch.equal(first.eval()(image)[self.tasks[0]], second.eval()(image)[self.tasks[0]])

    def test_weights_of_another_shape_are_refused_whole(self, tmp_path: Path) -> None:
        system = self.make()
        before = {k: v.clone() for k, v in system.state_dict().items()}
        state = {k: v.clone() for k, v in self.make(1).state_dict().items()}
        name = next(k for k, v in state.items() if v.ndim == 4)
        save_weights(tmp_path / "w.safetensors", state | {name: state[name][:1].clone()}, {"scope": "model"})
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


class TestReference(SystemContract):
    full = Reference(system="reference", encoder="resnet34", decoder_channels=(256, 128, 64, 32, 16), gate=True)
    small = Reference(system="reference", encoder="resnet18", decoder_channels=(16, 16, 8, 8, 8), gate=True)
    tasks = ("lung", "infection", "class")
    classes = 3
    rate = 3e-3
    expected_parameters = 24_438_053


class TestSwinDual(SystemContract):
    full = SwinDual(system="swin_dual", width=96, window=8)
    small = SwinDual(system="swin_dual", width=12, window=8)
    tasks = ("lung", "infection", "class")
    classes = 3
    expected_parameters = 44_089_967

    def test_parts_count_as_printed(self) -> None:
        with torch.device("meta"):
            net = build(self.full, self.tasks, 256)
        count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
        heads = {name: sum(p.numel() for p in getattr(net, name).head.parameters()) for name in ("lung", "infection")}
        assert (count["swin"], count["pool"], count["classify"]) == (27_522_474, 1_772_544, 2_179)
        assert heads == {"lung": 10_441, "infection": 10_441}
        assert count["lung"] + count["infection"] - sum(heads.values()) == 14_771_888

    def test_windows_of_seven_are_a_variant(self) -> None:
        variant = SwinDual(system="swin_dual", width=96, window=7)
        with torch.device("meta"):
            assert build(variant, self.tasks, 256).parameter_count() == 44_082_239
        net = build(SwinDual(system="swin_dual", width=12, window=7), self.tasks, self.px).eval()
        assert net(self.image())["lung"].shape == (2, 1, self.px, self.px)

    def test_encoder_agrees_with_another_implementation(self) -> None:
        """timm's Swin with the same weights; its last stage does not shift its one window, this one does."""
        torch.manual_seed(0)
        theirs = timm.create_model(
            "swin_tiny_patch4_window7_224", pretrained=False, features_only=True, in_chans=1, img_size=256,
            window_size=8, embed_dim=24, drop_path_rate=0.0,
        ).eval()  # fmt: skip
        ours = build(SwinDual(system="swin_dual", width=24, window=8), ("lung",), 256).swin.eval()
        names = {"patch_embed.proj": "embed", "patch_embed.norm": "norm", "attn.proj": "attention.out"}
        names |= {"attn.relative_position_bias_table": "attention.bias", "attn.qkv": "attention.qkv"}
        names |= {"mlp.fc1": "mlp.0", "mlp.fc2": "mlp.2", ".blocks": ""}
        names |= {f"layers_{i}.downsample.{a}": f"merges.{i - 1}.{b}" for i in (1, 2, 3) for a, b in
                  (("norm", "norm"), ("reduction", "linear"))} | {"layers_": "stages."}  # fmt: skip
        state = {}
        for name, value in theirs.state_dict().items():
            for theirs_name, ours_name in names.items():
                name = name.replace(theirs_name, ours_name)  # noqa: PLW2901
            state[name] = value
        ours.load_state_dict(state)
        image = torch.rand(1, 1, 256, 256)
        with torch.inference_mode():
            for own, other in list(zip(ours(image), theirs(image), strict=True))[:3]:
                assert torch.allclose(own.permute(0, 2, 3, 1), other, atol=1e-5)

    def test_the_class_head_sees_masks_only(self) -> None:
        net = self.make().eval()
        masks = torch.rand(1, 2, self.px, self.px)
        assert net.classify(masks).shape == net.classify(masks[:, :1]).shape == (1, 3)
        first = build(self.small, ("lung", "class"), self.px).eval()(self.image())
        assert first.keys() == {"lung", "class"}


class TestCbamUnet(SystemContract):
    full = CbamMtl(system="cbam_mtl", net="unet", width=64, cbam=True)
    small = CbamMtl(system="cbam_mtl", net="unet", width=16, cbam=True)
    tasks = ("infection", "class")
    classes = 2
    expected_parameters = 8_071_499

    def test_without_cbam(self) -> None:
        with torch.device("meta"):
            plain = build(self.full.model_copy(update={"cbam": False}), self.tasks, 224)
        assert plain.parameter_count() == self.expected_parameters - 43_912


class TestCbamUnetpp(TestCbamUnet):
    full = CbamMtl(system="cbam_mtl", net="unetpp", width=64, cbam=True)
    small = CbamMtl(system="cbam_mtl", net="unetpp", width=16, cbam=True)
    expected_parameters = 9_300_875


class TestCbamResunet(TestCbamUnet):
    full = CbamMtl(system="cbam_mtl", net="resunet", width=64, cbam=True)
    small = CbamMtl(system="cbam_mtl", net="resunet", width=32, cbam=True)
    expected_parameters = 9_972_171


def test_resunet_trains_in_channels_last_order() -> None:
    """A strided 1x1 convolution in its shortcuts crashed the process here."""
    net = build(CbamMtl(system="cbam_mtl", net="resunet", width=8, cbam=False), ("infection", "class"), 64)
    image = torch.rand(4, 1, 64, 64).contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        sum(v.sum() for v in net.to(memory_format=torch.channels_last)(image).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def recon(net: str, width: int) -> ReconMtl:
    return ReconMtl(system="recon_mtl", net=net, width=width, class_width=width, reconstruction_skips=True)


class TestReconMtl(SystemContract):
    full, small = recon("mtl", 64), recon("mtl", 16)
    tasks = ("reconstruction", "infection", "class")
    classes = 1
    rate = 1e-3
    expected_parameters = 44_343_947

    @pytest.mark.parametrize(
        ("tasks", "count"),
        [
            (("infection",), 31_031_685),
            (("reconstruction", "infection"), 43_221_322),
            (("reconstruction", "class"), 32_154_310),
            (("infection", "class"), 32_154_310),
        ],
    )
    def test_parts_are_those_of_the_tasks(self, tasks: tuple[Task, ...], count: int) -> None:
        with torch.device("meta"):
            assert build(self.full, tasks, 256).parameter_count() == count

    @pytest.mark.parametrize("seed", range(6))
    def test_no_decoder_starts_dead(self, seed: int) -> None:
        """Two ReLU channels before the output: both speak, one for and one against, whatever was drawn."""
        torch.manual_seed(seed)
        net = build(self.small, self.tasks, 64)
        for decoder in net.decoders.values():
            seen = []
            decoder.head[0].register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
            net(torch.rand(2, 1, 64, 64))
            assert ((seen[0] > 0).float().mean((0, 2, 3)) > 0.02).all()
            assert decoder.head[-1].weight.flatten().sign().tolist() == [1, -1]

    def test_background_can_be_blank_when_the_channel_that_lowers_is_dead(self) -> None:
        """Dice alone kills it early: what is left must still say "no" somewhere, or masks are everything or nothing."""
        torch.manual_seed(0)
        net = build(self.small, self.tasks, 64)
        net.decoders["infection"].head[0][0].weight.data[1] = 0
        out = net(torch.rand(2, 1, 64, 64))
        assert out["infection"].min() < 0
        assert net.decoders["reconstruction"].head[-1].bias.item() == 0, "intensities have no prior"

    def test_of_512_pixels_and_cnn8(self) -> None:
        with torch.device("meta"):
            assert build(recon("mtl", 64), self.tasks, 512).parameter_count() == 45_916_811
            assert build(recon("cnn8", 64), ("class",), 256).parameter_count() == 917_953
        assert build(recon("cnn8", 64), ("class",), 64)(torch.rand(2, 1, 64, 64))["class"].shape == (2, 1)

    def test_outputs_that_it_has_not_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no lung output"):
            build(self.small, ("lung",), 64)
        with pytest.raises(ValueError, match="gives `class` only"):
            build(recon("cnn8", 64), ("infection",), 64)
        with pytest.raises(ValueError, match="gives infection and class"):
            build(TestCbamUnet.small, ("lung",), 64)


def test_prepare_normalises_as_named() -> None:
    image = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    assert torch.equal(prepare(image, 1), torch.ones(1, 1, 4, 4))
    imagenet = prepare(image, 3, (IMAGENET_MEAN, IMAGENET_STD))[0, :, 0, 0]
    assert torch.allclose(imagenet, torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))
    assert torch.equal(image, torch.full((1, 4, 4), 255, dtype=torch.uint8)), "the input is left as it was"


def test_encoder_weights_fit_only_their_encoder(tmp_path: Path) -> None:
    donor = build(
        UnetppB3(system="unetpp_b3", encoder="efficientnet-b0", decoder_channels=(8, 8, 8, 8, 8)), ("infection",), 64
    )
    part = donor.pretrained_part()
    save_weights(tmp_path / "e.safetensors", {k: v + 1 for k, v in part.state_dict().items()}, {"scope": "encoder"})
    other = build(TestUnetppB3.small, ("infection",), 64)
    head = other.net.segmentation_head[0].weight.clone()
    assert load_weights(other, tmp_path / "e.safetensors") == "encoder"
    name, value = next(iter(part.state_dict().items()))
    assert torch.equal(other.pretrained_part().state_dict()[name], value + 1)
    assert torch.equal(other.net.segmentation_head[0].weight, head)
    with pytest.raises(ValueError, match="has no encoder"):
        load_weights(build(TestUnetRoi.small, ("lung",), 64), tmp_path / "e.safetensors")
