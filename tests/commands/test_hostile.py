"""Hostile input of every kind that is read: each case is right, or refused in a few lines that name what was given.

A short lane: `COVIDQU_HOSTILE_CASES` says how many cases all properties together try, tests/campaigns/hostile.py asks
for 20,000 and more.
"""

import hashlib
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from covidqu.config import params
from covidqu.data.index import TEXTS, open_packed
from covidqu.files import Damaged
from covidqu.ingest.layout import contents
from covidqu.ingest.pack import pack
from covidqu.ingest.sources import directory
from covidqu.reading import outputs
from covidqu.reading.bundle import METADATA, digest, read_metadata
from covidqu.reading.pictures import decoded
from covidqu.report.checks.check import read_rows
from covidqu.systems.weights import read_weights
from support.bundles import grey_bundle
from support.hostile import (
    EDITS,
    KINDS,
    NASTY,
    RAW,
    SOUND,
    STUMBLES,
    TREE,
    Place,
    cases,
    chunk,
    counted,
    edited,
    entries,
    kept_state,
    leaves,
    png_pixels,
    restored,
    right_or_refused,
    with_value,
    zipped,
)
from support.places import ROOT
from support.radiographs import IMAGE, dicom, dicom_bytes

SECONDS, MEGABYTES = 30, 2000  # of the CPU for one case, and of memory for all: an endless loop or a bomb takes more


# ---- archives and PNG files


@cases(0.17)
@given(edits=EDITS)
def test_an_archive_with_changed_bytes(tmp_path_factory: pytest.TempPathFactory, edits: list) -> None:
    folder = tmp_path_factory.mktemp("case")
    (folder / "a.zip").write_bytes(edited(SOUND, edits))
    right_or_refused("archive", lambda: pack(folder / "a.zip", folder / "packed"), "a.zip")
    if (folder / "packed").exists():
        packed = open_packed(folder / "packed")
        packed.verify(np.arange(len(packed.index)))
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "packed"}, "something is left"
    shutil.rmtree(folder)


HEADERS = st.tuples(
    st.sampled_from([256, 0, 1, 255, 65_535, 2**31 - 1, 2**32 - 1]),
    st.sampled_from([256, 0, 1, 257, 65_535, 2**31 - 1]),
    st.sampled_from([8, 0, 1, 2, 4, 16, 255]),
    st.sampled_from([0, 2, 3, 4, 6, 1, 255]),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 2]),
)
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(b"IDAT PLTE tRNS zTXt iTXt iCCP gAMA acTL fcTL fdAT eXIf".split()),
        st.one_of(st.binary(max_size=40), st.just(b"a\0\0" + zlib.compress(bytes(200_000)))),
    ),
    max_size=3,
)


@cases(0.1)
@given(header=HEADERS, more=CHUNKS, cut=st.booleans(), edits=st.one_of(st.just([]), EDITS))
def test_a_png_of_any_structure(header: tuple, more: list, cut: bool, edits: list) -> None:
    """Sound checksums around hostile values: sizes, depths, chunks that unpack to more than they say."""
    rows = zlib.compress((b"\0" + bytes(256)) * 256)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + b"".join(chunk(*one) for one in more)
    data = b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", rows[: len(rows) // 2] if cut else rows) + chunk(b"IEND", b"")
    png_pixels(edited(data, edits))


@cases(0.17)
@given(edits=EDITS)
def test_a_png_with_changed_bytes(edits: list) -> None:
    png_pixels(edited(next(iter(entries().values())), edits))


PARTS = st.sampled_from(
    ["Infection Segmentation Data", "Lung Segmentation Data", "Train", "Val", "Test", "COVID-19", "Normal", "images",
     "lung masks", "infection masks", "..", ".", "", "__MACOSX", "C:", "x" * 300, "\\", "é", "e\u0301"]
)  # fmt: skip
LAST = st.one_of(
    st.sampled_from(["covid_1.png", ".png", "._a.png", "a.PNG", "a.jpg", "a.png.png", "9" * 5000 + ".png", "a\nb.png"]),
    st.text(max_size=12).map(lambda text: f"{text}.png"),
)


@cases(0.15)
@given(
    names=st.lists(
        st.one_of(
            st.tuples(st.lists(PARTS, max_size=7), LAST).map(lambda pair: "/".join([*pair[0], pair[1]])),
            st.tuples(st.sampled_from(["images", "lung masks", "infection masks"]), LAST).map(
                lambda pair: f"{TREE}/Train/COVID-19/{pair[0]}/{pair[1]}"
            ),
        ),
        max_size=40,
    ),
    whole=st.lists(
        st.sampled_from(["a.png", "covid_2.PNG", "\u00e9.png", "a b.png", "1.2.png"]), max_size=3, unique=True
    ),
    fields=st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([0, 8, 9, 12, 14, 97]), st.sampled_from([0, 1, 0x800])),
)
def test_a_table_of_contents(names: list[str], whole: list[str], fields: tuple[int, int, int]) -> None:
    sets = [
        f"{TREE}/Val/COVID-19/{kind}/{last}" for last in whole for kind in ("images", "lung masks", "infection masks")
    ]

    def infos() -> list[zipfile.ZipInfo]:
        found = [zipfile.ZipInfo(name) for name in names]
        for number, info in enumerate(found):
            if number % 3 == 0:
                info.file_size, info.compress_type, info.flag_bits = fields
        found += [zipfile.ZipInfo(name) for name in sets]
        for info in found[len(names) :]:
            info.flag_bits = 0x800
        return found

    items = right_or_refused("contents", lambda: contents(Path("a.zip"), infos()), "a.zip")
    for item in items or ():
        assert {item.image, item.lung} <= {*names, *sets} and item.name and item.name.isprintable()


def bomb(method: int) -> bytes:
    """An image entry of a few kB that unpacks to 256 MiB, and says that it has 1,000 bytes."""
    name = f"{TREE}/Train/COVID-19/images/covid_1.png"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for other, data in entries().items():
            if other != name:
                archive.writestr(other, data)
        with archive.open(name, "w", force_zip64=False) as entry:
            for _ in range(64):
                entry.write(bytes(4 << 20))
    return stream.getvalue().replace(struct.pack("<I", 256 << 20), struct.pack("<I", 1000))


def hungry_png() -> bytes:
    """A picture with text of 100 kB that unpacks to 100 MB."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 256, 8, 0, 0, 0, 0))
    return head + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["deflate", "bzip2", "lzma", "png"])
def test_a_bomb_takes_little_memory(tmp_path: Path, kind: str) -> None:
    methods = {"deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    image = f"{TREE}/Train/COVID-19/images/covid_1.png"
    data = bomb(methods[kind]) if kind in methods else zipped(entries() | {image: hungry_png()})
    assert len(data) < 2 << 20
    (tmp_path / "a.zip").write_bytes(data)
    code = """
import resource, sys
from collections.abc import Iterator
from pathlib import Path
import covidqu.ingest.schema
from covidqu.ingest.pack import pack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
except ValueError as error:
    print(error)
print("MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.zip", tmp_path / "packed"], capture_output=True,
                          text=True, check=True, cwd=ROOT)  # fmt: skip
    message, _, grown = done.stdout.rpartition("MB")
    assert "covid_1.png" in message and int(grown) < 80, done.stdout


# ---- settings


@cases(0.05)
@given(edits=EDITS)
def test_a_parameter_file_with_changed_bytes(tmp_path_factory: pytest.TempPathFactory, edits: list) -> None:
    file = tmp_path_factory.mktemp("case") / "params.yaml"
    file.write_bytes(edited((ROOT / "params.yaml").read_bytes(), edits))
    right_or_refused("params text", lambda: params.load([file]), "params.yaml")
    shutil.rmtree(file.parent)


@pytest.mark.parametrize("text", STUMBLES)
def test_what_yaml_stumbles_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        params.load([tmp_path / "params.yaml"])
    assert len(str(caught.value).splitlines()) < 15


@cases(0.12)
@given(path=st.sampled_from(list(leaves(RAW))), value=st.sampled_from(NASTY))
def test_a_setting_with_another_value(path: tuple, value: Any) -> None:
    """Refused by the name of the key that was typed, or its network learns; parts are refused by `ready`."""
    changed = with_value(RAW, path, value)
    words = [str(part) for part in path if not isinstance(part, int)]
    loaded = right_or_refused("params values", lambda: params.check(changed), words[-1], *words[:2])
    before = params.check(RAW).resolved
    other = [run for name, run in (loaded.resolved if loaded else {}).items() if run != before.get(name)]
    if other:
        from covidqu.steps.ready import learns

        for run in other[:2]:
            right_or_refused("networks", lambda run=run: learns(run), "freeze: ", "rates.")  # parts that there are not


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("anchor.epoch", 3, "anchor.epoch: unknown key"),
        ("anchor.seed", -1, "anchor.seed: "),
        ("anchor.threads", 10_000, "anchor.threads: "),
        ("anchor.optimizer.lr", float("inf"), "anchor.optimizer.lr: "),
        ("anchor.schedule.lr_min", float("inf"), "anchor.schedule.lr_min: "),
        ("anchor.init", 3, "anchor.init: "),
        ("anchor.batch", True, "anchor.batch: a number is wanted"),
        ("anchor.filters", [{"kind": "opening", "px": 10_000}], "anchor.filters.0.px: "),
        ("systems.cbam_mtl.optimizer.betas", [0.9, 1.5], "systems.cbam_mtl.optimizer.betas"),
        ("systems.swin_dual.image_px", 48, "systems.swin_dual.image_px: 48 is no multiple of 32"),
        ("systems.unetpp_b3.image_px", 240, "systems.unetpp_b3.image_px: 240 is no multiple of 32"),
        ("systems.unetpp_b3.model.encoder", "resnet999", "systems.unetpp_b3.model.encoder: no encoder"),
        ("systems.unetpp_b3.model.encoder", "mit_b0", "systems.unetpp_b3.model.encoder: no encoder"),
        ("systems.unetpp_b3.model.decoder_channels", [8, 8, 0, -8, 8], "systems.unetpp_b3.model.decoder_channels"),
        ("systems.unetpp_b3.loss.infection.0.pos_weight", -3, "systems.unetpp_b3.loss.infection.0.pos_weight: "),
        ("systems.unetpp_b3.loss.infection.0.pos_weight", float("nan"), "loss.infection.0.pos_weight: "),
        ("systems.unetpp_b3.loss.infection.1.smooth", float("inf"), "systems.unetpp_b3.loss.infection.1.smooth: "),
        ("systems.unetpp_b3.augment.3.std_range", [0.5, 0.1], "systems.unetpp_b3.augment.3.std_range: "),
        ("systems.unetpp_b3.optimizer.weight_decay", float("inf"), "systems.unetpp_b3.optimizer.weight_decay: "),
        ("systems.unet_roi.model.width", 10**6, "systems.unet_roi.model.width: "),
        ("systems.reference.augment.2.alpha", float("inf"), "systems.reference.augment.2.alpha: "),
        ("systems.nothing", {}, "systems.nothing: no such network"),
        ("runs.swin-dual-infection.rates.others", -1, "runs.swin-dual-infection.rates.others: "),
        ("runs.swin-dual-infection.rates.others", float("nan"), "runs.swin-dual-infection.rates.others: "),
        ("runs.swin-dual-lung.freeze", [""], "runs.swin-dual-lung.freeze.0: "),
        ("runs.swin-dual-lung.batch", 1, "runs.swin-dual-lung.batch: 1 image a device cannot be trained on"),
        ("runs.swin-dual-lung.loss.lung", [], "runs.swin-dual-lung.loss.lung: "),
        ("runs.recon-mtl-cnn8.loss", {"reconstruction": None}, "model.net: cnn8 gives `class` only"),
        ("runs.reference.seeds", [0, -1], "runs.reference.seeds: "),
        (
            "runs.unet-roi-infection.init",
            "swin-dual-lung",
            "infection.init: 'swin-dual-lung' has another",
        ),
        ("runs.unet-roi-infection.model", {"width": 32}, "runs.unet-roi-infection.init: 'unet-roi-lung' has another"),
        (
            "runs.unet-roi-lung.init",
            "imagenet-resnet34",
            "runs.unet-roi-lung.init: 'imagenet-resnet34': unet_roi",
        ),
        ("runs.unetpp-b3.init", "imagenet-resnet34", "runs.unetpp-b3.init: 'imagenet-resnet34' is not of this run's"),
        ("runs.unetpp-b3.system", ["unet_roi"], "runs.unetpp-b3.system: ['unet_roi'] is not under"),
        ("initial", ["random", "../x"], "initial: '../x' is no name"),
        ("initial", ["random", "nothing"], "initial: 'nothing' is not known"),
        ("download.phantom.seed", -1, "download.phantom.seed: "),
        ("download.phantom.infection.Train", [0, 5, 5], "download.phantom.infection.Train"),
        ("download.phantom.lung", {"Train": [1, 1, 1]}, "download.phantom.lung: Val is missing"),
        ("download.kaggle.dataset", "nothing", "download.kaggle.dataset: "),
        ("download.kaggle.base_url", "ftp://host", "download.kaggle.base_url: must be an address"),
        ("evaluate.bootstrap.seed", -1, "evaluate.bootstrap.seed: "),
        ("split.seed", -1, "split.seed: "),
        ("report.panel_cases", 1000, "report.panel_cases: "),
        ("baselines.border.picture_px", 256, "baselines.border.picture_px: "),
        ("explain", ["swin-dual-lung", "swin-dual-lung"], "explain: something stands there twice"),
    ],
)
def test_what_was_taken_and_broke_later_is_refused_at_load(path: str, value: Any, named: str) -> None:
    steps = tuple(int(part) if part.isdigit() else part for part in path.split("."))
    with pytest.raises(ValueError) as caught:
        params.check(with_value(RAW, steps, value))
    assert named in str(caught.value) and len(str(caught.value).splitlines()) <= 10


def test_weights_fit_where_the_settings_say_so() -> None:
    """What decides on names and shapes of weights, against networks that are built: all pairs of the runs."""
    import torch

    from covidqu.systems.base import build

    runs = {run.model_dump_json(): run for run in params.check(RAW).resolved.values()}
    shapes = {}
    for key, run in runs.items():
        with torch.device("meta"):
            state = build(run.model, run.tasks, run.image_px).state_dict()
        shapes[key] = {name: tuple(tensor.shape) for name, tensor in state.items()}
    said = {key: run.model.weights(run.tasks, run.image_px) for key, run in runs.items()}
    for one in runs:
        for other in runs:
            assert (shapes[one] == shapes[other]) == (said[one] == said[other]), (one, other)


# ---- files that a step has written


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> Place:
    return Place(tmp_path_factory.mktemp("place"), packed)


@cases(0.18)
@given(kind=st.sampled_from(KINDS), edits=EDITS)
def test_a_file_with_changed_bytes(place: Place, kind: str, edits: list) -> None:
    path = place.folder / kind
    sound = path.read_bytes()
    try:
        path.write_bytes(edited(sound, edits, 256 if path.suffix == ".npy" else None))
        right_or_refused(kind, lambda: place.read(kind), path.name)
    finally:
        path.write_bytes(sound)


def test_a_table_of_contents_that_leads_out_of_the_file_is_damage(place: Place) -> None:
    """The system says "invalid argument", and names no file."""
    path = place.folder / "predictions.npz"
    sound = path.read_bytes()
    try:
        path.write_bytes(sound[: len(sound) // 2] + sound[len(sound) // 2 + 1 :])
        with pytest.raises(Damaged, match=r"predictions\.npz: damaged \(its table of contents leads out of it\)"):
            place.read("predictions.npz")
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("path", [("runs", "unetpp-b3", "init"), ("systems", "reference", "augment", 2, "kind")])
def test_control_characters_of_a_setting_are_not_repeated(path: tuple) -> None:
    with pytest.raises(ValueError, match=r"'\\x00\\x1b\[2J'") as caught:
        params.check(with_value(RAW, path, "\0\x1b[2J"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100, b"<!DOCTYPE html>", b"{}", b"[]", b"null", b"PK\5\6"])
def test_a_file_of_another_kind(place: Place, kind: str, content: bytes) -> None:
    path = place.folder / kind
    sound = path.read_bytes()
    assert place.read(kind) is not None
    path.write_bytes(content)
    try:
        if (kind, content) != ("results/cost.json", b"{}"):
            with pytest.raises(ValueError, match=f"{path.name}: .+; .+") as caught:
                place.read(kind)
            assert len(str(caught.value).splitlines()) == 1
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith(".parquet")])
def test_text_that_is_none_in_a_table_is_damage(place: Place, kind: str) -> None:
    """In pages without a checksum: arrow looks at text only when someone else does."""
    path = place.folder / kind
    sound = path.read_bytes()
    table = pq.read_table(path)
    bad = pa.array([b"\xff" * 4] * len(table), pa.binary()).cast(pa.string(), safe=False)
    names = [name for name in table.column_names if table.schema.field(name).type in (pa.string(), pa.large_string())]
    try:
        for name in set(names) & {*TEXTS, "official", "id_a", "id_b"} or [table.column_names[0]]:
            changed = table.set_column(table.column_names.index(name), pa.field(name, pa.string()), bad)
            pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
            with pytest.raises(Damaged, match=path.name):
                place.read(kind)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith(".parquet")])
def test_a_column_that_the_schema_hides_is_damage(place: Place, kind: str) -> None:
    """What pandas takes for row labels is no column any more."""
    path = place.folder / kind
    sound = path.read_bytes()
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata or {})
    about = json.loads(metadata[b"pandas"])
    try:
        for name in {"index.parquet": ["split"], "split.parquet": ["official"]}.get(path.name, table.column_names[:1]):
            metadata[b"pandas"] = json.dumps(about | {"index_columns": [name]}).encode()
            pq.write_table(table.replace_schema_metadata(metadata), path)
            with pytest.raises(Damaged, match=path.name):
                place.read(kind)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith(".npy")])
def test_an_archive_in_the_place_of_an_array_is_damage(place: Place, kind: str) -> None:
    path = place.folder / kind
    sound = path.read_bytes()
    np.savez(stream := io.BytesIO(), a=np.zeros(3))
    path.write_bytes(stream.getvalue())
    try:
        with pytest.raises(Damaged, match=rf"{path.name}: damaged \(holds NpzFile, an array is wanted\)"):
            place.read(kind)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("about", ["{}", '{"run": "a"}', '{"scope": []}', '{"scope": null, "name": "x"}'])
def test_weights_that_do_not_say_what_they_are_of_are_damaged(tmp_path: Path, about: str) -> None:
    import torch
    from safetensors.torch import save

    (tmp_path / "a.safetensors").write_bytes(save({"a": torch.zeros(3)}, {"covidqu": about}))
    with pytest.raises(Damaged, match=r"a\.safetensors: damaged \("):
        read_weights(tmp_path / "a.safetensors")


CSV = {
    "not UTF-8": b"row,column,value\n\xff,b,1\n",
    "a field without end": b'row,column,value\n"' + b"x" * 200_000 + b"\n",
    "a ragged line": b"row,column,value\na,b\n",
    "control characters": b"row,column,value\na\x1b[2J,b,1\na\x1b[2J,b,1\n",
}


@pytest.mark.parametrize("content", CSV.values(), ids=CSV)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv: .*; write the table again") as caught:
        read_rows(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "line",
    ["name,use\na,{}", "status,use\nerror,{}", "use,name,status\n{},a,error,more", "use,name,status\n{},a", "use\n{}",
     "name,status,use\n" + "x" * 5000 + ",read,{}", 'name,status,use\n"a\0",read,{}'],
)  # fmt: skip
def test_a_line_of_readings_that_is_none_is_left_out(tmp_path: Path, line: str) -> None:
    (tmp_path / outputs.TABLE).write_text(line.format(f'"{outputs.NOTICE}"') + "\n")
    assert outputs.earlier(tmp_path, set()) == []


@pytest.mark.parametrize("record", ["[" * 100_000, "{}", "[]", '{"input": []}'])
def test_a_record_of_a_reading_that_is_none_is_not_kept(tmp_path: Path, record: str) -> None:
    outputs.place(tmp_path, "json", "a").parent.mkdir()
    outputs.place(tmp_path, "json", "a").write_text(record)
    assert outputs.kept(tmp_path, "a") is None


def test_words_of_a_dicom_header_are_short_and_printable() -> None:
    """Whatever is repeated of it, in a refusal or in a doubt."""
    nasty = "A\0\x1b[2J\n" + "x" * 5000
    for elements in ({"SOPClassUID": nasty, "PixelData": None}, {"PhotometricInterpretation": nasty}):
        with pytest.raises(ValueError) as caught:
            decoded(Path("a.dcm"), loose(dicom(IMAGE, **elements)))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    shown = decoded(Path("a.dcm"), loose(dicom(IMAGE, Modality=nasty, BodyPartExamined=nasty, ViewPosition=nasty)))
    assert {code for code, _ in shown.doubts} >= {"modality", "body-part"}
    assert all(words.isprintable() and len(words) < 300 for _, words in shown.doubts)


def loose(dataset: Dataset) -> bytes:
    """As a program writes it that does not look at what it writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dicom_bytes(dataset)


@pytest.mark.parametrize("facts", [{"covidqu_version": "9\x1b[2J\n" * 999}, {"a\n\x1b[2J" * 999: 1}])
def test_words_of_a_bundle_are_short_and_printable(tmp_path: Path, facts: dict) -> None:
    raw = json.loads((grey_bundle(tmp_path / "tiny").folder / METADATA).read_text()) | {"later": 1} | facts
    (tmp_path / METADATA).write_text(json.dumps(raw | {"sha256": digest(raw)}))
    with pytest.raises(ValueError, match=r"metadata\.json: ") as caught:
        read_metadata(tmp_path / METADATA)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700


# ---- the state of an interrupted training


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return kept_state(tmp_path_factory.mktemp("state"))


@cases(0.06)
@given(edits=EDITS)
def test_a_state_with_changed_bytes(state: Any, edits: list) -> None:
    restored(*state, edited(state[1], edits))


@pytest.mark.parametrize("content", ["nothing", "no archive", "no mapping", "other keys", "other progress"])
def test_a_hash_that_fits_makes_no_state(state: Any, content: str) -> None:
    """A hash is no secret: what it is of may be anything."""
    import torch

    of = {"identity": "identity", "progress": {"nothing": 1}, "learner": {}}
    made = {"no mapping": [1, 2], "other keys": {"identity": "identity"}, "other progress": of}
    stream = io.BytesIO(b"hello" if content == "no archive" else b"")
    if content in made:
        torch.save(made[content], stream)
    raw = stream.getvalue() or bytes(40)
    restored(*state, raw + hashlib.sha256(raw).digest())


# ---- folders


def test_a_folder_says_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line per kind, at most ten names in it."""
    inner = tmp_path / TREE / "Train" / "COVID-19" / "images"
    inner.mkdir(parents=True)
    for name in ("covid_1.png", "._covid_1.png", "notes.txt"):
        (inner / name).write_bytes(b"x")
    assert [name for name, _, _ in directory.files(tmp_path)] == [f"{TREE}/Train/COVID-19/images/covid_1.png"]
    for number in range(15):
        (inner / f"covid_{number}.jpg").write_bytes(b"x")
    (inner / "e\u0301.png").write_bytes(b"x")
    (inner / "\u00e9.png").write_bytes(b"x")
    (inner / ".png").write_bytes(b"x")
    (inner / "lost.png").symlink_to("nowhere")
    (inner / "round.png").symlink_to("round.png")
    Path(os.fsdecode(bytes(inner) + b"/x\xff.png")).write_bytes(b"x")
    (inner / "closed.png").write_bytes(b"x")
    monkeypatch.setattr("os.access", lambda path, _: Path(path).name != "closed.png")
    with pytest.raises(ValueError) as caught:
        directory.files(tmp_path)
    message = str(caught.value)
    for words in (
        "a picture that is no PNG; convert it, its masks are of the same pixels (15): ",
        "and 5 more",
        "differ in their Unicode normal form only; keep one of them (1): ",
        "a picture without a name; give it one (1): ",
        "a symbolic link to nowhere; remove it (1): ",
        "a file that cannot be read (Too many levels of symbolic links); see to it or remove it (1): ",
        "a name in another encoding than UTF-8; rename the file (1): ",
        "a file that may not be read; see to its mode or remove it (1): ",
    ):
        assert words in message, message
    assert len(message.splitlines()) == 8 and message.isprintable() is False
    assert not any(0xD800 <= ord(c) <= 0xDFFF for c in message)


def test_names_in_another_normal_form_are_the_same_names(tmp_path: Path) -> None:
    """macOS writes NFD: an image and its masks are found whatever form each name has."""
    files = {
        name.replace("covid_1", "e\u0301" if "images" in name else "\u00e9"): data for name, data in entries().items()
    }
    (tmp_path / "a.zip").write_bytes(zipped(files))
    pack(tmp_path / "a.zip", tmp_path / "packed")
    assert "\u00e9" in set(open_packed(tmp_path / "packed").index["name"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name: name.replace("/", "\\"), "a name with backslashes, as PowerShell 5 writes them"),
        (lambda name: name.replace(".png", ".jpg"), "a picture that is no PNG; convert it"),
        (lambda name: name.replace("covid_1.png", ".png"), "a picture without a name; give it one (3)"),
        (lambda name: name.replace("covid_1", "9" * 5000), "a name of more than 255 characters; shorten it (3)"),
        (lambda name: name.replace("covid_1", "a\nb"), "a name with control characters; rename the file (3)"),
    ],
)
def test_an_archive_says_what_is_wrong_with_names(tmp_path: Path, change: Any, words: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({change(name): data for name, data in entries().items()}))
    with pytest.raises(ValueError) as caught:
        pack(tmp_path / "a.zip", tmp_path / "packed")
    assert words in str(caught.value) and "without image" not in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_an_entry_without_a_name_is_refused(tmp_path: Path) -> None:
    """A zero byte ends a name; zipfile itself falls over an empty one."""
    name = f"{TREE}/Train/COVID-19/images/covid_1.png".encode()
    head, _, tail = SOUND.rpartition(name)  # in the table of contents, at the end
    (tmp_path / "a.zip").write_bytes(head + b"\0" + name[1:] + tail)
    with pytest.raises(ValueError, match=r"(?s)a\.zip: .*an entry without a name; build the archive again"):
        pack(tmp_path / "a.zip", tmp_path / "packed")


@pytest.mark.parametrize("method", [9, 12, 14, 97])
def test_an_entry_of_another_method_is_not_called_damaged(tmp_path: Path, method: int) -> None:
    data = SOUND.replace(struct.pack("<HH", 0, 8), struct.pack("<HH", 0, method))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ValueError, match=rf"compressed by method {method}; zip again with Deflate") as caught:
        pack(tmp_path / "a.zip", tmp_path / "packed")
    assert "damaged" not in str(caught.value) and "without" not in str(caught.value)


def test_settings_of_the_repository_are_what_is_changed() -> None:
    """The cases above start from what works."""
    assert params.check(yaml.safe_load((ROOT / "params.yaml").read_text())).resolved


@pytest.fixture(scope="module", autouse=True)
def how_many() -> Iterator[None]:
    """At the end: what was tried (shown with -s), and that no case took long or much."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    for about, found in sorted(counted.items()):
        right = found.tried - found.refused
        print(f"{about}: {found.tried} cases, {found.refused} refused, {right} right, longest {found.longest:.1f} s")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(f"{sum(found.tried for found in counted.values())} cases in all; memory grew by {grown} MB")
    assert all(found.longest < SECONDS for found in counted.values()), "a case took too much time of the CPU"
    assert grown < MEGABYTES
