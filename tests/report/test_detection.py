"""The table of how often warnings are given: rows, facts, and the page that holds them."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from covidqu.config.params import load
from covidqu.data.index import open_packed
from covidqu.ingest.audit import audit
from covidqu.reading import detection, odd, trust
from covidqu.reading.signs import thumbnail
from support.places import ROOT


def outputs(pictures: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Lungs are what is dark, features are the thumbnail, the class follows the mean."""
    dark = pictures < np.median(pictures, axis=(1, 2), keepdims=True)
    one = {
        "lung": np.where(dark, 1, -1).astype(np.float32),
        "infection": np.full(pictures.shape, -1, np.float32),
        "class": np.stack([np.array([0, 1, p.mean() / 60], np.float32) for p in pictures]),
        "features": np.stack([thumbnail(p)[:40] for p in pictures]),
    }
    return [one, one]


@pytest.fixture(scope="module")
def data(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "packed").symlink_to(packed)
    config = load([ROOT / "params.yaml"]).audit.model_copy(update={"expect_counts": "none", "stop_on": []})
    audit(packed, folder / "audit", config)
    pd.DataFrame({"official": open_packed(packed).index["split"]}).to_parquet(folder / "split.parquet")
    return folder


@pytest.fixture
def bundle(data: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands for a bundle whose networks give `outputs`."""
    images, split = open_packed(data / "packed").images, pd.read_parquet(data / "split.parquet")["official"]
    train, val = (detection.look(images[np.flatnonzero(split == part)], outputs).signs for part in ("Train", "Val"))
    known = trust.fit(train, val, [str(n) for n in range(len(train))])
    about = SimpleNamespace(
        run="reference",
        members=[SimpleNamespace(weights_sha256="0" * 64)] * 2,
        classes={"Normal": 0, "Non-COVID": 1, "COVID-19": 2},
        temperature=1.5,
    )
    found = SimpleNamespace(folder=data, arrays=known.arrays, limits=known.limits, metadata=about)
    monkeypatch.setattr(detection, "open_bundle", lambda folder: found)
    monkeypatch.setattr(detection, "outputs_of", lambda bundle: outputs)
    monkeypatch.setattr(detection, "COUNT", 3)
    return found


def test_every_kind_has_a_row_and_the_page_its_tables(bundle: SimpleNamespace, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{detection.BEGIN}\nold\n{detection.END}\nafter\n")
    detection.detection("reference", data, tmp_path / "out", page)
    rows = list(csv.DictReader((tmp_path / "out" / detection.TABLE).read_text().splitlines()))
    assert {row["kind"] for row in rows} >= {detection.REAL, *odd.DRAWN, *odd.CHANGED, "photograph"}
    real = next(row for row in rows if row["kind"] == detection.REAL)
    index = open_packed(data / "packed").index
    assert int(real["pictures"]) == ((index["split"] == "Test") & (index["subset"] == "infection")).sum()
    empty = next(row for row in rows if row["kind"] == "one grey")
    assert float(empty["any"]) == float(empty["empty"]) == 1
    facts = json.loads((tmp_path / "out" / detection.FACTS).read_text())
    assert facts["limits"].keys() == bundle.limits.keys()
    assert facts["calibration"]["as given"]["log_loss"] != facts["calibration"]["at temperature 1"]["log_loss"]
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert all(f"| {kind} |" in text for kind in odd.CHANGED)
    assert detection.filled(page, tmp_path / "out") == text


def test_copies_that_the_audit_knows_are_counted(data: Path) -> None:
    found = detection.copies(open_packed(data / "packed"), data)
    pairs = pd.read_parquet(data / "audit" / "duplicates.parquet")
    late = pairs[(pairs["split_a"] == "Train") & (pairs["split_b"] != "Train") & (pairs["subset_b"] == "infection")]
    assert len(late)
    assert sum(part["copies"] for part in found.values()) >= late["b"].nunique()
    assert all(0 < part["rightly"] <= part["said"] for part in found.values() if part["copies"])


def test_a_bundle_without_limits_and_a_page_without_markers_are_refused(
    bundle: SimpleNamespace, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "page.md").write_text("no markers\n")
    with pytest.raises(ValueError, match="wants the markers"):
        detection.filled(tmp_path / "page.md", tmp_path)
    bundle.limits = {}
    with pytest.raises(ValueError, match="has no limits of warnings"):
        detection.detection("reference", data, tmp_path)


def test_the_docs_hold_the_committed_table() -> None:
    page, folder = ROOT / "docs/when_not_to_trust.md", ROOT / "results/reading"
    assert page.read_text() == detection.filled(page, folder)
