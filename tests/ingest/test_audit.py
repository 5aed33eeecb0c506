"""audit: the planted pairs are found, nothing else is, and the gate stops on what it is told to stop on."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from covidqu.config.data import Audit, Phantom
from covidqu.config.params import load
from covidqu.data.index import Packed, open_packed
from covidqu.ingest.audit import PAPERS, audit
from covidqu.ingest.pairs import find_pairs
from covidqu.ingest.sources.phantom import planted
from support.places import ROOT

COPIES = load([ROOT / "params.yaml"]).audit.copies


def settings(**changes: object) -> Audit:
    return Audit(**{"copies": COPIES, "expect_counts": "none", "stop_on": []} | changes)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    audit(packed, folder, settings())
    return folder


@pytest.fixture
def report(audited: Path) -> dict:
    return json.loads((audited / "audit.json").read_text())


@pytest.fixture
def listed(audited: Path) -> pd.DataFrame:
    return pd.read_parquet(audited / "duplicates.parquet")


def ids(rows: pd.DataFrame) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in rows[["id_a", "id_b"]].itertuples(index=False, name=None)}


def test_the_planted_pairs_are_found_and_no_others(listed: pd.DataFrame, phantom_config: Phantom) -> None:
    plan = {kind: {frozenset(pair) for pair in found} for kind, found in planted(phantom_config).items()}
    assert all(plan.values()), "the phantom has room for every defect"
    within = listed["subset_a"] == listed["subset_b"]
    assert ids(listed[within & listed["exact"]]) == plan["exact"]
    assert ids(listed[within & ~listed["exact"]]) == plan["near"]
    between = listed[~within & ~listed["membership"]]
    assert ids(between) == plan["split_disagreement"]


def test_membership_is_a_copy_in_the_same_split_of_the_other_subset(listed: pd.DataFrame) -> None:
    members = listed[listed["membership"]]
    assert len(members)
    assert (members["id_a"].str.removeprefix("infection/") == members["id_b"].str.removeprefix("lung/")).all()
    assert members["exact"].all()
    assert (members["correlation"] == 1).all()


def test_columns_and_order(listed: pd.DataFrame, audited: Path, packed: Path) -> None:
    index = open_packed(packed).index
    assert (listed["a"] < listed["b"]).all()
    assert not listed.duplicated(["a", "b"]).any()
    for side in ("a", "b"):
        rows = index.iloc[listed[side]]
        for column in ("id", "subset", "split", "label"):
            assert list(listed[f"{column}_{side}"]) == list(rows[column])
    assert (listed["across_splits"] == (listed["split_a"] != listed["split_b"])).all()
    written = pd.read_csv(audited / "duplicates.csv", dtype={"inliers": "Int64"})
    pd.testing.assert_frame_equal(written, listed)


def test_equal_pixels_need_no_alignment(listed: pd.DataFrame) -> None:
    exact = listed[listed["exact"]]
    assert exact["inliers"].isna().all() and not exact["mirrored"].any()
    assert (exact[["aligned_correlation", "scale"]] == 1).all(axis=None) and (exact["shift_px"] == 0).all()
    assert (exact["lung_dice"] == 1).all(), "the phantom annotates an image once"
    members = exact["membership"]
    assert exact.loc[members, "infection_dice"].isna().all(), "the lung subset has no such masks"


def test_the_sheet_shows_the_pairs(audited: Path, listed: pd.DataFrame) -> None:
    picture = cv2.imread(str(audited / "duplicates.png"))
    shown = (
        picture[30:174].reshape(144, 4, 438, 3)[:, :, :432].reshape(144, 4, 3, 144, 3)[:, : (~listed["exact"]).sum()]
    )
    a, b, difference = (shown[:, :, i].astype(np.float64) for i in range(3))
    assert (~listed["exact"]).sum() == 2
    assert a.std() > 30 and np.abs(a - b).mean() < 5, "b lies on a"
    assert np.abs(difference - 128).mean() < 5
    assert not picture[30:174, 2 * 438 :].any(), "nothing beside the two pairs"


def test_report(report: dict, phantom_config: Phantom) -> None:
    plan = planted(phantom_config)
    assert report["counts"]["infection"]["Train"] == {"COVID-19": 6, "Non-COVID": 3, "Normal": 3}
    assert report["counts_agree"] is None
    assert report["expected_counts"] is None
    assert report["faults"] == {
        "counts": None,
        "exact_duplicates": len(plan["exact"]),
        "near_duplicates": len(plan["near"]),
        "label_conflicts": 0,
        "split_disagreement": len(plan["split_disagreement"]),
    }
    assert report["pairs"]["infection"]["across_splits"] == 3
    assert report["pairs"]["infection"]["test_and_earlier"] == 2
    assert report["pairs"]["shared_images"] == report["pairs"]["membership"] + 1
    assert report["images_with_an_earlier_copy"]["infection"] == {"Val": 1, "Test": 3}
    assert report["agreement_of_annotations"]["infection"] == {"pairs": 2, "mean_dice": 1, "median_dice": 1}
    assert report["empty_covid_masks"] == {"Train": 0, "Val": 0, "Test": 0}
    assert report["infection_outside_lung"] == 0
    assert "patient level cannot be excluded" in report["limits"][0]


def test_areas_are_those_of_the_masks(report: dict, packed: Path) -> None:
    data = open_packed(packed)
    rows = data.index.query("subset == 'infection' and split == 'Test' and label == 'COVID-19'").index
    share = np.unpackbits(data.infection_masks[rows], axis=1).mean()
    assert report["mean_infected_area"]["Test"] == pytest.approx(share)
    rows = data.index.query("subset == 'lung' and label == 'Normal'").index
    assert report["mean_lung_area"]["lung"]["Normal"] == pytest.approx(
        np.unpackbits(data.lung_masks[rows], axis=1).mean()
    )


def test_gate_stops_on_a_named_fault_and_leaves_the_details(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match="exact_duplicates") as caught:
        audit(packed, tmp_path, settings(stop_on=["exact_duplicates", "label_conflicts"]))
    message = str(caught.value)
    assert "infection/Train/COVID-19/covid_1 = infection/Test/COVID-19/covid_14" in message
    assert "split: deduplicated" in message
    assert "audit.stop_on" in message
    assert "label_conflicts" not in message
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"audit.json", "duplicates.csv", "duplicates.parquet", "duplicates.png"}


def test_gate_names_ten_findings(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match="counts \\(18\\)") as caught:
        audit(packed, tmp_path, settings(expect_counts="papers", stop_on=["counts"]))
    assert str(caught.value).count("printed") == 10
    assert "and 8 more" in str(caught.value)
    assert "infection/Train/COVID-19 has 6 images, printed 1864" in str(caught.value)


def test_wrong_counts_pass_when_they_are_not_named(tmp_path: Path, packed: Path) -> None:
    audit(packed, tmp_path, settings(expect_counts="papers"))
    report = json.loads((tmp_path / "audit.json").read_text())
    assert report["counts_agree"] is False
    assert report["faults"]["counts"] == 18
    assert report["expected_counts"]["lung"]["Test"] == {"COVID-19": 2395, "Non-COVID": 2253, "Normal": 2140}


def test_papers_tables_add_up() -> None:
    """Totals printed in the last rows and columns of the tables: paper 000, Tables I to III."""
    totals = {subset: sum(sum(row) for row in rows.values()) for subset, rows in PAPERS.items()}
    assert totals == {"infection": 5826, "lung": 33920}
    assert [sum(column) for column in zip(*PAPERS["lung"].values(), strict=True)] == [11956, 11263, 10701]


def test_label_conflict(packed: Path) -> None:
    data = open_packed(packed)
    index = data.index.copy()
    index.loc[0, "label"] = "Normal"
    found = find_pairs(Packed(index, data.images, data.lung_masks, data.infection_masks), COPIES)
    conflicts = found[found["label_conflict"]]
    assert len(conflicts)
    assert conflicts["a"].eq(0).all()
