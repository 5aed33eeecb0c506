"""split: who is dropped, who is marked, and that no pair of duplicates crosses folds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.config.data import Audit, Phantom, Split
from covidqu.config.params import load
from covidqu.data.index import open_packed
from covidqu.ingest.audit import audit
from covidqu.ingest.sources.phantom import planted
from covidqu.ingest.split import folds, read_pairs, split
from support.places import ROOT

COPIES = load([ROOT / "params.yaml"]).audit.copies


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    audit(packed, folder, Audit(copies=COPIES, expect_counts="none", stop_on=[]))
    return folder


def made(tmp_path: Path, packed: Path, audited: Path, **changes: int) -> pd.DataFrame:
    split(packed, audited, tmp_path / "split.parquet", Split(**{"folds": 5, "seed": 0} | changes))
    assert [path.name for path in tmp_path.iterdir()] == ["split.parquet"]
    return pd.read_parquet(tmp_path / "split.parquet")


def test_rules(tmp_path: Path, packed: Path, audited: Path, phantom_config: Phantom) -> None:
    index = open_packed(packed).index
    table = made(tmp_path, packed, audited)
    assert list(table["row"]) == list(range(len(index)))
    assert list(table["official"]) == list(index["split"])
    plan = planted(phantom_config)
    early = {pair[0] for kind in ("exact", "near") for pair in plan[kind]} | {p[1] for p in plan["split_disagreement"]}
    late = {pair[1] for kind in ("exact", "near") for pair in plan[kind]} | {p[0] for p in plan["split_disagreement"]}
    assert set(index["id"][table["deduplicated"] == "dropped"]) == early
    assert set(index["id"][table["near_duplicate"]]) == late
    kept = table[table["deduplicated"] != "dropped"]
    assert (kept["deduplicated"] == kept["official"]).all()


def test_no_test_image_is_dropped(tmp_path: Path, packed: Path, audited: Path) -> None:
    table = made(tmp_path, packed, audited)
    assert (table.loc[table["official"] == "Test", "deduplicated"] == "Test").all()
    assert not table.loc[table["official"] == "Train", "near_duplicate"].any()


def test_folds_keep_pairs_together_and_are_stratified(tmp_path: Path, packed: Path, audited: Path) -> None:
    index, pairs = open_packed(packed).index, pd.read_parquet(audited / "duplicates.parquet")
    assert len(pairs) > 20
    fold = made(tmp_path, packed, audited, folds=3)["fold"].to_numpy()
    assert set(fold) == {0, 1, 2}
    assert (fold[pairs["a"]] == fold[pairs["b"]]).all()
    share = pd.crosstab(index["subset"] + index["label"], fold, normalize="index")
    assert share.to_numpy().min() > 0.15


def test_chains_of_pairs_stay_in_one_fold() -> None:
    index = pd.DataFrame({"subset": "infection", "label": ["COVID-19"] * 40 + ["Normal"] * 20})
    a, b = np.array([0, 1, 2, 3, 10]), np.array([1, 2, 3, 4, 30])
    for seed in range(5):
        fold = folds(index, a, b, Split(folds=4, seed=seed))
        assert len(set(fold[:5])) == 1
        assert fold[10] == fold[30]
        assert np.bincount(fold[:40]).tolist() == [10, 10, 10, 10]
        assert np.bincount(fold[40:]).tolist() == [5, 5, 5, 5]


def test_same_seed_same_folds_other_seed_others(tmp_path: Path, packed: Path, audited: Path) -> None:
    first = made(tmp_path, packed, audited)
    pd.testing.assert_frame_equal(first, made(tmp_path, packed, audited))
    assert (first["fold"] != made(tmp_path, packed, audited, seed=1)["fold"]).any()


def test_more_folds_than_images(tmp_path: Path, packed: Path, audited: Path) -> None:
    with pytest.raises(ValueError, match=r"split\.folds: 20 folds, but infection/.* has 7 images; use fewer"):
        made(tmp_path, packed, audited, folds=20)
    assert not list(tmp_path.iterdir())


def test_audit_of_other_data(tmp_path: Path, packed: Path, audited: Path) -> None:
    pairs = pd.read_parquet(audited / "duplicates.parquet")
    pairs.loc[0, "id_a"] = "infection/Train/COVID-19/covid_999"
    pairs.to_parquet(tmp_path / "duplicates.parquet")
    with pytest.raises(ValueError, match="pairs of other data"):
        read_pairs(tmp_path, open_packed(packed).index)


def test_no_audit(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match="run the `audit` step"):
        split(packed, tmp_path, tmp_path / "split.parquet", Split(folds=2, seed=0))


def test_chains_reach_the_later_split(tmp_path: Path, packed: Path) -> None:
    """Two training images, of which only the second is listed beside the test image: both are left out."""
    index = open_packed(packed).index
    first, second = index.index[(index["subset"] == "lung") & (index["split"] == "Train")][:2]
    test = index.index[(index["subset"] == "lung") & (index["split"] == "Test")][0]
    pairs = pd.DataFrame({"a": [first, second], "b": [second, test]})
    for side in ("a", "b"):
        pairs[f"id_{side}"] = index["id"].to_numpy()[pairs[side]]
    (tmp_path / "audit").mkdir()
    pairs.to_parquet(tmp_path / "audit" / "duplicates.parquet")
    split(packed, tmp_path / "audit", tmp_path / "split.parquet", Split(folds=2, seed=0))
    table = pd.read_parquet(tmp_path / "split.parquet")
    assert set(table.index[table["deduplicated"] == "dropped"]) == {first, second}
    assert list(table.index[table["near_duplicate"]]) == [test]
