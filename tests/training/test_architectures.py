"""Counts and shapes of architectures.json against the papers, against themselves and against a network that ran."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from covidqu.config.params import Params, check, load, merge, read
from covidqu.report.core.provenance import full
from covidqu.steps import architectures
from covidqu.systems.base import build
from support.places import ROOT

COUNTS = {
    "swin-dual-lung": 44_089_967,
    "swin-dual-infection": 44_089_967,
    "unet-roi-lung": 31_036_481,
    "unetpp-b3": 13_624_793,
    "cbam-mtl-unet-simple": 8_027_587,
    "cbam-mtl-unet-proposed": 8_071_499,
    "cbam-mtl-unetpp-proposed": 9_300_875,
    "cbam-mtl-resunet-proposed": 9_972_171,
    "recon-mtl-t123": 44_343_947,
    "recon-mtl-unet": 31_031_685,
    "recon-mtl-cnn8": 917_953,
    "reference": 24_438_053,
}
SMALL = {
    "runs": {
        "swin-dual-lung": {"image_px": 64, "model": {"width": 12}},
        "swin-dual-infection": {"image_px": 64, "model": {"width": 12}},
        "recon-mtl-t123": {"image_px": 64, "model": {"width": 8, "class_width": 8}},
    }
}


@pytest.fixture(scope="module")
def params() -> Params:
    return load([ROOT / "params.yaml"])


@pytest.fixture(scope="module")
def found(params: Params, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("results") / "architectures.json"
    architectures.architectures(params, out)
    return json.loads(out.read_text())


def layer(entry: dict[str, Any], name: str) -> list[int]:
    return next(one["out"] for one in entry["paper"]["layers"] if one["name"] == name)


def test_every_base_run_is_there_and_counts_as_derived(params: Params, found: dict[str, Any]) -> None:
    assert list(found) == params.base_runs
    assert {name: found[name]["paper"]["parameters"] for name in COUNTS} == COUNTS


def test_parts_and_layers_share_out_every_parameter(found: dict[str, Any]) -> None:
    for name, entry in found.items():
        paper = entry["paper"]
        for kind in ("parts", "layers"):
            assert sum(one["parameters"] for one in paper[kind]) == paper["parameters"], (name, kind)
            names = [one["name"] for one in paper[kind]]
            assert len(set(names)) == len(names)
        assert 2 <= len(paper["parts"]) <= len(paper["layers"]) <= 40


def test_parts_of_paper_000_are_the_printed_ones(found: dict[str, Any]) -> None:
    parts = {p["name"]: p["parameters"] for p in found["swin-dual-infection"]["paper"]["parts"]}
    assert parts == {
        "encoder": 27_522_474, "pyramid pooling": 1_772_544, "dual decoders": 14_771_888,
        "lung head": 10_441, "infection head": 10_441, "classification head": 2_179,
    }  # fmt: skip


def test_cbam_is_counted_apart(found: dict[str, Any]) -> None:
    parts = {p["name"]: p["parameters"] for p in found["cbam-mtl-unet-proposed"]["paper"]["parts"]}
    assert parts["CBAM"] == 43_912
    assert parts["classification head"] == 328_578
    assert "CBAM" not in [p["name"] for p in found["cbam-mtl-unet-simple"]["paper"]["parts"]]


def test_shapes_are_the_papers(found: dict[str, Any]) -> None:
    swin = found["swin-dual-infection"]
    stages = [layer(swin, f"stage {i}") for i in (1, 2, 3, 4)]
    assert stages == [[1, 96 * 2**i, 64 // 2**i, 64 // 2**i] for i in range(4)]
    assert [layer(swin, f"infection decoder {i}")[1] for i in (1, 2, 3, 4)] == [384, 192, 96, 48]
    assert layer(swin, "classification head") == [1, 3]
    assert layer(found["recon-mtl-t123"], "encoder.levels.4") == [1, 1024, 16, 16]
    assert layer(found["cbam-mtl-unet-proposed"], "encoder.attention.3") == [1, 512, 28, 28]
    assert layer(found["unetpp-b3"], "decoder 0_4") == [1, 16, 256, 256]
    assert layer(found["unetpp-b3"], "classifier of the encoder") is None  # no decoder reads it
    assert [e["input"] for e in (swin, found["unetpp-b3"])] == [[1, 1, 256, 256], [1, 3, 256, 256]]


def test_layers_come_in_the_order_of_execution(found: dict[str, Any]) -> None:
    names = [one["name"] for one in found["unet-roi-lung"]["paper"]["layers"]]
    ladder = [name for i in range(4) for name in (f"up.{i}", f"merge.{i}")]
    assert names == [*(f"down.{i}" for i in range(5)), *ladder, "head"]


def test_an_encoder_in_one_module_is_taken_apart_by_side(found: dict[str, Any]) -> None:
    """ResNet-34: a stem at half the side, then the four stages; the decoder doubles the side five times."""
    ours = found["reference"]
    assert [layer(ours, f"encoder stage {i}")[1:] for i in range(1, 6)] == [
        [64, 128, 128], [64, 64, 64], [128, 32, 32], [256, 16, 16], [512, 8, 8]
    ]  # fmt: skip
    assert [layer(ours, f"decoder stage {i}")[1:] for i in range(1, 6)] == [
        [c, 16 * 2**i, 16 * 2**i] for i, c in enumerate((256, 128, 64, 32, 16))
    ]
    stem = next(one for one in ours["paper"]["layers"] if one["name"] == "encoder stage 1")
    assert stem["parameters"] == 3 * 64 * 49 + 2 * 64 and stem["kind"] == "conv 7x7 /2, BN, ReLU"


def test_networks_of_ours_in_words(found: dict[str, Any]) -> None:
    assert found["reference"]["net"] == "multi-task U-Net, infection gated by its lungs"
    assert found["reference-no-gate"]["net"] == "multi-task U-Net" and found["reference-one-task"]["net"] == "U-Net"


def test_a_reduced_run_keeps_the_papers_network_beside_its_own() -> None:
    params = check(merge(read([ROOT / "params.yaml"]), SMALL))
    for name in SMALL["runs"]:
        run = params.run(name)
        entry = architectures.describe(run, full(params, name))
        assert entry["parameters"] == build(run.model, run.tasks, run.image_px).parameter_count() < 10_000_000
        assert entry["input"] == [1, 1, 64, 64]
        assert (entry["paper"]["parameters"], entry["paper"]["input"]) == (COUNTS[name], [1, 1, 256, 256])


def test_shapes_are_those_of_a_network_with_values() -> None:
    run = check(merge(read([ROOT / "params.yaml"]), SMALL)).run("recon-mtl-t123")
    system = build(run.model, run.tasks, run.image_px).eval()
    seen = []
    for level in system.encoder.levels:
        level.register_forward_hook(lambda _, __, out: seen.append(list(out.shape)))
    system(torch.rand(1, 1, 64, 64))
    meta = {one["name"]: one["out"] for one in architectures.describe(run, {})["paper"]["layers"]}
    assert [meta[f"encoder.levels.{i}"] for i in range(5)] == seen


def test_a_setting_that_the_model_has_not_is_refused(params: Params) -> None:
    with pytest.raises(ValueError, match="depth"):
        architectures.with_model_of(params.run("unet-roi-lung"), {"model.depth": 5})


@pytest.mark.parametrize(
    ("modules", "text"),
    [
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()] * 2, "2 x (conv 3x3, BN, ReLU)"),
        ([nn.Conv2d(1, 2, 4, stride=4), nn.LayerNorm(2)], "conv 4x4 /4, LN"),
        ([nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Identity())], "dense 8, dropout 0.5"),
        ([nn.ConvTranspose2d(2, 1, 2, stride=2)], "transposed conv 2x2 /2"),
        ([nn.ELU()] * 3, "3 x ELU"),
        ([nn.Flatten(), nn.MaxPool2d(2)], "flatten, max-pool 2x2"),
    ],
)
def test_kinds_in_words(modules: list[nn.Module], text: str) -> None:
    assert architectures.kind(modules) == text
