"""Runs as ONNX files and bundles: what is written, and what is refused with a remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from covidqu.cli import main
from covidqu.config.params import check, merge
from covidqu.data.index import open_packed
from covidqu.files import sha256
from covidqu.reading import load
from covidqu.reading.bundle import METADATA, open_bundle
from covidqu.reading.model import Graphs, Model
from covidqu.steps.bundle import bundle, of_runs
from covidqu.steps.bundle import model as export_model
from support import parameters
from support.training import Workplace, awake

Make = Callable[..., Workplace]
NAMES = ["reference", "reference-seed1"]
SMALL = {
    "model": {"encoder": "resnet18", "decoder_channels": [8, 8, 8, 8, 8]},
    "split": "official",
}
METRICS = '{"lung": {"img_covid_dice": 0.9}, "infection": {"img_covid_dice": %s}, "class": {"accuracy": 0.5}}'


@pytest.fixture
def trained(workplace: Make) -> Workplace:
    """Two seeds of `reference` with weights and metrics, and the data where the steps look for them."""
    place = workplace(runs={"reference": SMALL})
    folder = str(place.folder)
    place.raw = merge(place.raw, {"paths": {"data": folder, "results": folder}})
    place.params = check(place.raw)
    (place.folder / "packed").symlink_to(place.packed)
    for seed, name in enumerate(NAMES):
        awake(place, name, seed)
        place.out(name).mkdir(parents=True)
        (place.out(name) / "metrics.json").write_text(METRICS % (0.5 + seed / 10))
    return place


def test_a_bundle_says_all_and_is_the_same_bytes_again(trained: Workplace, tmp_path: Path) -> None:
    for out in ("one", "two"):
        bundle(NAMES, trained.params, trained.folder, trained.folder, tmp_path / out)
    one, two = ({f.name: sha256(f) for f in (tmp_path / out).iterdir()} for out in ("one", "two"))
    assert one == two and len(one) == 5
    found = open_bundle(tmp_path / "one")
    about = found.metadata
    assert about.scores["infection Dice, COVID-19 images"] == [0.5, 0.6] and [m.seed for m in about.members] == [0, 1]
    assert about.trust.keys() >= {"no-chest", "inverted", "seeds-lungs", "in-training-set"}
    assert about.training_data.images == 12 and len(found.arrays["hashes"]) == 12
    assert about.temperature != 1 and about.weights == "float16"
    head, text = (tmp_path / "one" / "README.md").read_text().removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(head)["library_name"] == "onnx" and "not-for-diagnosis" in yaml.safe_load(head)["tags"]
    for part in (
        "not for diagnosis",
        "infection Dice, COVID-19 images | 0.500 | 0.600 |",
        "in-training-set",
        "n, 256, 256",
    ):
        assert part in text
    for graph in found.graphs:
        text = onnx.load(graph).SerializeToString()
        assert b"site-packages" not in text and b"/src/" not in text, "paths of the machine that exported it"
    row = int(open_packed(trained.packed).rows("infection")[0])
    reading = load(tmp_path / "one", threads=1).read(np.asarray(open_packed(trained.packed).images[row]))
    assert "in-training-set" in {warning.code for warning in reading.warnings}


def test_weights_of_half_the_size_give_nearly_the_same(trained: Workplace, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    found = {}
    for stored in ("float32", "float16"):
        file = tmp_path / f"{stored}.onnx"
        export_model("reference", trained.params, trained.folder, file, stored)
        found[stored] = file.stat().st_size, Graphs([file], 1)(images)[0]
    assert found["float16"][0] < 0.55 * found["float32"][0]
    for key, values in found["float32"][1].items():
        difference = np.abs(values - found["float16"][1][key]).max()
        assert 0 < difference < 0.01 * np.ptp(values), key


def test_any_trained_run_is_read_with(trained: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made = of_runs(["reference"], None, trained.params)
    assert open_bundle(made).metadata.trust and of_runs(["reference"], None, trained.params) == made
    shutil.copy(trained.weights("reference-seed1"), tmp_path / "mine.safetensors")
    (trained.folder / "split.parquet").unlink()
    other = of_runs([], tmp_path / "mine.safetensors", trained.params)
    assert other != made and "no limits for warnings" in capsys.readouterr().err
    about = open_bundle(other).metadata
    assert about.trust == {} and about.limits[0].startswith("Made without the training data")
    assert about.members[0].weights_sha256 == sha256(tmp_path / "mine.safetensors") and about.members[0].seed == 1
    assert Model(open_bundle(other), 1).outputs(np.zeros((1, 32, 32), np.uint8))[0]["lung"].shape == (1, 256, 256)


def test_what_cannot_be_exported_is_refused_with_a_remedy(trained: Workplace, tmp_path: Path) -> None:
    params, folder = trained.params, trained.folder
    awake(trained, "unet-roi-infection")
    with pytest.raises(ValueError, match=r"unet-roi-infection: roi: ground-truth.*unet-roi-infection-predicted"):
        export_model("unet-roi-infection", params, folder, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"swin-dual-lung\.safetensors: no such file; train the run"):
        export_model("swin-dual-lung", params, folder, tmp_path / "a.onnx")
    for names in (["reference", "swin-dual-lung"], ["reference", "reference"]):
        with pytest.raises(ValueError, match=r"different seeds of one run, as reference, reference-seed1"):
            bundle(names, params, folder, folder, tmp_path / "b")
    (tmp_path / "full").mkdir()
    with pytest.raises(ValueError, match="full: is there and is no bundle"):
        bundle(NAMES, params, folder, folder, tmp_path / "full")
    (trained.out("reference") / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"metrics\.json: no such file; `predict` and `score` the run 'reference'"):
        bundle(NAMES, params, folder, folder, tmp_path / "b")
    trained.set_run("reference", {"image_px": 64})
    with pytest.raises(ValueError, match="trained with image_px 32, the settings say 64; give the parameter files"):
        export_model("reference", trained.params, folder, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="is of one run, 2 are named"):
        of_runs(NAMES, trained.weights("reference"), params)
    assert not list(tmp_path.glob("*.onnx")) and not (tmp_path / "b").exists()


def test_the_command(trained: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (trained.folder / "params.yaml").write_text(parameters.text(trained.raw))
    words = ["--params", str(trained.folder / "params.yaml"), "export", "model"]
    assert main([*words, *NAMES, "--out", str(tmp_path / "a.onnx")]) == 2
    assert "one model at a time" in capsys.readouterr().err
    assert main([*words, "reference", "--out", str(tmp_path / "a.onnx"), "--results", str(trained.folder)]) == 0
    props = {one.key: one.value for one in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert props["notice"] == "Research software, not for diagnosis" and props["run"] == "reference"
    assert "resized to 32 x 32" in props["preprocessing"] and "softmax of 3 logits" in props["postprocessing"]
    assert METADATA not in {file.name for file in tmp_path.iterdir()}
