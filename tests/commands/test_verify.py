"""Every file that the steps make, with a byte changed and its date kept: `verify` names it and no other.

And commands that only look leave whatever they find as it is.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from covidqu.cli import main
from support.copies import small_params
from support.parameters import text

RUN = "unet-roi-lung"
STEPS = f"""source --out data/source.json
download --source data/source.json --out data/raw/covidqu.zip
pack --archive data/raw/covidqu.zip --out data/packed
audit --packed data/packed --out data/audit
split --packed data/packed --audit data/audit --out data/split.parquet
roi whole --packed data/packed --out data/roi/whole.npy --sheet data/roi/whole.png
initial random --out results/weights/random.safetensors
train {RUN} INPUTS --init INIT --weights WEIGHTS --out FOLDER --resume results/resume/{RUN}
predict {RUN} INPUTS --weights WEIGHTS --out FOLDER/predictions.npz
validate {RUN} INPUTS --weights WEIGHTS --out FOLDER/validation.parquet
score {RUN} --packed data/packed --split data/split.parquet --predictions FOLDER/predictions.npz --out FOLDER
roi_predicted {RUN} --packed data/packed --predictions PRED --out data/roi/p.npy --sheet data/roi/p.png
baseline lungs --packed data/packed --split data/split.parquet --out results/baselines/lungs
architectures --out results/architectures.json
cost --out results/cost.json
tables common/data unet-roi/table-1 --data data --results results --out results/tables
figures unet-roi/curves-unet-roi-lung --data data --results results --out results/figures
comparison --data data --results results --out results/comparison.csv
page --data data --results results --out results/report"""
SHORT = {"INPUTS": "--packed data/packed --split data/split.parquet --roi data/roi/whole.npy"}
SHORT |= {"PRED": f"results/runs/{RUN}/predictions.npz"}
SHORT |= {"INIT": "results/weights/random.safetensors"}
SHORT |= {"WEIGHTS": f"results/weights/{RUN}.safetensors", "FOLDER": f"results/runs/{RUN}"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all these steps have run, by the command line."""
    folder = tmp_path_factory.mktemp("made")
    params = small_params()
    params["runs"] = {RUN: params["runs"][RUN]}
    params["roi"] = {"annotated": ["whole", "ground-truth"], "predicted": [RUN]}
    (folder / "params.yaml").write_text(text(params))
    before = Path.cwd()
    os.chdir(folder)
    try:
        for line in STEPS.splitlines():
            words = [part for word in line.split() for part in SHORT.get(word, word).split()]
            words = [word.replace("FOLDER", SHORT["FOLDER"]) for word in words]
            assert not main(words), line
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy to do harm in, as working folder."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    yield tmp_path / "copy"


def flip(file: Path, draw: random.Random) -> None:
    """One bit, anywhere; size and dates stay."""
    status, raw = file.stat(), bytearray(file.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    with file.open("r+b") as opened:
        opened.write(raw)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def named(capsys: pytest.CaptureFixture[str]) -> set[str]:
    return {line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()}


def visible(root: str) -> list[Path]:
    return [file for file in sorted(Path(root).rglob("*")) if file.is_file() and "/." not in f"/{file}"]


def test_hundreds_of_flipped_bytes_are_all_found(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    assert "0 of" in capsys.readouterr().err
    files, flips, draw = [*visible("data"), *visible("results")], 0, random.Random(0)
    files = [file for file in files if file.stat().st_size and "resume" not in file.parts]
    kinds = {file.suffix for file in files}
    assert {
        ".npy",
        ".parquet",
        ".zip",
        ".npz",
        ".safetensors",
        ".json",
        ".csv",
        ".md",
        ".png",
        ".svg",
        ".html",
    } <= kinds
    while flips < 500:
        whole = {file: file.read_bytes() for file in files}
        for file in files:
            flip(file, draw)
        flips += len(files)
        assert main(["verify"]) == 1
        assert {str(file) for file in files} - named(capsys) == set()
        for file, raw in whole.items():
            file.write_bytes(raw)
    assert main(["verify"]) == 0


@pytest.mark.parametrize(
    "name",
    [
        "data/packed/images.npy", "data/packed/lung_masks.npy", "data/packed/index.parquet", "data/split.parquet",
        f"results/weights/{RUN}.safetensors", f"results/runs/{RUN}/predictions.npz",
        f"results/runs/{RUN}/scores.parquet",
    ],
)  # fmt: skip
def test_one_damaged_file_is_named_alone_and_set_aside(
    place: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It, and the second name of the same bytes: what was made from it is not."""
    flip(Path(name), random.Random(1))
    assert main(["verify", "--aside"]) == 1
    found = named(capsys)
    assert name in found and all("finished" in other or ".kept" in other for other in found - {name})
    assert not Path(name).exists() and Path(f"{name}.damaged").is_file()


def test_without_records_the_files_speak_for_themselves(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As after `dvc pull` of an older run: weights, zip entries, pixels and masks have hashes of their own."""
    shutil.rmtree(".covidqu")
    assert main(["verify"]) == 0
    draw = random.Random(2)
    middle = {
        "data/packed/images.npy", "data/packed/lung_masks.npy", f"results/weights/{RUN}.safetensors",
        f"results/runs/{RUN}/predictions.npz", f"results/runs/{RUN}/last.safetensors",
    }  # fmt: skip
    for name in sorted(middle):
        raw = Path(name).read_bytes()
        for _ in range(5):
            changed = bytearray(raw)
            changed[draw.randrange(len(raw) // 2, len(raw) * 3 // 4)] ^= 1
            Path(name).write_bytes(changed)
            assert main(["verify"]) == 1
            assert name in named(capsys)
        Path(name).write_bytes(raw)


def test_what_was_made_from_other_files_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole files that do not belong together."""
    shutil.copy("results/weights/random.safetensors", f"results/weights/{RUN}.safetensors")
    shutil.rmtree(".covidqu")
    shutil.rmtree("results/resume")
    assert main(["verify"]) == 1
    assert named(capsys) == {
        f"results/weights/{RUN}.safetensors",
        *(f"results/runs/{RUN}/{name}" for name in ("predictions.npz", "scores.parquet", "validation.parquet")),
    }


LOOKS = (
    "systems", "params", f"params {RUN}", "ready", "verify",
    "check --results results --data data",
    "export table unet-roi/table-1 --out OUT/a.tex", "export table common/data --out OUT/a.csv",
    f"export figure unet-roi/curves-{RUN} --out OUT/a.pdf",
)  # fmt: skip


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path -> date and content; the date of a folder is that of the last name that came or went in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[str(path)] = path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b""
    return found


@pytest.mark.parametrize(
    "name",
    [
        "data/packed/index.parquet", f"results/runs/{RUN}/card.json", f"results/runs/{RUN}/scores.parquet",
        "results/architectures.json", "*",
    ],
)  # fmt: skip
def test_commands_that_only_look_move_and_write_nothing(
    place: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On damaged files in folders that may not be written; the one file that `export` is asked for lies elsewhere."""
    (out := tmp_path / "out").mkdir()
    for file in [*visible("data"), *visible("results")] if name == "*" else [Path(name)]:
        file.write_bytes(b"" if name == "*" else file.read_bytes()[: file.stat().st_size // 2])
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before, ended = seen(place), set[int]()
    for words in LOOKS:
        ended.add(main(words.replace("OUT", str(out)).split()))
        said = capsys.readouterr().err
        assert "Traceback" not in said and "damaged now" not in said
        assert seen(place) == before, words
    assert ended <= {0, 1, 2, 3} and 1 in ended, "a look that finds nothing wrong in this has not looked"
    for path in (place, *(path for path in place.rglob("*") if path.is_dir())):
        path.chmod(0o755)  # else nobody but root could remove it
