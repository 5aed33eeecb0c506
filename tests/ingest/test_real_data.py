"""The real infection subset, from the folder to the split: what the papers print and what the images show."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.config.data import Audit, Split
from covidqu.config.params import load
from covidqu.data.index import Packed, open_packed
from covidqu.ingest.audit import audit
from covidqu.ingest.pack import pack
from covidqu.ingest.pairs import leaks
from covidqu.ingest.sources import directory
from covidqu.ingest.split import split
from support.places import ROOT

pytestmark = pytest.mark.realdata
SETTINGS = ROOT / "params.yaml"


@pytest.fixture(scope="session")
def real_folder(tmp_path_factory: pytest.TempPathFactory, covidqu_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("real")
    directory.write(folder / "covidqu.zip", covidqu_data)
    pack(folder / "covidqu.zip", folder / "packed")
    (folder / "covidqu.zip").unlink()
    audit(
        folder / "packed",
        folder / "audit",
        Audit(copies=load([SETTINGS]).audit.copies, expect_counts="papers", stop_on=["counts", "label_conflicts"]),
    )
    split(folder / "packed", folder / "audit", folder / "split.parquet", Split(folds=5, seed=0))
    return folder


@pytest.fixture
def real(real_folder: Path) -> Packed:
    """Rows of the infection subset; the lung subset may be there or not."""
    return open_packed(real_folder / "packed")


@pytest.fixture
def pairs(real_folder: Path) -> pd.DataFrame:
    table = pd.read_parquet(real_folder / "audit" / "duplicates.parquet")
    return table[(table["subset_a"] == "infection") & (table["subset_b"] == "infection")]


@pytest.fixture
def report(real_folder: Path) -> dict:
    return json.loads((real_folder / "audit" / "audit.json").read_text())


@pytest.mark.parametrize(
    ("part", "label", "printed"),
    [
        ("Train", "COVID-19", 1864),
        ("Train", "Non-COVID", 932),
        ("Train", "Normal", 932),
        ("Val", "COVID-19", 466),
        ("Val", "Non-COVID", 233),
        ("Val", "Normal", 233),
        ("Test", "COVID-19", 583),
        ("Test", "Non-COVID", 292),
        ("Test", "Normal", 291),
    ],
)
def test_counts(real: Packed, part: str, label: str, printed: int) -> None:
    """Paper 000, Table II; paper 002, Table II."""
    index = real.index
    assert ((index["subset"] == "infection") & (index["split"] == part) & (index["label"] == label)).sum() == printed


def test_audit_agrees_with_the_papers(report: dict) -> None:
    assert report["counts_agree"] is True
    assert report["faults"]["label_conflicts"] == 0


def test_the_pixel_identical_pair(pairs: pd.DataFrame, real: Packed) -> None:
    exact = pairs[pairs["exact"]]
    assert exact[["id_a", "id_b"]].to_numpy().tolist() == [
        ["infection/Train/COVID-19/covid_686", "infection/Test/COVID-19/covid_3155"]
    ]
    a, b = exact[["a", "b"]].iloc[0]
    np.testing.assert_array_equal(real.images[a], real.images[b])


def test_copies(pairs: pd.DataFrame, report: dict) -> None:
    """76 pairs, the 16 weakest and 60 drawn of the rest, were looked at: all show one radiograph."""
    assert len(pairs) == pytest.approx(302, abs=3), "RANSAC and features may differ a little by version of OpenCV"
    assert set(pairs["label_a"]) == {"COVID-19"}
    assert report["images_with_an_earlier_copy"]["infection"]["Test"] == pytest.approx(66, abs=2)
    assert report["agreement_of_annotations"]["infection"]["mean_dice"] == pytest.approx(0.885, abs=0.005)
    assert report["agreement_of_annotations"]["lung"]["mean_dice"] == pytest.approx(0.971, abs=0.003)


@pytest.mark.parametrize(
    ("one", "other", "mirrored"),
    [
        ("Train/COVID-19/covid_104", "Test/COVID-19/covid_2791", False),
        ("Train/COVID-19/covid_1398", "Test/COVID-19/covid_1781", False),
        ("Train/COVID-19/covid_3968", "Test/COVID-19/covid_1788", False),
        ("Train/COVID-19/covid_1254", "Test/COVID-19/covid_3034", False),
        ("Train/COVID-19/covid_6", "Test/COVID-19/covid_2979", False),
        ("Train/COVID-19/covid_1379", "Test/COVID-19/covid_1615", False),
        ("Train/COVID-19/covid_41", "Val/COVID-19/covid_2015", True),
    ],
)
def test_copies_that_were_seen_by_eye(pairs: pd.DataFrame, one: str, other: str, mirrored: bool) -> None:
    found = pairs[(pairs["id_a"] == f"infection/{one}") & (pairs["id_b"] == f"infection/{other}")]
    assert found["mirrored"].tolist() == [mirrored]


def test_another_radiograph_of_the_patient_is_no_copy(pairs: pd.DataFrame) -> None:
    """The most similar one: 95 matches, but tiles correlate at 0.974; seen by eye."""
    both = pairs[["id_a", "id_b"]].to_numpy().tolist()
    assert ["infection/Test/COVID-19/covid_2950", "infection/Test/COVID-19/covid_3110"] not in both


def test_masks(real: Packed, report: dict) -> None:
    index = real.index.iloc[real.rows("infection")]
    covid = index["label"] == "COVID-19"
    assert (index.loc[covid, "infection_px"] > 0).all()
    assert (index.loc[~covid, "infection_px"] == 0).all()
    assert not (real.infection_masks & ~real.lung_masks[: len(real.infection_masks)]).any()
    assert report["infection_outside_lung"] == 0
    assert report["empty_covid_masks"] == {"Train": 0, "Val": 0, "Test": 0}
    assert (index["lung_px"] > 0).all()


def test_mean_infected_area(report: dict) -> None:
    assert report["mean_infected_area"]["all"] == pytest.approx(0.139, abs=0.0005)


def test_split(real_folder: Path, pairs: pd.DataFrame, real: Packed) -> None:
    table = pd.read_parquet(real_folder / "split.parquet").iloc[real.rows("infection")]
    parts = table["deduplicated"].to_numpy(dtype=object)
    first, second = parts[pairs["a"]], parts[pairs["b"]]
    assert not ((first != second) & (first != "dropped") & (second != "dropped")).any()
    assert (parts == "Test").sum() == 1166
    fold = table["fold"].to_numpy()
    assert (fold[pairs["a"]] == fold[pairs["b"]]).all()
    covid = (real.index["label"].iloc[real.rows("infection")] == "COVID-19").to_numpy()
    assert np.ptp(np.bincount(fold[covid])) <= 6, "2913 COVID-19 images dealt out evenly"


def test_marked_test_images(real_folder: Path, pairs: pd.DataFrame) -> None:
    table = pd.read_parquet(real_folder / "split.parquet")
    marked = set(table.loc[table["near_duplicate"] & (table["official"] == "Test"), "row"])
    late = pairs.loc[leaks(pairs), ["a", "b"]].to_numpy().ravel()
    assert {row for row in late if table["official"].iat[row] == "Test"} <= marked
