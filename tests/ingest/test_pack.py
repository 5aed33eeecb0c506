"""pack: a sound archive gives the four files, every bad one a message and nothing else."""

import errno
import io
import os
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.errors
import pytest
from PIL import Image

from covidqu.data.index import IMAGES, INFECTION_MASKS, LUNG_MASKS, open_packed, unpack_mask
from covidqu.ingest.layout import natural
from covidqu.ingest.pack import pack, perceptual_hash
from covidqu.ingest.schema import INDEX_SCHEMA

TREE = "Infection Segmentation Data/Infection Segmentation Data"
COVID = f"{TREE}/Train/COVID-19"
NORMAL = f"{TREE}/Test/Normal"
Entries = dict[str, bytes]


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    stream, image = io.BytesIO(), Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, "PNG")
    return stream.getvalue()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (256, 256), np.uint8)


def box(height: int) -> np.ndarray:
    mask = np.zeros((256, 256), np.uint8)
    mask[20 : 20 + height, 30:130] = 255
    return mask


@pytest.fixture
def entries() -> Entries:
    """A sound archive: three COVID-19 images of Train, one Normal image of Test without infection mask."""
    files = {}
    for number in (10, 2, 1):
        files[f"{COVID}/images/covid_{number}.png"] = png(picture(number))
        files[f"{COVID}/lung masks/covid_{number}.png"] = png(box(100))
        files[f"{COVID}/infection masks/covid_{number}.png"] = png(box(number))
    files[f"{NORMAL}/images/Normal (3).png"] = png(picture(3))
    files[f"{NORMAL}/lung masks/Normal (3).png"] = png(box(50))
    return files


def build(path: Path, entries: Entries) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def refused(tmp_path: Path, entries: Entries, *words: str) -> str:
    """Pack fails with a message that holds the archive's name and the words, and leaves nothing."""
    archive = build(tmp_path / "bad.zip", entries)
    with pytest.raises(ValueError, match=r"bad\.zip") as caught:
        pack(archive, tmp_path / "packed")
    for word in words:
        assert word in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]
    return str(caught.value)


def test_content_arrives_unchanged(tmp_path: Path, entries: Entries) -> None:
    pack(build(tmp_path / "a.zip", entries), tmp_path / "packed")
    packed = open_packed(tmp_path / "packed")
    assert list(packed.index["name"]) == ["covid_1", "covid_2", "covid_10", "Normal (3)"]
    assert list(packed.index["id"])[-1] == "infection/Test/Normal/Normal (3)"
    for row, number in enumerate((1, 2, 10, 3)):
        np.testing.assert_array_equal(packed.images[row], picture(number))
        np.testing.assert_array_equal(unpack_mask(packed.lung_masks[row]), box(100 if row < 3 else 50) > 0)
        np.testing.assert_array_equal(unpack_mask(packed.infection_masks[row]), box((1, 2, 10, 0)[row]) > 0)
    assert list(packed.index["infection_px"]) == [100, 200, 1000, 0]
    assert list(packed.index["lung_px"]) == [10000, 10000, 10000, 5000]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "packed"]


def test_phantom_follows_the_row_order_and_the_schema(packed: Path) -> None:
    data = open_packed(packed)
    INDEX_SCHEMA.validate(data.index)
    ranks = data.index.assign(
        subset=data.index["subset"].map(["infection", "lung"].index),
        split=data.index["split"].map(["Train", "Val", "Test"].index),
        label=data.index["label"].map(["COVID-19", "Non-COVID", "Normal"].index),
        number=data.index["name"].str.extract(r"(\d+)\D*$")[0].astype(int),
    )
    keys = list(ranks[["subset", "split", "label", "number"]].itertuples(index=False, name=None))
    assert keys == sorted(keys)
    assert len(data.infection_masks) == data.index["subset"].eq("infection").sum() == 28
    assert data.index["lung_px"].gt(0).all()


def test_two_packs_are_byte_identical(tmp_path: Path, phantom_archive: Path, packed: Path) -> None:
    pack(phantom_archive, tmp_path / "again")
    for name in (IMAGES, LUNG_MASKS, INFECTION_MASKS):
        assert (tmp_path / "again" / name).read_bytes() == (packed / name).read_bytes()
    again, first = open_packed(tmp_path / "again"), open_packed(packed)
    pd.testing.assert_frame_equal(again.index, first.index)
    assert again.data_hash == first.data_hash


def test_entry_order_and_compression_do_not_matter(tmp_path: Path, entries: Entries) -> None:
    pack(build(tmp_path / "a.zip", entries), tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries, reverse=True):
            archive.writestr(name, entries[name])
    pack(tmp_path / "b.zip", tmp_path / "b")
    assert open_packed(tmp_path / "a").data_hash == open_packed(tmp_path / "b").data_hash


def test_a_changed_mask_changes_the_data_hash(tmp_path: Path, entries: Entries) -> None:
    pack(build(tmp_path / "a.zip", entries), tmp_path / "a")
    entries[f"{COVID}/infection masks/covid_2.png"] = png(box(3))
    pack(build(tmp_path / "b.zip", entries), tmp_path / "b")
    a, b = open_packed(tmp_path / "a"), open_packed(tmp_path / "b")
    assert a.data_hash != b.data_hash
    assert list(a.index["masks_sha256"] == b.index["masks_sha256"]) == [True, False, True, True]
    assert list(a.index["image_sha256"]) == list(b.index["image_sha256"])


def test_what_lies_outside_the_trees_is_left_aside(tmp_path: Path, entries: Entries) -> None:
    extra = {
        "COVID-QU-Ex dataset.txt": b"read me",
        "cover.png": b"no png",
        "__MACOSX/" + COVID + "/images/._covid_1.png": b"no png",
        f"{COVID}/images/.DS_Store": b"",
        f"{COVID}/images/": b"",
    }
    pack(build(tmp_path / "a.zip", entries | extra), tmp_path / "packed")
    assert len(open_packed(tmp_path / "packed").index) == 4


def test_a_lung_subset_alone(tmp_path: Path, entries: Entries) -> None:
    lung = {name.replace("Infection", "Lung"): data for name, data in entries.items() if "infection masks" not in name}
    pack(build(tmp_path / "a.zip", lung), tmp_path / "packed")
    packed = open_packed(tmp_path / "packed")
    assert packed.infection_masks.shape == (0, 8192)
    assert set(packed.index["subset"]) == {"lung"}


def test_natural_order() -> None:
    ordered = ["covid_01", "covid_1", "covid_2", "covid_10", "non_COVID (34)", "non_COVID (100)"]
    assert sorted(reversed(ordered), key=natural) == ordered


def test_perceptual_hash_bears_brightness_not_another_image() -> None:
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(40, 200, (8, 8)), np.ones((32, 32))).astype(np.uint8)
    other = np.kron(rng.integers(40, 200, (8, 8)), np.ones((32, 32))).astype(np.uint8)

    def distance(a: np.ndarray, b: np.ndarray) -> int:
        return (int(perceptual_hash(a), 16) ^ int(perceptual_hash(b), 16)).bit_count()

    assert distance(smooth, smooth + np.uint8(20)) <= 4 < distance(smooth, other)


def test_schema_refuses_infection_in_a_normal_image(packed: Path) -> None:
    index = open_packed(packed).index.copy()
    index.loc[index["label"] == "Normal", "infection_px"] = np.int32(5)
    with pytest.raises(pandera.errors.SchemaError, match="infection only in COVID-19"):
        INDEX_SCHEMA.validate(index)


@pytest.mark.parametrize("fault", ["text", "truncated"])
def test_not_a_zip(tmp_path: Path, entries: Entries, fault: str) -> None:
    whole = build(tmp_path / "bad.zip", entries).read_bytes()
    (tmp_path / "bad.zip").write_bytes(b"no zip" if fault == "text" else whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"bad\.zip: not a zip file, or truncated.*download it again"):
        pack(tmp_path / "bad.zip", tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_damaged_entry(tmp_path: Path, entries: Entries) -> None:
    data = bytearray(build(tmp_path / "bad.zip", entries).read_bytes())
    place = data.find(entries[f"{COVID}/images/covid_2.png"])
    data[place + 5000] ^= 255
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged or truncated zip entry.*images/covid_2\.png"):
        pack(tmp_path / "bad.zip", tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


IMAGE = f"{COVID}/images/covid_2.png"
BAD_PIXELS = {
    "truncated": (IMAGE, png(picture(2))[:30000], "not a PNG image, or a truncated one"),
    "text": (IMAGE, b"hello", "not a PNG image, or a truncated one"),
    "empty": (IMAGE, b"", "not a PNG image, or a truncated one"),
    "wrong size": (IMAGE, png(np.zeros((128, 200), np.uint8)), "size 200 x 128, expected 256 x 256"),
    "RGB": (IMAGE, png(np.zeros((256, 256, 3), np.uint8)), "mode RGB, expected 8-bit grey"),
    "16 bit": (IMAGE, png(np.zeros((256, 256), np.uint16)), "mode I;16, expected 8-bit grey"),
    "1 bit": (IMAGE, png(picture(0), "1"), "mode 1, expected 8-bit grey"),
    "palette": (IMAGE, png(picture(0), "P"), "mode P, expected 8-bit grey"),
    "alpha": (IMAGE, png(picture(0), "LA"), "mode LA, expected 8-bit grey"),
    "huge": (IMAGE, bytes(2 << 20), "entry larger than 1048576 bytes"),
    "grey mask": (f"{COVID}/lung masks/covid_2.png", png(box(9) // 2), "mask with values other than 0 and 255"),
    "mask of 0 and 1": (f"{COVID}/infection masks/covid_2.png", png(box(9) // 255), "values other than 0 and 255"),
    "infection of a Normal image": (
        f"{NORMAL}/infection masks/Normal (3).png",
        png(box(1)),
        "Normal image is not empty",
    ),
    "mask without image": (f"{COVID}/lung masks/covid_7.png", png(box(1)), "mask without image"),
    "no class": (f"{TREE}/Train/covid_2.png", png(picture(2)), "image without class"),
    "no class, kind folder": (f"{TREE}/Train/images/covid_2.png", png(picture(2)), "image without class"),
    "class folder": (f"{TREE}/Train/Covid/images/covid_2.png", png(picture(2)), "unexpected class folder"),
    "split folder": (f"{TREE}/Training/Normal/images/n.png", png(picture(2)), "unexpected split folder"),
    "lung subset": (f"{COVID}/infection masks/n.png".replace("Infection", "Lung"), b"", "unexpected place of a PNG"),
    "kind folder": (f"{COVID}/masks/covid_2.png", png(box(1)), "unexpected place of a PNG"),
    "absolute": ("/tmp/covid_2.png", png(picture(2)), "unsafe path"),
    "parent": (f"{COVID}/images/../../../../covid_2.png", png(picture(2)), "unsafe path"),
    "parent, backslash": ("..\\covid_2.png", png(picture(2)), "unsafe path"),
    "drive": ("C:/covid_2.png", png(picture(2)), "unsafe path"),
    "second file": (f"{COVID}/images/covid_2.PNG", png(picture(2)), "second file for"),
}


@pytest.mark.parametrize("case", BAD_PIXELS)
def test_bad_entry(tmp_path: Path, entries: Entries, case: str) -> None:
    name, data, words = BAD_PIXELS[case]
    refused(tmp_path, entries | {name: data}, words, f"'{name}'")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("lung masks", "the lung mask is missing; add it"),
        ("infection masks", "the infection mask of a COVID-19 image is missing; add it"),
        ("images", "mask without image; add the image or remove the mask (2)"),
    ],
)
def test_missing_part(tmp_path: Path, entries: Entries, missing: str, words: str) -> None:
    del entries[f"{COVID}/{missing}/covid_2.png"]
    refused(tmp_path, entries, words, "/covid_2.png'")


def test_duplicate_entry_name(tmp_path: Path, entries: Entries) -> None:
    archive = build(tmp_path / "bad.zip", entries)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(archive, "a") as again:
        again.writestr(IMAGE, png(picture(99)))
    with pytest.raises(ValueError, match=r"bad\.zip(.|\n)*duplicate entry.*covid_2\.png"):
        pack(archive, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_no_subset(tmp_path: Path) -> None:
    refused(tmp_path, {"other/picture.png": png(picture(0))}, "holds neither", "`download`")


def test_several_faults_in_one_message(tmp_path: Path, entries: Entries) -> None:
    for number in range(20, 35):
        entries[f"{COVID}/images/covid_{number}.png"] = b"hello"
        entries[f"{COVID}/lung masks/covid_{number}.png"] = png(box(9))
        entries[f"{COVID}/infection masks/covid_{number}.png"] = png(box(9))
    entries[f"{COVID}/lung masks/covid_1.png"] = png(box(9) // 2)
    message = refused(tmp_path, entries, "(15)", "and 5 more", "mask with values other than 0 and 255")
    assert message.count("images/covid_") == 10


@pytest.mark.parametrize("known_before", [True, False])
def test_disk_full(tmp_path: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch, known_before: bool) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if known_before:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    else:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    archive = build(tmp_path / "a.zip", entries)
    with pytest.raises(OSError, match="disk full while packing; free space") as caught:
        pack(archive, tmp_path / "packed")
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_refused_archive_leaves_an_earlier_pack_alone(tmp_path: Path, entries: Entries) -> None:
    pack(build(tmp_path / "a.zip", entries), tmp_path / "packed")
    before = {path.name: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    with pytest.raises(ValueError, match="not a PNG"):
        pack(build(tmp_path / "b.zip", entries | {IMAGE: b"hello"}), tmp_path / "packed")
    assert {path.name: path.read_bytes() for path in (tmp_path / "packed").iterdir()} == before


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the `download` step"):
        pack(tmp_path / "none.zip", tmp_path / "packed")


def test_out_is_a_file(tmp_path: Path, entries: Entries) -> None:
    (tmp_path / "packed").write_text("in the way")
    with pytest.raises(ValueError, match="is a file"):
        pack(build(tmp_path / "a.zip", entries), tmp_path / "packed")
    assert (tmp_path / "packed").read_text() == "in the way"
