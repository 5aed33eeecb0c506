"""`covidqu read`: files and folders in, overlays, masks, JSON files and a table out; what is kept, skipped and said."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import highdicom
import numpy as np
import pydicom
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import covidqu
from covidqu.cli import main
from covidqu.config.params import Params
from covidqu.config.training import Opening
from covidqu.data.examples import resized as example_resized
from covidqu.reading import geometry, truth
from covidqu.reading.bundle import NOTICE, open_bundle
from covidqu.reading.inputs import inputs
from covidqu.reading.model import Model
from covidqu.reading.outputs import LEAST_OVERLAY, lines, overlay, percent, row, wrapped
from covidqu.reading.pictures import Picture, of_array
from covidqu.reading.reading import dice, measured, midline, probabilities, read
from covidqu.reading.trust import Warning
from support.bundles import GREY_PX, grey_bundle
from support.places import ROOT
from support.radiographs import chest, dicom, enlarged, png, written


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "grey"
    grey_bundle(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of several kinds in folders, two of the same name, and files that are none."""
    place = tmp_path / "in"
    for name in ("a", "b/deep", ".hidden"):
        (place / name).mkdir(parents=True)
    (place / "a/x.png").write_bytes(png(chest(1).image))
    (place / "b/deep/x.png").write_bytes(png(enlarged(chest(2).image, 500, 700)))
    (place / "b/deep/x.jpg").write_bytes((place / "b/deep/x.png").read_bytes())  # known by its content
    (place / "b/1.2.840.5").write_bytes(b"")
    written(dicom(enlarged(chest(3).image, 300, 400).astype(np.uint16) * 16, bits=12), place / "b/1.2.840.5")
    (place / "b/broken.png").write_bytes(png(chest(4).image)[:3000])
    (place / "notes.txt").write_text("not a picture")
    (place / ".hidden/y.png").write_bytes(png(chest(5).image))
    (place / "a/.z.png").write_bytes(png(chest(5).image))
    return place


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "readings.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def call(*words: object) -> int:
    return main(["read", *map(str, words)])


def made(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_read_and_what_is_no_picture_is_said(
    folder: Path, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no params.yaml here
    out = tmp_path / "out"
    assert call(folder, "--out", out, "--model", grey) == 1
    said = capsys.readouterr().err
    assert f"covidqu read: {folder}/b/broken.png: damaged, cut or no picture" in said
    assert "1 other files" in said and f"4 of 5 read: {out}/readings.csv. {NOTICE}." in said
    found = rows(out)
    assert list(found) == ["a/x", "b/1.2.840.5", "b/broken", "b/deep/x.jpg", "b/deep/x.png"]
    assert [one["status"] for one in found.values()] == ["read", "read", "error", "read", "read"]
    assert all(one["use"] == NOTICE for one in found.values())
    for name, one in found.items():
        if one["status"] == "error":
            assert "broken.png: damaged" in one["error"] and not (out / f"json/{name}.json").exists()
            continue
        record = json.loads((out / f"json/{name}.json").read_text())
        assert record["use"] == NOTICE and record["model"]["sha256"] == open_bundle(grey).metadata.sha256
        assert len(record["model"]["members"]) == 2 and record["versions"]["covidqu"]
        for task in ("lung", "infection"):
            with Image.open(out / f"{task}/{name}.png") as mask:
                assert mask.info["Comment"] == NOTICE and mask.size == (int(one["width"]), int(one["height"]))
                pixels = np.asarray(mask)
            assert set(np.unique(pixels)) <= {0, 255}
            assert np.count_nonzero(pixels) == int(one[f"{task}_px_both"]) > 0
        shares = [float(one[f"infected_share_{side}"]) for side in ("both", "image_left", "image_right")]
        assert min(shares[1:]) <= shares[0] <= max(shares[1:])
        assert (out / f"overlay/{name}.png").is_file()
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("*.lock"))
    assert not (tmp_path / ".covidqu").exists()


def test_what_was_read_is_not_read_again(
    folder: Path, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b/broken.png").unlink()
    out = tmp_path / "out"
    assert call(folder, "--out", out, "--model", grey) == 0
    before = made(out)
    monkeypatch.setattr("covidqu.reading.read.Model", None)  # nothing is read
    (out / "readings.csv").unlink()
    assert call(folder, "--out", out, "--model", grey) == 0
    assert made(out) == before
    monkeypatch.undo()
    (folder / "a/x.png").write_bytes(png(chest(7).image))
    (out / "lung/b/deep/x.jpg.png").write_bytes(b"cut")
    assert call(folder, "--out", out, "--model", grey) == 0
    after = made(out)
    changed = {name for name in before if before[name] != after[name]}
    assert {n for n in changed if n != "readings.csv"} == {f"{k}/a/x.{s}" for k, s in KINDS}
    assert set(after) == set(before)
    other = tmp_path / "other"
    grey_bundle(other, darks=(90.0,))
    assert call(folder, "--out", out, "--model", other) == 0
    assert json.loads((out / "json/a/x.json").read_text())["model"]["sha256"] == open_bundle(other).metadata.sha256


KINDS = (("overlay", "png"), ("lung", "png"), ("infection", "png"), ("json", "json"))


def test_results_of_a_file_that_went_bad_are_removed(folder: Path, grey: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call(folder / "a", "--out", out, "--model", grey)
    assert (out / "overlay/x.png").is_file()
    (folder / "a/x.png").write_bytes(b"no picture")
    assert call(folder / "a", "--out", out, "--model", grey) == 1
    assert set(made(out)) == {"readings.csv"} and rows(out)["x"]["status"] == "error"


def test_a_kill_leaves_nothing_half_written_and_the_rest_is_read_then(grey: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "many", tmp_path / "out"
    place.mkdir()
    for number in range(60):
        (place / f"{number:02}.png").write_bytes(png(enlarged(chest(number % 4).image, 900, 900)))
    words = [sys.executable, "-m", "covidqu", "read", str(place), "--out", str(out), "--model", str(grey)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.rglob("*.json"))) < 8:
            time.sleep(0.01)
        assert process.poll() is None, "it is killed in the middle"
        process.send_signal(signal.SIGKILL)
    left = [path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in left:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        else:
            record = json.loads(path.read_text())
            assert all((out / kind / f"{path.stem}.png").is_file() for kind in record["files"])
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    assert call(place, "--out", out, "--model", grey) == 0
    assert len(rows(out)) == 60 and {path: path.stat().st_mtime_ns for path in first} == first


def test_neighbours_and_threads_do_not_change_a_reading(folder: Path, grey: Path, tmp_path: Path) -> None:
    (folder / "b/broken.png").unlink()
    call(folder, "--out", tmp_path / "all", "--model", grey, "--threads", 2)
    call(folder / "a/x.png", "--out", tmp_path / "one", "--model", grey, "--threads", 1)
    one, every = made(tmp_path / "one"), made(tmp_path / "all")
    for kind, suffix in KINDS[1:3]:
        assert one[f"{kind}/x.{suffix}"] == every[f"{kind}/a/x.{suffix}"]


def test_some_seeds_alone_are_another_reading(folder: Path, grey: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "out", [folder / "a/x.png", "--out", tmp_path / "out", "--model", grey]
    for seeds in ([0, 1], [0], [0, 1]):
        assert call(*words, "--seeds", len(seeds)) == 0
        record = json.loads((out / "json/x.json").read_text())
        assert record["seeds"]["seed"] == [member["seed"] for member in record["model"]["members"]] == seeds
        assert (rows(out)["x"]["lung_dice_between_seeds"] == "") == (len(seeds) == 1)
    assert call(*words) == 0 and json.loads((out / "json/x.json").read_text()) == record
    alone = covidqu.load(grey, seeds=1).read(folder / "a/x.png")
    assert alone.seeds["seed"] == [0] and alone.seeds["dice"] == {"lung": None, "infection": None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["some", "--out", "o", "--seeds", "3"], "--seeds 3: "),
        (["nowhere.png", "--out", "o"], "nowhere.png: no such file or folder"),
        (["*.gif", "--out", "o"], "*.gif: no file matches this pattern"),
        (["empty", "--out", "o"], "empty: no picture found"),
        (["some", "--out", "some"], "some: the results would be written into it"),
        (["some/deep", "--out", "some"], "some/deep: the results would be written into it"),
        (["some", "--out", "some/x.png"], "some/x.png: is a file"),
        (["some", "--out", "o", "--model", "none"], "none: neither a folder nor a bundle"),
        (["some", "--out", "o", "--model", "grey", "--run", "reference"], "--model grey: it is a model already"),
        (["some", "--out", "o", "--truth", "none"], "none: no such folder"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    words: list[str], said: str, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some/deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "some/x.png").write_bytes(png(chest().image))
    (tmp_path / "some/deep/x.png").write_bytes(png(chest().image))
    assert main(["read", *words, *([] if "--model" in words else ["--model", str(grey)])]) == 2
    assert f"covidqu read: {said}" in capsys.readouterr().err.splitlines()[-1]


def test_names_of_results(tmp_path: Path) -> None:
    for name in ("p/a.png", "p/a.tif", "q/a.png", "q/1.2.3", "out/overlay/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM" if name.endswith("3") else b"")
    found, others = inputs([tmp_path], tmp_path / "out")
    assert [one.name for one in found] == ["p/a.png", "p/a.tif", "q/1.2.3", "q/a"] and not others
    assert [one.name for one in inputs([tmp_path / "q/a.png"], tmp_path / "out")[0]] == ["a"]
    both = inputs([tmp_path / "p/a.png", tmp_path / "q/a.png", tmp_path / "q"], tmp_path / "out")[0]
    assert [one.name for one in both] == ["p/a", "q/1.2.3", "q/a"]
    assert [one.name for one in inputs([tmp_path / "*/a.png"], tmp_path / "out")[0]] == ["p/a", "q/a"]
    (tmp_path / "p/loop").symlink_to(tmp_path / "p")
    assert len(inputs([tmp_path / "p"], tmp_path / "out")[0]) == 2


def test_odd_names(grey: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "in", tmp_path / "out"
    place.mkdir()
    names = ["new\nline.png", "Ünï.png", os.fsdecode(b"no\xfftext.png"), "[a]*.png", "-.png"]
    for name in names:
        (place / name).write_bytes(png(chest().image))
    assert call(place, "--out", out, "--model", grey) == 0
    assert len(rows(out)) == len(names) and "no\\xfftext" in rows(out)
    (place / f"{'l' * 250}.png").write_bytes(png(chest().image))
    assert call(place, "--out", out, "--model", grey) == 1
    assert "name is too long" in rows(out)["l" * 250]["error"]


def test_a_reading_imports_neither_torch_nor_pandas(grey: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(chest().image))
    code = f"""
import sys
from covidqu.cli import main
assert main(["read", {str(tmp_path / "x.png")!r}, "--out", {str(tmp_path / "o")!r}, "--model", {str(grey)!r}]) == 0
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.split(".")[0] for name in done.stdout.split()}
    assert not found & {"torch", "pandas", "pyarrow", "highdicom", "pydicom", "matplotlib", "skimage", "onnx"}
    assert "onnxruntime" in found


def test_trained_runs_are_read_with_as_a_bundle(grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def of_runs(names: list[str], weights: Path | None, params: Params) -> Path:
        asked.append((names, weights, params.report.title))
        return grey

    monkeypatch.setattr("covidqu.steps.bundle.of_runs", of_runs)
    (tmp_path / "x.png").write_bytes(png(chest().image))
    (tmp_path / "title.yaml").write_text("report: {title: MINE}\n")
    settings_of = ["--params", ROOT / "params.yaml", "--params", tmp_path / "title.yaml"]
    words = [tmp_path / "x.png", "--out", tmp_path / "o"]
    assert call(*words, "--run", "reference", "--run", "reference-seed1", *settings_of) == 0
    assert call(*words, "--weights", "w.safetensors", *settings_of) == 0
    assert asked == [(["reference", "reference-seed1"], None, "MINE"), ([], Path("w.safetensors"), "MINE")]
    assert rows(tmp_path / "o")["x"]["model"] == "grey"


# --- geometry ---


def test_an_image_of_the_data_set_is_seen_as_in_a_training(grey: Path) -> None:
    image = chest().image
    picture = of_array(image)
    assert geometry.as_data(picture) is not None and (geometry.as_data(picture) == image).all()
    for px in (64, 112, 256, 320):
        assert (geometry.as_input(image, [], px) == example_resized(image, px)).all()
    opened = cv2.morphologyEx(image, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    assert (geometry.as_input(image, [Opening(kind="opening", px=5)], 64) == example_resized(opened, 64)).all()
    found = read(picture, Model(open_bundle(grey)))
    seen = example_resized(image, GREY_PX).astype(np.float32)
    logits = np.mean([(110 - seen) * np.float32(0.1), (100 - seen) * np.float32(0.1)], axis=0)
    assert (found.masks["lung"] == (cv2.resize(logits, (256, 256), interpolation=cv2.INTER_LINEAR) > 0)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(32, 700), st.integers(32, 700), st.integers(0, 30), st.integers(0, 30))
def test_masks_come_back_where_they_were_found(width: int, height: int, top: int, left: int) -> None:
    """A dark box in a bright picture, within a border, is where its mask is, whatever the size."""
    pixels = np.full((height + top, width + left), 200, np.uint8)
    box = slice(top + height // 4, top + height * 3 // 4), slice(left + width // 4, left + width * 3 // 4)
    pixels[box] = 0
    picture = Picture(Path("p"), pixels, "", "array", (top, left, top + height, left + width))
    mask = geometry.as_mask(100.0 - geometry.as_data(picture).astype(np.float32), picture)
    wanted = np.zeros_like(mask)
    wanted[box] = True
    assert mask.shape == pixels.shape and dice(mask, wanted) > 0.9


# --- numbers ---


def test_sides_of_the_lungs() -> None:
    lung, infection = np.zeros((100, 200), bool), np.zeros((100, 200), bool)
    lung[20:80, 30:70] = lung[20:60, 90:150] = True
    infection[20:80, 30:50] = True
    infection[90:, :] = True  # outside the lungs
    pixels, shares = measured({"lung": lung, "infection": infection})
    assert pixels["lung"] == {"both": 4800, "image_left": 2400, "image_right": 2400}
    assert shares == {"both": 0.25, "image_left": 0.5, "image_right": 0.0}
    assert pixels["infection"]["both"] == 3200 and pixels["infection_in_lung"]["both"] == 1200
    assert measured({"lung": lung})[1] == {} and measured({})[1] == {}
    empty = np.zeros_like(lung)
    assert measured({"lung": empty, "infection": infection})[1] == dict.fromkeys(shares)
    assert midline(empty) == 100


def test_lungs_of_phantoms_are_divided_between_them() -> None:
    for seed in range(20):
        lung = chest(seed).lung
        parts, labels = cv2.connectedComponents(lung.astype(np.uint8))
        if parts != 3:
            continue
        middle = midline(lung)
        left = [set(np.unique(labels[:, part])) - {0} for part in (slice(None, middle), slice(middle, None))]
        sizes = [np.count_nonzero((labels == n)[:, :middle]) / np.count_nonzero(labels == n) for n in (1, 2)]
        assert all(left) and sorted(round(size) for size in sizes) == [0, 1]
        assert all(size < 0.1 or size > 0.9 for size in sizes)


def test_one_lung_is_on_its_side() -> None:
    lung = np.zeros((100, 200), bool)
    cv2.ellipse(lung.view(np.uint8), (50, 50), (30, 40), 0, 0, 360, 1, -1)
    pixels, _ = measured({"lung": lung})
    assert pixels["lung"]["image_left"] == pixels["lung"]["both"] > 0


def test_probabilities_are_those_of_the_temperature(grey: Path) -> None:
    found = probabilities([np.array([0.0, 1.0, 2.0])] * 2, open_bundle(grey))
    powers = np.exp([0, 0.5, 1.0])
    assert list(found) == ["Normal", "Non-COVID", "COVID-19"]
    assert np.allclose(list(found.values()), powers / powers.sum())


def test_labels_that_share_a_class_are_named_together(tmp_path: Path) -> None:
    grey_bundle(tmp_path / "two", classes={"Normal": 0, "Non-COVID": 0, "COVID-19": 1}, temperature=1.0)
    found = probabilities([np.array([0.0])], open_bundle(tmp_path / "two"))
    assert found == {"Normal or Non-COVID": 0.5, "COVID-19": 0.5}


def test_disagreement_of_seeds(grey: Path, tmp_path: Path) -> None:
    found = read(of_array(chest().image), Model(open_bundle(grey)))
    assert found.seeds["seed"] == [0, 1] and 0 < found.seeds["dice"]["lung"] < 1
    low, high = sorted(found.seeds["infected_share_of_lung"])
    assert low < high
    grey_bundle(tmp_path / "same", darks=(100.0, 100.0))
    found = read(of_array(chest().image), Model(open_bundle(tmp_path / "same")))
    assert found.seeds["dice"] == {"lung": 1.0, "infection": 1.0}
    grey_bundle(tmp_path / "alone", darks=(100.0,), outputs=["infection"])
    found = read(of_array(chest().image), Model(open_bundle(tmp_path / "alone")))
    assert found.seeds["dice"] == {"infection": None} and found.shares == {} and found.probabilities == {}
    assert json.dumps(found.to_json(), allow_nan=False)


# --- pictures to look at ---


@pytest.mark.parametrize(("width", "height"), [(32, 32), (256, 256), (90, 900), (900, 90), (2500, 2000)])
def test_the_notice_is_above_the_picture_and_hides_nothing(grey: Path, width: int, height: int) -> None:
    found = read(of_array(enlarged(chest().image, width, height)), Model(open_bundle(grey)))
    drawn = overlay(replace(found, masks={}), "name")
    assert min(drawn.shape[:2]) >= min(LEAST_OVERLAY, min(width, height) * (LEAST_OVERLAY // min(width, height)))
    times = max(1, -(-LEAST_OVERLAY // min(width, height)))
    shown = cv2.resize(found.picture.pixels, (width * times, height * times), interpolation=cv2.INTER_CUBIC)
    (above,) = (top for top in range(200) if (drawn[top : top + len(shown)] == shown[..., None]).all())
    assert ((drawn[:above] == 255).all(axis=2)).sum() > 100, "white letters"


def test_numbers_of_no_chest_are_left_out(grey: Path) -> None:
    found = read(of_array(chest().image), Model(open_bundle(grey)))
    doubtful = replace(found, warnings=(*found.warnings, Warning("no-chest", "no chest", 2.0, 1.5)))
    for one, useful in ((found, True), (doubtful, False)):
        words = " ".join(line for line, _ in lines(one, "x"))
        assert ("of the lungs" in words) == ("Class" in words) == useful and ("Do not use" in words) != useful
        record = {"input": {"name": "x"}, **one.to_json()}
        numbers = [value for value in row("x", record).values() if isinstance(value, int | float)]
        assert len(numbers) == (18 if useful else 2), "height and width are left"
        assert record["infected_share_of_lung"]["both"] is not None, "the JSON file has them all the same"


def test_what_one_seed_says_alone_is_nothing_new(tmp_path: Path) -> None:
    grey_bundle(tmp_path / "one", darks=(110.0,))
    found = read(of_array(chest().image), Model(open_bundle(tmp_path / "one")))
    line = row("x", {"input": {"name": "x"}, **found.to_json()})
    assert line["infected_share_both"] and line["infected_share_lowest_seed"] is None
    assert "trainings" not in " ".join(words for words, _ in lines(found, "x"))


def test_a_mirrored_picture_has_no_usual_side(grey: Path) -> None:
    found = read(of_array(chest().image), Model(open_bundle(grey)))
    mirrored = replace(found, warnings=(Warning("mirrored", "sides may be wrong", 4.0, 3.0),))
    said = [" ".join(words for words, _ in lines(one, "x")) for one in (found, mirrored)]
    assert ["patient's right" in words for words in said] == [True, False]


def test_another_call_adds_to_the_table_and_a_replaced_picture_is_said(
    grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for day, number in (("monday", 1), ("tuesday", 2)):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.png").write_bytes(png(chest(number).image))
    (tmp_path / "monday/b.png").write_bytes(png(chest(3).image))
    assert call(tmp_path / "monday", "--out", out, "--model", grey) == 0
    before = rows(out)
    assert "replaces" not in capsys.readouterr().err
    assert call(tmp_path / "tuesday/a.png", "--out", out, "--model", grey) == 0
    assert "tuesday/a.png: replaces the reading of another picture called a in" in capsys.readouterr().err
    after = rows(out)
    assert list(after) == ["a", "b"] and after["b"] == before["b"] and after["a"]["sha256"] != before["a"]["sha256"]
    (out / "json/b.json").unlink()
    assert call(tmp_path / "tuesday/a.png", "--out", out, "--model", grey) == 0
    assert list(rows(out)) == ["a"], "a reading that is gone has no line"


def test_outlines_are_at_the_edge_of_a_mask(grey: Path) -> None:
    pixels = np.full((700, 700), 200, np.uint8)
    pixels[200:400, 300:500] = 0
    found = read(of_array(pixels), Model(open_bundle(grey)))
    drawn = overlay(found, "name").astype(int)
    drawn = drawn[np.flatnonzero((drawn[:, 0] == 200).all(axis=1))[0] :][:600]  # from the first row of the picture
    coloured = np.ptp(drawn, axis=2) > 60
    ys, xs = np.nonzero(coloured)
    assert len(ys) and abs(ys.min() - 200) <= 6 and abs(ys.max() - 400) <= 6 and abs(xs.min() - 300) <= 6


def test_words_are_broken_to_the_width() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(14)
    for words in ("", "a b", "word " * 50, "w" * 500, "a\nb \x00 c"):
        broken = wrapped(words, font, 200)
        assert all(font.getlength(line) <= 200 for line in broken) and broken
        assert "".join(broken).replace(" ", "") == words.replace("\n", "?").replace("\x00", "?").replace(" ", "")


def test_shares_for_people() -> None:
    said = {
        None: "no lung",
        0.0: "0%",
        1e-5: "<0.1%",
        0.004: "0.4%",
        0.0996: "10%",
        0.5: "50%",
        0.9996: ">99%",
        1.0: "100%",
    }
    assert {share: percent(share) for share in said} == said


# --- DICOM ---


def test_a_dicom_segmentation_lies_on_its_radiograph(grey: Path, tmp_path: Path) -> None:
    frame = np.full((500, 400), 4095, np.uint16)
    frame[50:450, 30:380] = enlarged(chest().image, 350, 400).astype(np.uint16) * 16
    source = dicom(frame, bits=12, WindowCenter=2048, WindowWidth=4096)
    written(source, tmp_path / "x.dcm")
    out = tmp_path / "out"
    assert call(tmp_path / "x.dcm", "--out", out, "--model", grey) == 0
    found = highdicom.seg.segread(out / "dicom-seg/x.dcm")
    assert (found.Rows, found.Columns) == (500, 400)
    assert (found.StudyInstanceUID, found.PatientID) == (source.StudyInstanceUID, source.PatientID)
    assert found.get_source_image_uids()[0][2] == source.SOPInstanceUID
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["Lungs", "Infection"]
    assert NOTICE in (found.SeriesDescription, found.ContentDescription)
    for frame_of, task in zip(pydicom.dcmread(out / "dicom-seg/x.dcm").pixel_array, ("lung", "infection"), strict=True):
        with Image.open(out / f"{task}/x.png") as mask:
            assert (frame_of > 0).sum() and ((frame_of > 0) == (np.asarray(mask) > 0)).all()
    record = (out / "json/x.json").read_text()
    assert str(source.PatientName) not in record and "Phantom" not in record


def test_a_header_too_poor_for_a_segmentation_is_said(grey: Path, tmp_path: Path) -> None:
    written(dicom(chest().image, StudyInstanceUID=None, Modality="OT"), tmp_path / "x.dcm")
    out = tmp_path / "out"
    assert call(tmp_path / "x.dcm", "--out", out, "--model", grey) == 0
    record = json.loads((out / "json/x.json").read_text())
    assert any("no DICOM segmentation" in note for note in record["input"]["notes"])
    assert record["warnings"][0]["code"] == "modality" and rows(out)["x"]["warnings"].startswith("modality")


# --- truth ---


@pytest.fixture
def scored(grey: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Readings of phantoms, and a folder of their masks."""
    place, masks = tmp_path / "in", tmp_path / "masks"
    for seed, label in ((1, "COVID-19"), (2, "COVID-19"), (3, "Normal"), (4, "Non-COVID")):
        case = chest(seed, label)
        for path, pixels in (
            (place / label / f"{seed}.png", case.image),
            (masks / "lung" / label / f"{seed}.png", case.lung.astype(np.uint8) * 255),
            (masks / "infection" / label / f"{seed}.png", case.infection.astype(np.uint8)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(pixels))
    return place, masks


def test_masks_are_scored_as_everywhere(scored: tuple[Path, Path], grey: Path, tmp_path: Path) -> None:
    place, masks = scored
    out = tmp_path / "out"
    assert call(place, "--out", out, "--model", grey, "--truth", masks) == 0
    facts = json.loads((out / "truth.json").read_text())
    found = {(task, m["protocol"], m["measure"]): m for task, many in facts["measures"].items() for m in many}
    lines = list(csv.DictReader((out / "truth.csv").open()))
    assert len(lines) == 8
    wanted = []
    for line in lines:
        with Image.open(out / f"{line['mask']}/{line['name']}.png") as read_mask:
            mask = np.asarray(read_mask) > 0
        given = np.asarray(Image.open(masks / line["mask"] / f"{line['name']}.png")) > 0
        assert int(line["tp"]) == (mask & given).sum() and int(line["fp"]) == (mask & ~given).sum()
        if given.any():
            assert float(line["dice"]) == pytest.approx(dice(mask, given), rel=1e-4)
            wanted += [dice(mask, given)] if line["mask"] == "infection" else []
    one = found["infection", "img_covid", "dice"]
    assert (
        one["n"] == 2 and one["value"] == pytest.approx(np.mean(wanted)) and one["low"] <= one["value"] <= one["high"]
    )
    assert found["infection", "fp_normal", "over_1_percent"]["n"] == 1
    assert found["lung", "img_covid", "dice"]["n"] == 4
    page = (out / "truth.md").read_text()
    assert NOTICE in page and "| infection | Dice, mean over images with an annotated mask | 2 |" in page
    assert truth.BOOTSTRAP.model_dump() == yaml.safe_load((ROOT / "params.yaml").read_text())["evaluate"]["bootstrap"]


def test_one_kind_of_masks_by_the_name_of_its_folder(scored: tuple[Path, Path], grey: Path, tmp_path: Path) -> None:
    place, masks = scored
    masks.joinpath("infection").rename(tmp_path / "infection masks")
    (tmp_path / "infection masks/Normal/3.png").unlink()
    (tmp_path / "infection masks/Non-COVID/4.png").write_bytes(png(np.full((50, 90), 7, np.uint8)))
    big = enlarged(chest(1).infection.astype(np.uint8), 512, 512)
    (tmp_path / "infection masks/COVID-19/1.png").write_bytes(png(big))
    words = [place, "--out", tmp_path / "out", "--model", grey, "--truth", tmp_path / "infection masks"]
    assert call(*words) == 0
    facts = json.loads((tmp_path / "out/truth.json").read_text())
    assert facts["masks"] == {"infection": {"scored": 2, "without mask": 1, "unusable": 1, "of another size": 1}}


def test_masks_of_another_model_do_not_stay(
    scored: tuple[Path, Path], grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, masks = scored
    grey_bundle(tmp_path / "infection", outputs=["infection"])
    words = [place, "--out", tmp_path / "out"]
    assert call(*words, "--model", grey) == 0
    assert call(*words, "--model", tmp_path / "infection", "--truth", masks / "lung") == 2
    assert "holds lung masks, which this model does not read" in capsys.readouterr().err
    assert not [path for path in (tmp_path / "out/lung").rglob("*") if path.is_file()]
    assert call(*words, "--model", tmp_path / "infection", "--truth", masks) == 0
    assert list(json.loads((tmp_path / "out/truth.json").read_text())["masks"]) == ["infection"]


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1), "has 256 values"),
        (np.full((64, 128), 255, np.uint8), "aspect ratio"),
        (np.dstack([np.full((64, 64), v, np.uint8) for v in (0, 9, 255)]), "has colours"),
    ],
)
def test_what_is_no_mask_is_said(
    pixels: np.ndarray, said: str, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, image in ((tmp_path / "in/x.png", chest().image), (tmp_path / "masks/lung/x.png", pixels)):
        path.parent.mkdir(parents=True)
        path.write_bytes(png(image))
    assert call(tmp_path / "in", "--out", tmp_path / "out", "--model", grey, "--truth", tmp_path / "masks") == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/masks/lung/x.png: " in told and said in told
    assert "no usable mask with the name of a picture, such as x.png" in told
