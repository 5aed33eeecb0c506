"""Architecture diagrams: laid out from the data alone, nothing overlaps, nothing is cut, the same bytes every time."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation

from covidqu.config.params import Params, load
from covidqu.report.catalogue import ARTEFACTS
from covidqu.report.core.artefacts import Figure, Reads, Wanted
from covidqu.report.core.published import SHOWN
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.architecture_figure import DECODER, ENCODER, Box, architecture, arranged, runs
from covidqu.report.figures import draw, figure
from covidqu.steps.architectures import architectures
from support.places import ROOT

RUNS = {one.name: one.runs for one in ARTEFACTS if isinstance(one, Figure) and Reads.ARCHITECTURES in one.reads}
NAMES = list(RUNS)


@pytest.fixture(scope="module")
def params() -> Params:
    return load([ROOT / "params.yaml"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    folder = tmp_path_factory.mktemp("results")
    architectures(params, folder / "architectures.json")
    return folder


def test_every_system_has_a_diagram() -> None:
    assert {name.split("/")[0] for name in NAMES} == set(SHOWN)


@pytest.mark.parametrize("name", NAMES)
def test_boxes_do_not_touch_and_hold_their_words(name: str, params: Params, results: Path) -> None:
    drawn = architecture(Sources(params, results, results), Wanted(list(RUNS[name]), "caption"))
    renderer = FigureCanvasAgg(drawn).get_renderer()
    axes = drawn.axes[0]
    boxes = {tuple(p.get_window_extent(renderer).bounds): p.get_window_extent(renderer) for p in axes.patches
             if isinstance(p, FancyBboxPatch)}  # fmt: skip
    layers = json.loads((results / "architectures.json").read_text())[RUNS[name][0]]["paper"]["layers"]
    assert len(boxes) == 1 + sum(layer["out"] is not None for layer in layers)
    assert not [pair for pair in combinations(boxes.values(), 2) if pair[0].overlaps(pair[1])]
    inside = 0
    for text in axes.texts:
        extent = text.get_window_extent(renderer)
        if not text.get_text():
            continue  # arrows are annotations without words
        assert extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= drawn.bbox.x1 and extent.y1 <= drawn.bbox.y1, text
        for box in boxes.values():
            if box.overlaps(extent):
                inside += 1
                assert box.x0 < extent.x0 and extent.x1 < box.x1 and box.y0 - 2 < extent.y0 and extent.y1 < box.y1 + 2
    assert inside >= 3 * len(boxes) - 1  # name, kind, output and parameters; the input has no kind


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_file(name: str, params: Params, results: Path) -> None:
    run = RUNS[name][0]
    entry = json.loads((results / "architectures.json").read_text())[run]
    texts = [
        text.get_text() for text in architecture(Sources(params, results, results), Wanted([run], "c")).axes[0].texts
    ]
    for layer in entry["paper"]["layers"]:
        assert any(f"{layer['parameters']:,}" in text for text in texts), layer
    assert any(f"{entry['paper']['parameters']:,} parameters" in text.replace("\n", " ") for text in texts)


def test_both_branches_stand_beside_the_encoder(params: Params, results: Path) -> None:
    found = json.loads((results / "architectures.json").read_text())
    roles = {run: [c.role for c in arranged(found[run])[0]] for run in found}
    assert roles["swin-dual-infection"] == ["lung", ENCODER, "infection"]
    assert roles["recon-mtl-t123"] == ["reconstruction", ENCODER, "infection"]
    assert roles["unet-roi-infection"] == [ENCODER, DECODER]
    assert roles["reference"] == [ENCODER, DECODER]
    assert roles["unetpp-b3"] == [ENCODER, DECODER, DECODER, DECODER, DECODER]
    columns, head, _ = arranged(found["swin-dual-infection"])
    assert [len(column.boxes) for column in columns] == [9, 10, 9] and len(head) == 1


def test_runs_are_cut_where_sides_turn() -> None:
    sides = [256, 256, 128, 64, 128, 128, 256, 64, 128]
    cut = runs([Box(str(i), [], side) for i, side in enumerate(sides)])
    assert [[box.side for box in run] for run in cut] == [[256, 256, 128, 64], [128, 128, 256], [64, 128]]


def test_smaller_networks_say_so(params: Params, results: Path, tmp_path: Path) -> None:
    found = json.loads((results / "architectures.json").read_text())
    found["unet-roi-infection"]["parameters"] = 1234
    (tmp_path / "architectures.json").write_text(json.dumps(found))
    drawn = architecture(Sources(params, tmp_path, tmp_path), Wanted(["unet-roi-infection"], "c"))
    assert any("1,234 parameters" in text.get_text() for text in drawn.axes[0].texts)


def test_reconstruction_without_skips_has_no_dashed_arrow(params: Params, results: Path) -> None:
    def dashed(run: str) -> int:
        texts = architecture(Sources(params, results, results), Wanted([run], "c")).axes[0].texts
        return sum(
            t.arrow_patch is not None and t.arrow_patch.get_linestyle() != "-" for t in texts if not t.get_text()
        )

    assert dashed("recon-mtl-t123") == 8 and dashed("recon-mtl-t123-no-skips") == 4


def test_the_nested_decoder_is_drawn_with_what_each_block_reads(params: Params, results: Path) -> None:
    """Ten blocks read a map of the row below (solid) and those of their row (dashed); the eleventh has no row."""
    drawn = architecture(Sources(params, results, results), Wanted(["unetpp-b3"], "caption")).axes[0]
    arrows = [text.arrow_patch for text in drawn.texts if isinstance(text, Annotation) and text.arrow_patch]
    dashed = [arrow for arrow in arrows if arrow.get_linestyle() not in ("-", "solid")]
    assert len(dashed) == 10
    assert len(arrows) - len(dashed) == 5 + 11 + 1  # along the encoder, into the blocks, to the head


def test_ours_names_no_paper(params: Params, results: Path) -> None:
    drawn = draw(Sources(params, results, results), "reference/architecture")
    texts = [text.get_text() for text in drawn.axes[0].texts]
    title = next(text for text in texts if "parameters, input" in text.replace("\n", " ")).replace("\n", " ")
    assert title.startswith(
        "Ours (reference): architecture, multi-task U-Net, infection gated by its lungs on resnet34"
    )
    assert "24,438,053 parameters" in title and not any("aper" in text for text in texts)


def test_the_same_bytes_and_a_clear_word(params: Params, results: Path, tmp_path: Path) -> None:
    for part in ("a", "b"):
        figure(Sources(params, tmp_path, results), "swin-dual/figure-1", tmp_path / part / "f.svg")
    assert (tmp_path / "a/f.svg").read_bytes() == (tmp_path / "b/f.svg").read_bytes()
    with pytest.raises(ValueError, match=r"architectures\.json: missing or without swin-dual-infection"):
        figure(Sources(params, tmp_path, tmp_path), "swin-dual/figure-1", tmp_path / "f.svg")
