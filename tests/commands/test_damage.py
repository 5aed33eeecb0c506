"""Cut, empty and changed files: named, set aside, made again; and nothing that was finished is made twice."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.cli import main
from covidqu.config.params import check
from covidqu.data.index import open_packed
from covidqu.evaluate.predictions import open_predictions
from covidqu.files import Damaged, sha256
from covidqu.steps import train as train_step
from covidqu.steps.cost import cost
from covidqu.stored import read_json, read_parquet, write_parquet
from covidqu.systems.weights import read_weights
from support.training import Workplace

RUN = "unet-roi-lung"
Make = Callable[..., Workplace]


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def changed(raw: bytes) -> bytes:
    return raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]


DAMAGE = {"cut": cut, "empty": lambda raw: b"", "changed": changed, "a web page": lambda raw: b"<html>moved</html>"}


def interrupted(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training with its state kept, ended before its outputs."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_step, "write", stop)
        place.train(RUN)
    assert place.state(RUN).is_file() and not place.weights(RUN).exists()


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_state_is_set_aside_and_the_training_starts_anew(
    workplace: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    place = workplace(anchor={"epochs": 1})
    interrupted(place, monkeypatch)
    state = place.state(RUN)
    state.write_bytes(damaged := DAMAGE[how](state.read_bytes()))
    capsys.readouterr()
    place.train(RUN)
    said = capsys.readouterr().err
    assert f"{state} is damaged, now last.pt.damaged; starting anew" in said and "epoch 1/1" in said
    assert state.with_name("last.pt.damaged").read_bytes() == damaged


def test_a_whole_state_is_continued(
    workplace: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = workplace(anchor={"epochs": 1})
    interrupted(place, monkeypatch)
    capsys.readouterr()
    place.train(RUN)
    said = capsys.readouterr().err
    assert "resumed after epoch 1" in said and "epoch 1/1" not in said


def test_a_state_stays_until_its_outcome_is_kept(workplace: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: an engine that deletes the outputs before it runs the step again would lose the training."""
    place = workplace(anchor={"epochs": 1})
    with monkeypatch.context() as patch:
        patch.setattr(train_step, "keep", lambda *_: False)
        place.train(RUN)
    assert place.state(RUN).is_file() and place.weights(RUN).is_file()


def test_what_is_finished_is_not_made_again(workplace: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """An engine that was killed before it recorded a step deletes its outputs and runs it again."""
    place = workplace(anchor={"epochs": 1})
    out = place.folder / "runs" / RUN / "predictions.npz"
    place.train(RUN)
    place.predict(RUN, out)
    before = {file: sha256(file) for file in (place.weights(RUN), out)}
    for file in before:
        file.unlink()
    capsys.readouterr()
    place.train(RUN)
    place.predict(RUN, out)
    said = capsys.readouterr().err
    assert said.count("taken from there") == 2 and "epoch 1/1" not in said and "logits of" not in said
    assert {file: sha256(file) for file in before} == before
    out.write_bytes(changed(out.read_bytes()))  # in place: its second name has the same bytes
    place.predict(RUN, out)
    assert "logits of" in capsys.readouterr().err and sha256(out) == before[out]
    out.unlink()
    place.predict(RUN, out, roi_masks=True)
    assert "logits of" in capsys.readouterr().err, "other predictions are not these"


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_weights_are_named(workplace: Make, how: str) -> None:
    place = workplace(anchor={"epochs": 1})
    place.train(RUN)
    file = place.weights(RUN)
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    with pytest.raises(Damaged, match=f"{file}: damaged"):
        place.predict(RUN, place.folder / "p.npz")


def test_no_bit_of_weights_is_silent(workplace: Make) -> None:
    place, draw = workplace(), random.Random(0)
    place.set_run(RUN, {"epochs": 1})
    place.train(RUN)
    for file in (place.weights("random"), place.weights(RUN)):
        raw = file.read_bytes()
        for _ in range(150):
            flipped = bytearray(raw)
            flipped[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
            file.write_bytes(flipped)
            with pytest.raises(Damaged, match="damaged"):
                read_weights(file)
        file.write_bytes(raw)


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_predictions_are_named(workplace: Make, how: str) -> None:
    place = workplace(anchor={"epochs": 1})
    place.train(RUN)
    place.predict(RUN, file := place.folder / "p.npz")
    file.write_bytes(DAMAGE[how](file.read_bytes()))  # in the middle: among the logits
    with pytest.raises(Damaged, match=f"{file}: damaged"):
        list(open_predictions(file).logits("lung", 4))


@pytest.mark.parametrize("how", [how for how in DAMAGE if how != "changed"])
@pytest.mark.parametrize("name", ["images.npy", "lung_masks.npy", "infection_masks.npy", "index.parquet"])
def test_damaged_data_are_named(packed: Path, tmp_path: Path, how: str, name: str) -> None:
    shutil.copytree(packed, tmp_path / "packed")
    file = tmp_path / "packed" / name
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    with pytest.raises(Damaged, match=f"{file}: damaged"):
        open_packed(tmp_path / "packed")


def test_no_changed_page_of_a_table_is_silent(tmp_path: Path) -> None:
    """Without the checksum of pages some 60 of these were."""
    frame = pd.DataFrame({"a": np.arange(2000), "b": np.linspace(0, 1, 2000), "c": [f"x{k % 7}" for k in range(2000)]})
    write_parquet(file := tmp_path / "a.parquet", frame)
    raw, draw, named = file.read_bytes(), random.Random(0), 0
    for _ in range(300):
        flipped = bytearray(raw)
        flipped[draw.randrange(len(raw) - 4000)] ^= 1 << draw.randrange(8)  # not in the footer
        file.write_bytes(flipped)
        try:
            assert read_parquet(file).equals(frame)  # a bit that says nothing
        except Damaged:
            named += 1
    assert named > 290


def test_a_damaged_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"run": "a')
    with pytest.raises(Damaged, match=r"card\.json: damaged \(not valid JSON \(Unterminated string"):
        read_json(tmp_path / "card.json")


def test_damaged_speeds_are_set_aside_and_measured_anew(
    workplace: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = workplace(), tmp_path / "cost.json"
    raw = place.raw | {"runs": {RUN: place.raw["runs"][RUN]}, "ablations": {}, "explain": []}
    monkeypatch.setattr("covidqu.steps.cost.SECONDS", 0)
    params = check(raw | {"roi": {"annotated": ["whole"], "predicted": []}})
    for text in ('{"runs": {"a"', "{}", '{"runs": {"a": {}}}', ""):
        out.write_text(text)
        cost(params, out)
        assert f"{out}: damaged" in capsys.readouterr().err
        assert RUN in read_json(out)["runs"]
    assert len(list(tmp_path.glob("cost.json.damaged*"))) == 4


def test_the_command_line_sets_aside_what_it_cannot_read(
    workplace: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workplace()
    monkeypatch.chdir(place.folder)
    file = place.weights("random")
    file.write_bytes(b"")
    assert main([*place.command(RUN)[3:]]) == 2
    said = capsys.readouterr().err
    assert f"{file}: damaged" in said and "it is random.safetensors.damaged now" in said and "Traceback" not in said
    assert not file.exists()


def test_a_lock_of_a_killed_engine_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    def lock() -> Path:
        file = tmp_path / "locks" / "0.output.lock"
        file.parent.mkdir(exist_ok=True)
        file.write_text("results/a\n")
        return file

    code = "import sys; from pathlib import Path; from covidqu.locks import clear_engine_locks\n"
    code += "print(clear_engine_locks(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    engines = []
    for _ in range(2):  # the second beside the first
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        engines.append(subprocess.Popen([sys.executable, "-c", code, tmp_path], **pipes))
        assert engines[-1].stdout.readline() == "False\n"
        lock()
    engines[0].kill()
    engines[0].wait()
    ask = [sys.executable, "-c", code, tmp_path]
    third = subprocess.run(ask, input="", capture_output=True, text=True, check=True)
    assert third.stdout == "False\n" and lock().exists(), "one of them lives"
    engines[1].kill()
    engines[1].wait()
    fourth = subprocess.run(ask, input="", capture_output=True, text=True, check=True)
    assert fourth.stdout == "True\n" and not (tmp_path / "locks").exists()
