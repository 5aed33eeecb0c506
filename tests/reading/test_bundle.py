"""A bundle is whole or it is refused, with the file, the fault and the remedy."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from covidqu.files import sha256
from covidqu.reading import load
from covidqu.reading.bundle import METADATA, digest, open_bundle
from covidqu.reading.model import Model
from support.bundles import GREY_PX, LABELS, grey_bundle
from support.places import ROOT


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grey_bundle(tmp_path_factory.mktemp("bundle") / "tiny").folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "tiny")


def edited(folder: Path, changes: dict[str, Any], *, rehash: bool = True) -> None:
    """Other keys in metadata.json, with a hash that fits them or without."""
    raw = json.loads((folder / METADATA).read_text()) | changes
    (folder / METADATA).write_text(json.dumps(raw | ({"sha256": digest(raw)} if rehash else {})))


def test_each_seed_answers_for_any_number_of_images(whole: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (19, GREY_PX, GREY_PX), dtype=np.uint8)
    model = Model(open_bundle(whole), threads=1)
    first, second = model.outputs(images)
    assert (first["lung"] > 0).tolist() == (images < 110).tolist()
    assert (second["lung"] > 0).tolist() == (images < 100).tolist()
    assert {key: values.dtype for key, values in first.items()} == dict.fromkeys(first, np.dtype("float32"))
    assert first["class"].shape == (len(images), 3) and first["features"].shape == (len(images), 1)
    none = model.outputs(images[:0])[0]
    assert none["lung"].shape == (0, GREY_PX, GREY_PX) and none["class"].shape == (0, 3)
    for wrong in (images.astype(np.float32), images[0], images[:, :32]):
        with pytest.raises(ValueError, match=rf"images: .*, wanted uint8 \(n, {GREY_PX}, {GREY_PX}\)"):
            model.outputs(wrong)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_byte_is_read(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Blanks of the JSON text alone may change: its keys are then the same."""
    name = data.draw(st.sampled_from(sorted(file.name for file in whole.iterdir())))
    text = bytearray((whole / name).read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    (copy / name).write_bytes(text)
    try:
        found = open_bundle(copy)
    except ValueError as error:
        assert str(error).startswith(f"{copy / name}: damaged") and "covidqu export bundle" in str(error)
    else:
        assert name == METADATA and found.metadata == open_bundle(whole).metadata


@pytest.mark.parametrize("name", ["seed0.onnx", "seed1.onnx", "reference.npz", METADATA])
def test_a_missing_or_short_file_is_named(folder: Path, name: str) -> None:
    text = (folder / name).read_bytes()
    (folder / name).write_bytes(text[: len(text) // 2])
    with pytest.raises(ValueError, match=rf"{re.escape(name)}: damaged"):
        open_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"{re.escape(name)}: no such file"):
        open_bundle(folder)


def test_files_of_another_bundle_are_refused(folder: Path, tmp_path: Path) -> None:
    grey_bundle(tmp_path / "other", darks=(90.0, 80.0, 70.0))
    shutil.copy(tmp_path / "other" / "seed2.onnx", folder / "seed1.onnx")
    with pytest.raises(ValueError, match=r"seed1\.onnx: damaged, or of another bundle"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"later": 1}, r"later: .*; written by covidqu 0\.1\.0, use that version"),
        ({"temperature": 0}, "temperature: .*greater than 0"),
        ({"members": []}, "members: "),
        ({"arrays": {"file": "../reference.npz", "sha256": "0" * 64}}, r"arrays\.file: "),
        ({"filters": [{"kind": "sharpen"}]}, "filters"),
    ],
)
def test_keys_that_this_version_does_not_know_are_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    edited(folder, changes)
    with pytest.raises(ValueError, match=rf"metadata\.json: {message}"):
        open_bundle(folder)


def test_an_edited_number_is_no_number_of_the_bundle(folder: Path) -> None:
    edited(folder, {"temperature": 1.5}, rehash=False)
    with pytest.raises(ValueError, match=r"metadata\.json: damaged"):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"sha256": NaN}', "\ufeff{}"])
def test_what_is_no_object_is_damaged(folder: Path, text: str) -> None:
    (folder / METADATA).write_text(text)
    with pytest.raises(ValueError, match=r"metadata\.json: damaged"):
        open_bundle(folder)


def test_what_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`covidqu export bundle` wrote"):
        open_bundle(tmp_path)
    for name in ("nowhere", "a/b", str(tmp_path / "nothing")):
        with pytest.raises(ValueError, match=f"{name}: neither a folder nor a bundle that comes with this package"):
            open_bundle(name)


def test_a_graph_that_cannot_run_is_named(folder: Path) -> None:
    (folder / "seed0.onnx").write_bytes(b"no graph")
    members = json.loads((folder / METADATA).read_text())["members"]
    members[0]["sha256"] = sha256(folder / "seed0.onnx")
    edited(folder, {"members": members})
    with pytest.raises(ValueError, match=r"seed0\.onnx: ONNX Runtime .* cannot run it"):
        Model(open_bundle(folder))


def test_an_array_and_its_file_are_read_alike(whole: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    loaded = load(whole, threads=1)
    of_array, of_file, of_name = (loaded.read(one) for one in (pixels, tmp_path / "one.png", f"{tmp_path}/one.png"))
    assert of_array.masks["lung"].shape == (90, 70) and 0.2 < of_array.masks["lung"].mean() < 1
    for other in (of_file, of_name):
        assert (other.masks["lung"] == of_array.masks["lung"]).all() and other.shares == of_array.shares
        assert other.probabilities == of_array.probabilities and set(other.probabilities) == {*LABELS}
    for wrong in (pixels.astype(np.float32), pixels[None]):
        with pytest.raises(ValueError, match=r"array: .*want \(H, W\)"):
            loaded.read(wrong)


def test_reading_needs_no_torch(whole: Path) -> None:
    code = (
        "import sys, numpy; from covidqu.reading import load; "
        f"load({str(whole)!r}, 1).read(numpy.arange(4096, dtype=numpy.uint8).reshape(64, 64)); "
        "print(*({'torch', 'pandas', 'pyarrow', 'onnx', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_script_of_the_documentation_runs(whole: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    command = [sys.executable, str(ROOT / "docs/reading_from_python.py"), str(tmp_path / "one.png"), str(whole)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for expected in ("no-limits: ", "90 x 70 pixels", "COVID-19: 0.", "both: ", "seed 1: lung (64, 64)"):
        assert expected in done.stdout
    assert Image.open(tmp_path / "one-infection.png").size == (70, 90)
    done = subprocess.run(command[:2], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "PICTURE [BUNDLE]" in done.stderr and "Traceback" not in done.stderr
