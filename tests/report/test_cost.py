"""What runs cost: operations against hand counts, one file of all runs, the table and the figure of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.text import Text
from torch import Tensor, nn

from covidqu.config.params import Params
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.systems.cost import deployed_with, images_seen, init_chain, training_minutes
from covidqu.report.tables import build
from covidqu.steps import cost
from support.copies import Copy
from support.synthetic_runs import cell, settings, write_cost, write_run

KEPT = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted", "reference")
SPEEDS = ("inference", "training")


class Tiny(nn.Module):
    """(B, 3, 8, 8) -> the named layers; with `linear`, five numbers of the means of their four channels."""

    def __init__(self, *layers: str) -> None:
        super().__init__()
        made = {
            "conv": nn.Conv2d(3, 4, 3, padding=1),
            "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
            "up": nn.ConvTranspose2d(4, 2, 2, stride=2),
        }
        self.body = nn.Sequential(*[made[name] for name in layers if name in made])
        self.head = nn.Linear(4, 5) if "linear" in layers else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.body(image)
        return {"class": self.head(maps.mean((2, 3)))} if self.head else {"infection": maps}


CONV, DEPTHWISE, UP, LINEAR = (2 * macs for macs in (8 * 8 * 9 * 3 * 4, 8 * 8 * 9 * 4, 8 * 8 * 4 * 4 * 2, 4 * 5))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_operations_by_hand(device: str) -> None:
    with torch.device(device):
        net, image = Tiny("conv", "linear"), torch.zeros(1, 3, 8, 8)
        assert cost.operations(net, image) == CONV + LINEAR
        # the image needs no gradient, so the first layer costs twice its forward pass, every later one three times
        assert cost.operations(net, image, backward=True) == 2 * CONV + 3 * LINEAR
        assert cost.operations(net, torch.zeros(2, 3, 8, 8)) == 2 * (CONV + LINEAR)
        deep = Tiny("conv", "depthwise", "up")
        assert cost.operations(deep, image) == CONV + DEPTHWISE + UP
        assert cost.operations(deep, image, backward=True) == 2 * CONV + 3 * (DEPTHWISE + UP)


def test_frozen_layers_cost_no_gradient() -> None:
    net = Tiny("conv", "depthwise").requires_grad_(False)
    net.body[1].requires_grad_(True)
    assert cost.operations(net, torch.zeros(1, 3, 8, 8), backward=True) == CONV + 2 * DEPTHWISE


@pytest.fixture(scope="module")
def few() -> Params:
    return small_runs()


def small_runs(**widths: int) -> Params:
    """Four small runs, one of which is evaluated only; `reference` mirrors its images."""
    runs: dict[str, Any] = dict.fromkeys(settings().runs)
    runs |= {name: {"init": "random", "model": {"width": widths.get(name, 4)}} for name in KEPT[:3]}
    model = {"encoder": "tu-mobilenetv4_conv_small", "decoder_channels": [8, 8, 8, 8, 8]}
    runs["reference"] = {"init": "random", "model": model}
    anchor = {"image_px": 32, "batch": 2, "threads": 1, "precision": "32-true", "accelerator": "cpu"}
    return settings(anchor=anchor, runs=runs, explain=[])


def test_one_file_of_all_runs(few: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "SECONDS", 0.0)
    monkeypatch.setattr(cost, "STEPS", 1)
    found = []
    for name in ("one.json", "two.json"):
        cost.cost(few, tmp_path / name)
        found.append(json.loads((tmp_path / name).read_text()))
    assert list(found[0]["runs"]) == list(KEPT)
    for run, entry in found[0]["runs"].items():
        flip = few.run(run).flip_test
        assert entry["flops_deployed"] == entry["flops_forward"] * (2 if flip else 1)
        for kind in SPEEDS:
            if entry[kind] is not None:
                assert entry[kind]["images_per_s"] > 0 and entry[kind]["threads"] == 1 and entry[kind]["device"]
    predicted = found[0]["runs"][KEPT[2]]
    assert predicted["training"] is None and predicted["flops_training"] is None
    assert predicted["inference"]["measured_as"] == KEPT[1], "the same network, measured once"
    lung = found[0]["runs"][KEPT[0]]
    assert 2.9 < lung["flops_training"] / lung["flops_forward"] < 3, "three times, but for the first layer"
    for one in found:
        for entry in one["runs"].values():
            for kind in SPEEDS:
                (entry[kind] or {}).pop("images_per_s", None)
    assert found[0] == found[1]


def test_a_speed_is_measured_again_for_other_settings_or_code_only(
    few: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = iter(range(1, 100))
    monkeypatch.setattr(cost, "seconds", lambda *_: float(next(taken)))
    file = tmp_path / "cost.json"
    cost.cost(few, file)
    first, text = json.loads(file.read_text())["runs"], file.read_text()
    cost.cost(few, file)
    assert file.read_text() == text
    cost.cost(small_runs(**{"unet-roi-lung": 6}), file)
    then = json.loads(file.read_text())["runs"]
    moved = {(run, kind) for run in KEPT for kind in SPEEDS if then[run][kind] != first[run][kind]}
    assert moved == {("unet-roi-lung", kind) for kind in SPEEDS}
    monkeypatch.setattr(cost.torch, "__version__", "another")
    cost.cost(few, file)
    again = json.loads(file.read_text())["runs"]
    assert all(again[run][kind] != then[run][kind] for run in KEPT for kind in SPEEDS if then[run][kind])


def test_speed_is_a_median_after_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 11.0, 20.0, 25.0, 30.0, 32.0])  # the warm-up reads it once
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(cost, "SECONDS", 0.0)
    monkeypatch.setattr(cost, "STEPS", 3)
    assert cost.seconds(lambda: None, torch.device("cpu")) == 2.0


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    root = tmp_path_factory.mktemp("costs")
    for run in params.base_runs:
        write_run(root, params, run, {})
    for run, epochs in (("swin-dual-lung", 4), ("unet-roi-infection-predicted", 0)):
        path = root / "runs" / run / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"epochs_run": epochs, "seconds": 30.0}))
    write_cost(root, params)
    return root


def test_training_is_that_of_the_whole_chain(params: Params, results: Path) -> None:
    sources = Sources(params, results, results)
    run = "unet-roi-infection-predicted"
    assert init_chain(params, run) == [run, "unet-roi-infection", "unet-roi-lung"]
    assert deployed_with(params, run) == [run, "unet-roi-lung"]
    assert images_seen(sources, "swin-dual-infection") == (3 + 4) * 60
    assert images_seen(sources, run) == (0 + 3 + 3) * 60
    assert training_minutes(sources, run) == pytest.approx(360 / 10 / 60)


def test_table(params: Params, results: Path) -> None:
    built = build(Sources(params, results, results), "common/cost")
    row, place = "unet-roi-infection-predicted", {run: i + 1 for i, run in enumerate(params.base_runs)}

    def value(run: str, column: str) -> Any:
        return cell(built, run, column).measured_correct

    assert [c.row for c in built.cells[::8]] == params.base_runs
    assert value(row, "GFLOPs per image, as deployed") == place[row] + place["unet-roi-lung"]
    assert value(row, "inference, images/s") == pytest.approx(50), "two networks of 100 images a second"
    assert value("reference", "GFLOPs per image, as deployed") == 2 * place["reference"]
    assert cell(built, row, "training, images/s").words == "not applicable: evaluates the weights of unet-roi-infection"
    assert value("swin-dual-infection", "training, minutes at that speed") == pytest.approx(420 / 10 / 60)
    assert value("swin-dual-infection", "training, minutes as it ran") == pytest.approx((90 + 30) / 60)
    words = cell(built, "swin-dual-lung", "training, images/s").note
    assert words == "a CPU, 1 thread, batch 8, 32-true, measured as run unetpp-b3"
    dice = cell(build(Sources(params, results, results), "common/cross-system"), "unetpp-b3", "infection Dice")
    assert value("unetpp-b3", "infection Dice") == dice.measured_correct


def test_without_costs_or_runs_nothing_is_claimed(params: Params, results: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(results / "runs")
    built = build(Sources(params, tmp_path, tmp_path), "common/cost")
    for column in ("parameters", "inference, images/s", "training, minutes at that speed"):
        assert cell(built, "unetpp-b3", column).words == "not run: the step `cost` was not run"
    assert cell(built, "unetpp-b3", "training images seen").measured_correct == 180
    with pytest.raises(ValueError, match=r"cost\.json: the step `cost` was not run; run the step `cost`"):
        figure(Sources(params, tmp_path, tmp_path), "common/cost", tmp_path / "cost.svg")
    nothing = build(Sources(params, tmp_path, tmp_path / "nowhere"), "common/cost")
    assert all(c.status in ("not run", "no such output", "not applicable") for c in nothing.cells)
    shown = json.loads((results / "cost.json").read_text())
    del shown["runs"]["unet-roi-lung"]
    (tmp_path / "cost.json").write_text(json.dumps(shown))
    built = build(Sources(params, tmp_path, tmp_path), "common/cost")
    assert cell(built, "unet-roi-infection", "parameters").words == "not run: cost.json has no run unet-roi-lung"


def test_figure_names_every_headline_run_apart(params: Params, results: Path, tmp_path: Path) -> None:
    from covidqu.report.systems.cost_figure import figure as cost_figure
    from covidqu.report.systems.headline_runs import HEADLINE_RUNS

    drawn = cost_figure(Sources(params, results, results), Wanted([], "words"))
    drawn.draw_without_rendering()  # names know their places only then
    renderer = drawn.canvas.get_renderer()
    for axes in drawn.axes:
        assert {text.get_text() for text in axes.texts} == HEADLINE_RUNS.keys()
        boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]  # without the line to the marker
        assert not any(box.count_overlaps(boxes[i + 1 :]) for i, box in enumerate(boxes))
    for name in ("a.svg", "b.svg"):
        figure(Sources(params, results, results), "common/cost", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_targets_name_the_file(params: Params) -> None:
    cost, boundary = (catalogue.table(name, params) for name in ("common/cost", "common/boundary"))
    assert "cost.json" in cost.results(params) and "cost.json" not in boundary.results(params)
    assert set(params.base_runs) <= set(cost.behind(params))


@pytest.mark.pipeline
def test_a_failed_measurement_is_not_taken_for_done(copy: Copy) -> None:
    """Of a file that is to be updated, Snakemake brings the old one back, and forgets that its job has failed."""
    file, step = copy.folder / "results" / "cost.json", copy.folder / "src" / "covidqu" / "steps" / "cost.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(known := '{"versions": {}, "runs": {}}')
    step.write_text(step.read_text() + "\nraise ValueError('broken')\n")
    copy("snakemake", "--cores", "1", "results/cost.json", status=1)
    assert file.with_name(".cost.json.kept").read_text() == known, "measured speeds are not lost"
    assert "Nothing to be done" not in copy("snakemake", "-n", "results/cost.json")
