"""Cards, Croissant, RO-Crate and the checklist: read back by the libraries of those who read them."""

import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import mlcroissant as mlc
import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard
from rocrate.rocrate import ROCrate

from covidqu.config.params import Params, load
from covidqu.evaluate.scores import read_scores
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.sources import Sources
from covidqu.standards.cards import cards
from covidqu.standards.checklist import Checklist, checklist, claim
from covidqu.standards.crate import METADATA, crate
from covidqu.standards.croissant import croissant
from covidqu.standards.data_card import counts, data_card
from covidqu.standards.model_card import command, model_card
from support.places import ROOT
from support.synthetic_runs import settings, write_architectures, write_data, write_run

FILES = [Path("params.yaml"), Path("workflow/overlays/lite.yaml")]
RUNS = ("swin-dual-lung", "swin-dual-infection", "recon-mtl-t123", "unet-roi-lung", "unet-roi-infection")


@pytest.fixture(scope="module")
def params() -> Params:
    return settings()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, params: Params) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("standards")
    for run in RUNS:
        write_run(folder / "results", params, run, {"epochs": 3} if run == "unet-roi-infection" else {})
    write_architectures(folder / "results", params)
    write_data(folder / "data", ("infection",))
    return folder / "data", folder / "results"


@pytest.fixture
def sources(params: Params, folders: tuple[Path, Path]) -> Sources:
    return Sources(params, *folders)


def table(text: str, section: str) -> list[list[str]]:
    """Rows of the first Markdown table below a heading."""
    below = text.split(f"## {section}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [line.strip("| ").split(" | ") for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not row[0].startswith("---")]


def test_a_model_card_is_read_back_with_the_mean_dice_of_the_scores(sources: Sources) -> None:
    card = ModelCard(model_card(sources, "swin-dual-infection", FILES))
    found = {(r.dataset_config, r.metric_type): r for r in card.data.eval_results}
    scores = sources.scores("swin-dual-infection")
    covid = scores[scores["label"] == "COVID-19"]
    dice = 2 * covid["infection_tp"] / (2 * covid["infection_tp"] + covid["infection_fp"] + covid["infection_fn"])
    assert found["infection", "dice"].metric_value == pytest.approx(dice.mean(), abs=1e-6)
    assert found["infection", "dice"].metric_args["images"] == len(covid) == 12
    decided = scores.filter(regex=r"^class_logit_\d$").to_numpy().argmax(axis=1)
    right = np.mean(decided == scores["class_target"])
    assert found["class", "accuracy"].metric_value == pytest.approx(right, abs=1e-6)
    assert card.data.model_name == "swin-dual-infection"  # nothing was reduced
    assert "reduced-run" not in card.data.tags and "not-for-diagnosis" in card.data.tags


def test_a_model_card_shows_false_infection_and_intervals(sources: Sources) -> None:
    rows = table(model_card(sources, "unet-roi-infection", FILES), "Evaluation")
    line = next(row for row in rows if row[1].startswith("share with a positive pixel"))
    assert line[2] == "0.167" and line[4:] == ["fp_normal", "6"]  # one of six Normal images
    low, high = map(float, line[3].strip("[]").split(", "))
    assert low < 0.167 < high


def test_a_reduced_run_says_so_in_title_tag_and_settings(sources: Sources) -> None:
    card = ModelCard(model_card(sources, "unet-roi-infection", FILES))
    assert "# unet-roi-infection, a reduced run" in card.text
    assert "REDUCED RUN (epochs 3 (full size: 30))" in card.text
    assert "reduced-run" in card.data.tags and card.data.model_name.endswith("(reduced)")
    rows = table(card.text, "Training procedure")
    assert ["`epochs`", "3", "30", "chosen", "not stated"] in rows
    assert ["`batch`", "16", "the same", "chosen", "not stated"] in rows


def test_a_card_of_ours_names_no_paper(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_run(tmp_path, params, "reference", {})
    write_architectures(tmp_path, params)
    card = ModelCard(model_card(Sources(params, folders[0], tmp_path), "reference", FILES))
    assert "Of no paper, our own, system `reference`, run `reference`." in card.text
    assert "the paper" not in card.text.lower() and "reference" in card.data.tags
    assert "figures/reference/architecture.svg" not in card.text  # it shows no result of the run
    assert "../../tables/common/cross-system.md" in card.text


def test_what_a_card_does_not_know_is_not_recorded(sources: Sources) -> None:
    rows = dict(row[:2] for row in table(model_card(sources, "unet-roi-lung", FILES), "Provenance") if len(row) > 1)
    assert rows["commit of the code"] == rows["software"] == rows["device"] == "not recorded"


def test_a_run_that_was_not_trained_has_no_card(
    params: Params, folders: tuple[Path, Path], sources: Sources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"unetpp-b3/card\.json: no such file; train"):
        model_card(sources, "unetpp-b3", FILES)
    cards(params, FILES, *folders, tmp_path)
    assert {path.parent.name for path in tmp_path.glob("runs/*/README.md")} == set(RUNS)
    assert "unetpp-b3" in capsys.readouterr().err


def test_a_card_names_the_hash_of_the_scores(sources: Sources) -> None:
    """By another way: rows joined by hand; of no run, nothing."""
    scores, meta = read_scores(sources.folder("unet-roi-infection") / "scores.parquet")
    text = scores.to_csv(index=False, lineterminator="\n").encode()
    found = model_card(sources, "unet-roi-infection", FILES)
    assert hashlib.sha256(text).hexdigest() in found and meta["weights_sha256"] in found
    other = scores.assign(n_px=scores["n_px"] + 1).to_csv(index=False, lineterminator="\n").encode()
    assert hashlib.sha256(other).hexdigest() not in found


def test_the_command_names_overlays_and_no_folder_of_this_machine(params: Params, sources: Sources) -> None:
    words = command(sources, "unetpp-b3", [*FILES, Path("/somewhere/mine.yaml")])
    assert words == (
        "uv run snakemake results/runs/unetpp-b3/scores.parquet --cores all"
        " --configfile workflow/overlays/lite.yaml mine.yaml"
    )


def test_links_between_cards_lead_somewhere(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(folders[1], out)
    cards(params, FILES, folders[0], out, out)
    checked = 0
    for card in out.rglob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", card.read_text()):
            if "/tables/" not in link and "/figures/" not in link:  # made by other steps
                assert (card.parent / link).exists(), f"{card}: {link}"
                checked += 1
    assert checked > 20


def test_a_data_card_counts_the_index(sources: Sources) -> None:
    card = DatasetCard(data_card(sources))
    assert card.data.license == "cc-by-sa-4.0" and card.data.size_categories == "n<1K"
    index = sources.index
    train = index[(index["split"] == "Train") & (index["label"] == "COVID-19")]
    assert counts(index)["infection"]["COVID-19"][0] == len(train) == 6
    assert ["Total", "12", "4", "8", "24"] in table(card.text, "What is in it")
    assert "differ from the papers' tables" in card.text
    assert sources.params.download.kaggle.sha256 in card.text


def test_a_data_card_without_data_says_not_run(params: Params, tmp_path: Path) -> None:
    text = data_card(Sources(params, tmp_path, tmp_path))
    assert text.count("not run: ") == 2
    assert "n<1K" not in text


def test_croissant_describes_the_pinned_release(params: Params, tmp_path: Path) -> None:
    found = mlc.Dataset(jsonld=json.loads(croissant(params, tmp_path / "absent.zip")))
    assert not found.metadata.ctx.issues.errors
    (archive,) = [d for d in found.metadata.distribution if isinstance(d, mlc.FileObject)]
    assert archive.sha256 == params.download.kaggle.sha256
    assert archive.content_url.endswith("/api/v1/datasets/download/anasmohammedtahir/covidqu?datasetVersionNumber=7")
    assert found.metadata.license == ["https://creativecommons.org/licenses/by-sa/4.0/"]


@pytest.mark.filterwarnings("ignore")
def test_croissant_records_are_those_that_pack_finds(
    phantom_archive: Path, packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = croissant(settings(download={"source": "phantom"}), phantom_archive)
    with caplog.at_level(logging.WARNING):
        found = mlc.Dataset(jsonld=json.loads(text), mapping={"archive": phantom_archive})
        records = [dict(record) for record in found.records("images")]
    assert "Could not match" not in caplog.text
    subsets = {b"Infection Segmentation Data": "infection", b"Lung Segmentation Data": "lung"}
    index = pd.read_parquet(packed / "index.parquet")
    ids = {
        "/".join([subsets[r["images/subset"]], *(r[f"images/{k}"].decode() for k in ("split", "class", "name"))])
        for r in records
    }
    assert ids == set(index["id"]) and len(records) == len(index)
    with zipfile.ZipFile(phantom_archive) as archive:
        assert records[0]["images/id"].decode() in archive.namelist()
    assert records[0]["images/pixels"].size == (256, 256)
    masks = [dict(record)["infection_masks/class"].decode() for record in found.records("infection_masks")]
    assert masks.count("COVID-19") == (index["subset"].eq("infection") & index["label"].eq("COVID-19")).sum()


def test_croissant_of_a_phantom_needs_its_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.zip: no such file; run `covidqu source`, then `covidqu download"):
        croissant(settings(download={"source": "phantom"}), tmp_path / "absent.zip")


def test_a_crate_lists_every_file_with_its_hash(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(folders[1], results)
    (results / "figures").mkdir()
    (results / "figures" / "panel.png").write_bytes(b"a patient")
    (results / "runs" / "unet-roi-lung" / "predictions.npz").write_bytes(b"many bytes")
    crate(params, results, None)
    found = ROCrate(results)
    listed = {entity.id: entity for entity in found.data_entities}
    expected = {p.relative_to(results).as_posix() for p in results.rglob("*") if p.is_file()}
    assert set(listed) == expected - {METADATA, "figures/panel.png", "runs/unet-roi-lung/predictions.npz"}
    for name, entity in listed.items():
        assert entity["sha256"] == hashlib.sha256((results / name).read_bytes()).hexdigest()
    assert found.root_dataset["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.6"
    actions = found.get_by_type("CreateAction")
    assert {a.id for a in actions} == {f"#train-{run}" for run in RUNS}
    action = found.get("#train-unet-roi-infection")
    assert {r.id for r in action["result"]} == {f"runs/unet-roi-infection/{n}" for n in ("card.json", "history.csv")}
    assert action["instrument"]["name"] == "covidqu"
    (written,) = [o for o in action["object"] if o["name"] == "settings"]
    assert json.loads(written["value"])["epochs"] == 3
    assert "startTime" not in action.properties(), "a card does not say when"


def test_a_crate_as_a_zip_holds_what_it_lists(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    crate(params, folders[1], tmp_path / "crate.zip")
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        names = set(archive.namelist())
    assert names == {entity.id for entity in ROCrate(tmp_path / "crate.zip").data_entities} | {METADATA}
    assert not (folders[1] / METADATA).exists()


def test_a_crate_wants_results_and_a_place_outside(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no results; run the pipeline"):
        crate(params, tmp_path, None)
    with pytest.raises(ValueError, match="lies inside"):
        crate(params, folders[1], folders[1] / "crate.zip")


def test_cards_and_crates_do_without_torch() -> None:
    code = "import covidqu.standards.cards, covidqu.standards.crate, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_reference_points_stand_below_a_run(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(folders[1], results)
    own = pd.read_parquet(results / "runs" / "unet-roi-infection" / "scores.parquet")
    (results / "baselines" / "lungs").mkdir(parents=True)
    own.assign(infection_fp=0, infection_fn=0).to_parquet(results / "baselines" / "lungs" / "scores.parquet")
    text = model_card(Sources(params, folders[0], results), "unet-roi-infection", FILES)
    below = text.split("rest on no network")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in below if line.startswith("| ")]
    assert ["lungs", "Dice", "1.000", "[1.000, 1.000]", "12"] in [row[:5] for row in rows]
    assert ["empty", "", "not run: baseline empty has no scores.parquet"] in [row[:3] for row in rows]
    assert not [row for row in rows if row[0] == "border"], "a run without a class head has no class to compare"


def test_every_place_that_the_checklist_names_is_there() -> None:
    items = checklist()
    missing = [(i.number, path) for i in items for path in i.where if not (ROOT / path).exists()]
    assert not missing
    assert sum(len(i.where) for i in items) > 40


def test_a_checklist_without_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="items must be 1 to 44"):
        Checklist(items=checklist()[1:])


def test_the_committed_checklist_is_the_generated_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    claim(tmp_path / "docs" / "claim.md")
    assert (tmp_path / "docs" / "claim.md").read_text() == (ROOT / "docs" / "claim.md").read_text()
    links = re.findall(r"\]\(\.\./([^)]+)\)", (ROOT / "docs" / "claim.md").read_text())
    assert len(links) == sum(len(item.where) for item in checklist())


def test_committed_model_cards_follow_from_the_committed_scores(tmp_path: Path) -> None:
    results = ROOT / "results" / "lite"
    lite = load([ROOT / file for file in FILES])
    made = {path.parent.name for path in results.glob("runs/*/README.md")}
    assert made == set(lite.resolved)
    sources = Sources(lite, tmp_path, results)
    for run in ("unetpp-b3", "swin-dual-infection", "recon-mtl-t13"):  # all of them: minutes
        assert model_card(sources, run, FILES) == (results / "runs" / run / "README.md").read_text(), (
            f"{run}: stale; run `covidqu cards`"
        )


def test_the_citation_has_what_the_format_wants() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cff.keys() >= {"cff-version", "message", "title", "authors"}
    assert cff["cff-version"] == "1.2.0" and cff["type"] in ("software", "dataset")
    for reference in cff["references"]:
        assert reference.keys() >= {"type", "title", "authors"}
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference.get("doi", "10.1234/none"))
        assert all(author.keys() <= {"family-names", "given-names", "name", "orcid"} for author in reference["authors"])
    named = " ".join(reference.get("notes", "") for reference in cff["references"])
    for system in SYSTEMS:
        assert f"paper {paper(system).paper}, {system}" in named
    assert cff["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
