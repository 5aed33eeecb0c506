"""The phantom: deterministic, in the data set's layout, plausible in its masks, with exactly the planted defects."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidqu.config.data import CLASSES, SPLITS, Phantom
from covidqu.ingest.sources.phantom import planted
from covidqu.ingest.sources.phantom import write as write_phantom
from support.places import ROOT

TREES = {"infection": "Infection Segmentation Data", "lung": "Lung Segmentation Data"}
Key = tuple[str, str, str, str, str]  # subset, split, label, kind, stem


def read(path: Path) -> dict[Key, np.ndarray]:
    out = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            tree, again, split, label, kind, file = name.split("/")
            assert tree == again
            subset = next(s for s, t in TREES.items() if t == tree)
            picture = Image.open(io.BytesIO(archive.read(name)))
            assert (picture.mode, picture.size, picture.format) == ("L", (256, 256), "PNG")
            out[subset, split, label, kind, file.removesuffix(".png")] = np.array(picture)
    return out


@pytest.fixture(scope="module")
def pixels(phantom_archive: Path) -> dict[Key, np.ndarray]:
    return read(phantom_archive)


def images(pixels: dict[Key, np.ndarray], subset: str) -> dict[str, np.ndarray]:
    return {f"{s}/{k}/{c}/{n}": a for (s, k, c, kind, n), a in pixels.items() if kind == "images" and s == subset}


def correlations(pictures: list[np.ndarray]) -> np.ndarray:
    """Upper triangle of correlations of 32 x 32 block means."""
    thumbs = np.stack([a.reshape(32, 8, 32, 8).mean((1, 3)).ravel() for a in pictures])
    return np.triu(np.corrcoef(thumbs), 1)


def test_same_seed_same_bytes_another_seed_others(tmp_path: Path) -> None:
    def write(name: str, seed: int) -> bytes:
        few = {"Train": (1, 1, 0)}
        write_phantom(tmp_path / name, Phantom.model_construct(seed=seed, lung=few, infection=few))
        return (tmp_path / name).read_bytes()

    first = write("a.zip", 3)
    assert first == write("b.zip", 3)
    assert first != write("c.zip", 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "b.zip", "c.zip"]


def test_stored_with_fixed_times(phantom_archive: Path) -> None:
    with zipfile.ZipFile(phantom_archive) as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len({i.date_time for i in archive.infolist()}) == 1


def test_layout_and_counts(pixels: dict[Key, np.ndarray], phantom_config: Phantom) -> None:
    kinds = {"infection": {"images", "lung masks", "infection masks"}, "lung": {"images", "lung masks"}}
    for subset, per_split in (("infection", phantom_config.infection), ("lung", phantom_config.lung)):
        assert {k[3] for k in pixels if k[0] == subset} == kinds[subset]
        for split in SPLITS:
            for label, amount in zip(CLASSES, per_split[split], strict=True):
                for kind in kinds[subset]:
                    assert sum(k[:4] == (subset, split, label, kind) for k in pixels) == amount
    names = {k[4] for k in pixels}
    assert {"covid_1", "non_COVID (1)", "Normal (1)"} <= names


def test_masks(pixels: dict[Key, np.ndarray]) -> None:
    for (subset, split, label, kind, stem), image in pixels.items():
        if kind != "images":
            continue
        lung = pixels[subset, split, label, "lung masks", stem]
        assert set(np.unique(lung)) == {0, 255}
        assert 0.12 < (lung > 0).mean() < 0.5
        around = image[lung == 0].mean()
        assert image[lung > 0].std() > 5 and image.std() > 15 and around > 20
        if subset == "infection":
            infection = pixels[subset, split, label, "infection masks", stem]
            if label == "COVID-19":
                assert set(np.unique(infection)) == {0, 255}
                assert not (infection > lung).any()
                assert image[infection > 0].mean() > image[(lung > 0) & (infection == 0)].mean()
            else:
                assert not infection.any()


@pytest.mark.parametrize("seed", [0, 1])
def test_mean_infected_area_is_that_of_the_data_set(tmp_path: Path, seed: int) -> None:
    config = Phantom.model_construct(seed=seed, lung={}, infection={"Train": (30, 0, 0)})
    write_phantom(tmp_path / "p.zip", config)
    areas = [(a > 0).mean() for k, a in read(tmp_path / "p.zip").items() if k[3] == "infection masks"]
    assert len(areas) == 30
    assert 0.10 < np.mean(areas) < 0.14
    assert min(areas) < 0.06 and max(areas) > 0.17


def test_planted_pairs_and_no_others(pixels: dict[Key, np.ndarray], phantom_config: Phantom) -> None:
    defects = planted(phantom_config)
    assert {k: len(v) for k, v in defects.items()} == {"exact": 1, "near": 2, "split_disagreement": 1}
    infection = images(pixels, "infection")
    ids = list(infection)
    table = correlations(list(infection.values()))
    above = {frozenset((ids[a], ids[b])) for a, b in np.argwhere(table >= 0.985)}
    assert above == {frozenset(pair) for pair in [*defects["exact"], *defects["near"]]}
    for a, b in defects["exact"]:
        assert np.array_equal(infection[a], infection[b]) and a.split("/")[1:3] == ["Train", "COVID-19"]
        assert b.split("/")[1:3] == ["Test", "COVID-19"]
    for a, b in defects["near"]:
        assert table[ids.index(a), ids.index(b)] > 0.995 and not np.array_equal(infection[a], infection[b])
        assert a.split("/")[1] != b.split("/")[1]
    assert correlations(list(images(pixels, "lung").values())).max() < 0.985


def test_subsets_share_images_and_disagree_once(pixels: dict[Key, np.ndarray], phantom_config: Phantom) -> None:
    lung = {a.tobytes(): i for i, a in images(pixels, "lung").items()}
    shared = [(i, lung[a.tobytes()]) for i, a in images(pixels, "infection").items() if a.tobytes() in lung]
    assert len(shared) >= 0.7 * len(images(pixels, "infection"))
    assert [p for p in shared if p[0].split("/")[1] != p[1].split("/")[1]] == planted(phantom_config)[
        "split_disagreement"
    ]
    for a, b in shared:
        first, second = ((i.split("/")[0], *i.split("/")[1:3], "lung masks", i.split("/")[3]) for i in (a, b))
        assert a.split("/")[2:] == b.split("/")[2:]
        assert np.array_equal(pixels[first], pixels[second])


def test_settings_of_the_project(tmp_path: Path) -> None:
    """The committed settings: no accidental look-alikes, in either subset."""
    import yaml

    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    config = Phantom.model_validate(settings["download"]["phantom"])
    write_phantom(tmp_path / "p.zip", config)
    found = read(tmp_path / "p.zip")
    assert (correlations(list(images(found, "infection").values())) >= 0.985).sum() == 3
    assert (correlations(list(images(found, "lung").values())) >= 0.985).sum() == 0


def test_no_room_no_defect(tmp_path: Path) -> None:
    config = Phantom.model_construct(seed=0, lung={"Train": (1, 1, 1)}, infection={"Test": (1, 0, 0)})
    assert planted(config) == {
        "exact": [],
        "near": [],
        "split_disagreement": [("infection/Test/COVID-19/covid_1", "lung/Train/COVID-19/covid_1")],
    }
    write_phantom(tmp_path / "p.zip", config)
    assert len(images(read(tmp_path / "p.zip"), "lung")) == 3
