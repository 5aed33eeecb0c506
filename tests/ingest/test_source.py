"""What the archive is made of: seen by both engines, whatever names it; and never lost when a step fails."""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from covidqu.config.data import Download, Phantom
from covidqu.files import keep, take_back
from covidqu.imports import closure
from covidqu.ingest.outside import Absent
from covidqu.ingest.source import look, source
from covidqu.ingest.sources import directory, phantom
from support.copies import RUNS, Copy, jobs, small_params, stages
from support.kaggle_server import Answer, KaggleServer

FEW = {"Train": [4, 2, 2], "Val": [2, 1, 1], "Test": [4, 2, 2]}
ARCHIVE = "data/raw/covidqu.zip"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COVIDQU_DATA", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a user has it: the phantom's images, unpacked."""
    made = tmp_path / "images"
    phantom.write(tmp_path / "phantom.zip", Phantom.model_validate({"seed": 0, "lung": FEW, "infection": FEW}))
    with zipfile.ZipFile(tmp_path / "phantom.zip") as archive:
        archive.extractall(made)
    return made


def settings(**download: object) -> Download:
    return Download.model_validate(small_params()["download"] | download)


def images(place: Path) -> list[Path]:
    return sorted(place.rglob("*.png"))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# ---- what is said of a source


def test_a_folder_is_known_by_its_content(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "source.json", settings(source="directory", directory={"path": str(folder)})
    source(out, config)
    first = json.loads(out.read_text())
    assert (first["source"], first["files"]) == ("directory", len(images(folder)))
    assert str(tmp_path) not in out.read_text()
    os.utime(images(folder)[0])
    assert look(config, out) == (out.read_text(), None), "a date is not a change"
    shutil.copytree(folder, tmp_path / "elsewhere")
    monkeypatch.setenv("COVIDQU_DATA", str(tmp_path / "elsewhere"))
    assert look(config, out) == (out.read_text(), None), "a copy is the same source"
    content = images(tmp_path / "elsewhere")[3].read_bytes()
    changed = [("overwritten", lambda file: file.write_bytes(content[::-1]))]
    changed += [("removed", lambda file: file.unlink()), ("renamed", lambda file: file.rename(file.with_stem("other")))]
    found = {out.read_text()}
    for name, change in changed:
        change(images(tmp_path / "elsewhere")[3])
        found.add(look(config, out)[0])
        assert len(found) == 2 + [n for n, _ in changed].index(name), name


def test_contents_are_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "source.json", settings(source="directory", directory={"path": str(folder)})
    text, _ = look(config, out)
    monkeypatch.setattr("covidqu.ingest.outside.sha256", lambda path: pytest.fail(f"{path} is read again"))
    assert look(config, out)[0] == text


def test_a_source_that_is_gone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "source.json", settings(source="directory")
    monkeypatch.setenv("COVIDQU_DATA", str(folder))
    source(out, config)
    text = out.read_text()
    folder.rename(tmp_path / "away")
    found, warning = look(config, out)
    assert found == text
    assert f"COVIDQU_DATA={folder} is gone; going on with {tmp_path}/raw/covidqu.zip" in str(warning)
    monkeypatch.delenv("COVIDQU_DATA")
    found, warning = look(config, out)
    assert found == text and "no directory is named" in str(warning) and str(folder) in str(warning)
    monkeypatch.setenv("COVIDQU_DATA", f"{folder}s")  # misspelt: the archive was never made of this one
    with pytest.raises(Absent, match=f"COVIDQU_DATA={folder}s: does not exist; correct it or unset it"):
        look(config, out)
    fallback = settings(source="directory", directory={"path": str(tmp_path / "away")})
    with pytest.raises(Absent, match=r"COVIDQU_DATA=.*does not exist"):
        look(fallback, out)


def test_the_variable_is_not_looked_at_for_other_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "source.json"
    texts = [look(settings(source=name), out) for name in ("kaggle", "phantom")]
    monkeypatch.setenv("COVIDQU_DATA", "/nowhere")
    assert [look(settings(source=name), out) for name in ("kaggle", "phantom")] == texts
    other = small_params()["download"]["kaggle"] | {"retries": 9}
    assert look(settings(source="kaggle", kaggle=other), out) == texts[0], "how it is fetched is not what it is"
    pinned = other | {"version": 8}
    assert look(settings(source="kaggle", kaggle=pinned), out) != texts[0]


def test_a_link_to_a_parent_is_refused_by_name(folder: Path) -> None:
    number = len(directory.files(folder))
    (folder / "Lung Segmentation Data" / "back").symlink_to("..")
    with pytest.raises(ValueError, match=r"Lung Segmentation Data/back: .* are one folder; remove this link"):
        directory.files(folder)
    (folder / "Lung Segmentation Data" / "back").unlink()
    inner = folder / "Lung Segmentation Data" / "Lung Segmentation Data" / "Test"
    (inner / "back").symlink_to("..")
    with pytest.raises(ValueError, match=r"Lung Segmentation Data/Test/back: .* are one folder; remove this link"):
        directory.files(folder)
    (inner / "back").unlink()
    (inner / "lost.png").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"a symbolic link to nowhere; remove it \(1\): .*lost\.png"):
        directory.files(folder)
    (inner / "lost.png").unlink()
    (folder / "Lung Segmentation Data").rename(folder / "moved")
    (folder / "Lung Segmentation Data").symlink_to("moved")  # a link as such is no fault
    assert len(directory.files(folder)) == number


def test_no_step_depends_on_the_code_of_a_source(tmp_path: Path) -> None:
    for step in ("ingest.source", "ingest.download"):
        assert not [file for file in closure(step) if file.parent.name == "sources"]
    code = {
        name: json.loads(look(settings(source=name), tmp_path / "s")[0]).get("code") for name in ("kaggle", "phantom")
    }
    assert code["kaggle"] is None and code["phantom"]


def test_kept_files_are_given_back_whole_or_not_at_all(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
    keep(tmp_path / "kept", "this", files)
    for file in files:
        file.unlink()
    assert not take_back(tmp_path / "kept", "that", files) and not files[0].exists()
    assert take_back(tmp_path / "kept", "this", files)
    assert [file.read_text() for file in files] == ["a", "b"]
    files[1].write_text("damaged in place")  # the same bytes on the disk as those kept
    assert not take_back(tmp_path / "kept", "this", files)


# ---- both engines


def use(place: Copy, **download: object) -> None:
    place.edit(lambda params: params["download"].update(download))


def edit_module(place: Copy, name: str) -> None:
    file = place.folder / "src" / "covidqu" / "ingest" / "sources" / f"{name}.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")


@pytest.mark.pipeline
def test_snakemake_sees_what_the_archive_is_made_of(copy: Copy, folder: Path, tmp_path: Path) -> None:
    use(copy, source="directory")
    copy.environment["COVIDQU_DATA"] = str(folder)
    assert jobs(copy("snakemake", "-c1", ARCHIVE)) == {"source", "download"}
    other = shutil.copytree(folder, tmp_path / "other")
    copy.environment["COVIDQU_DATA"] = str(other)
    assert "Nothing to be done" in copy("snakemake", "-n", ARCHIVE)
    images(other)[0].unlink()
    assert jobs(copy("snakemake", "-n", ARCHIVE)) == {"source", "download"}
    copy.environment["COVIDQU_DATA"] = str(folder) + "s"
    assert "correct it or unset it" in copy("snakemake", "-n", ARCHIVE, status=1)
    copy.environment["COVIDQU_DATA"] = str(folder)
    folder.rename(tmp_path / "away")
    edit_module(copy, "phantom")
    said = copy("snakemake", "-n", ARCHIVE)
    assert "Nothing to be done" in said
    assert f"COVIDQU_DATA={folder} is gone; going on with {ARCHIVE} made of {folder}" in said


@pytest.mark.pipeline
def test_dvc_sees_what_the_archive_is_made_of(copy: Copy, folder: Path, tmp_path: Path) -> None:
    use(copy, source="directory")
    copy.environment["COVIDQU_DATA"] = str(folder)
    assert stages(copy("dvc", "repro", "pack")) == {"download", "pack"}
    edit_module(copy, "phantom")
    assert stages(copy("dvc", "repro", "pack")) == set()
    first = digest(copy.folder / ARCHIVE)
    images(folder)[0].unlink()
    assert stages(copy("dvc", "repro", "download")) == {"download"}
    assert digest(copy.folder / ARCHIVE) != first
    folder.rename(tmp_path / "away")
    said = copy("dvc", "repro", "download")
    assert stages(said) == set() and f"COVIDQU_DATA={folder} is gone; going on with" in said


@pytest.mark.pipeline
def test_a_failing_download_loses_nothing(copy: Copy, folder: Path, tmp_path: Path) -> None:
    payload = (tmp_path / "phantom.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "phantom.zip") as archive:
        sizes = [info.file_size for info in archive.infolist()]
    with KaggleServer(payload) as server:
        pins = {"base_url": server.url, "sha256": hashlib.sha256(payload).hexdigest(), "files": len(sizes)}
        release = small_params()["download"]["kaggle"] | pins | {"unpacked_bytes": sum(sizes), "retries": 0}
        use(copy, source="kaggle", kaggle=release)
        copy.environment |= {"HOME": str(tmp_path / "home"), "no_proxy": "127.0.0.1"}
        copy("snakemake", "-c1", ARCHIVE)
        assert len(server.seen) == 1 and (copy.folder / ARCHIVE).read_bytes() == payload
        for name in ("phantom", "kaggle", "directory"):
            edit_module(copy, name)
        assert "Nothing to be done" in copy("snakemake", "-n", ARCHIVE), "the pinned bytes do not depend on code"
        server.script = [Answer(status=404)] * 2
        use(copy, source="kaggle", kaggle=release | {"version": 8})
        assert "HTTP 404" in copy("snakemake", "-c1", ARCHIVE, status=1)
        assert "download" in jobs(copy("snakemake", "-n", ARCHIVE)), "a failed step is never taken for done"
        use(copy, source="kaggle", kaggle=release)
        assert "made before and kept in data/.kept" in copy("snakemake", "-c1", ARCHIVE)
        assert (copy.folder / ARCHIVE).read_bytes() == payload and len(server.seen) == 2
        copy("dvc", "repro", "download")
        use(copy, source="kaggle", kaggle=release | {"version": 8})
        assert "HTTP 404" in copy("dvc", "repro", "download", status=255)
        assert (copy.folder / ARCHIVE).read_bytes() == payload
        use(copy, source="kaggle", kaggle=release)
        assert stages(copy("dvc", "repro", "download")) == set()


@pytest.mark.pipeline
def test_a_failing_training_loses_nothing(copy: Copy) -> None:
    weights = f"results/weights/{RUNS[0]}.safetensors"
    copy("snakemake", "-c2", weights)
    first = (copy.folder / weights).read_bytes()
    before = (copy.folder / "params.yaml").read_text()
    wild = {"optimizer": {"kind": "adamw", "lr": 10, "weight_decay": 10}, "epochs": 40}
    copy.edit(lambda params: params["runs"][RUNS[0]].update(wild))
    copy("snakemake", "-c2", weights, status=1)
    (copy.folder / "params.yaml").write_text(before)
    said = copy("snakemake", "-c2", weights)
    assert f"made before and kept in results/resume/{RUNS[0]}/finished" in said and "epoch 1" not in said
    assert (copy.folder / weights).read_bytes() == first
    copy("dvc", "repro", f"train@{RUNS[0]}")
    copy.edit(lambda params: params["runs"][RUNS[0]].update(wild))
    copy("dvc", "repro", f"train@{RUNS[0]}", status=255)
    assert (copy.folder / weights).read_bytes() == first
    (copy.folder / "params.yaml").write_text(before)
    assert stages(copy("dvc", "repro", f"train@{RUNS[0]}")) == set()
