"""What this machine lacks, and what only a built network can tell, is said before the first job."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from covidqu.config.params import check, merge, read
from covidqu.steps.ready import ready
from support.parameters import text
from support.places import ROOT


@pytest.mark.parametrize(
    ("changes", "gpus", "bf16", "message"),
    [
        ({"accelerator": "cuda"}, 0, False, "runs.unet-roi-lung: accelerator: cuda is asked for and there is none"),
        ({"precision": "16-mixed"}, 0, False, "runs.unet-roi-lung: precision: 16-mixed needs a GPU"),
        ({"devices": 2}, 1, True, "runs.unet-roi-lung: devices: 2 GPUs are asked for, 1 are there"),
        ({}, 1, False, "runs.unet-roi-lung: precision: bf16-mixed, which this GPU lacks"),
        ({"freeze": ["nose"]}, 1, True, "runs.unet-roi-lung: freeze: the model has no part 'nose'"),
        ({"rates": {"nose": 2.0}}, 1, True, "runs.unet-roi-lung: rates.nose: the model has no part"),
        ({"freeze": ["down", "up", "merge", "head"]}, 1, True, "runs.unet-roi-lung: freeze: leaves nothing to train"),
    ],
)
def test_before_the_first_job(
    changes: dict, gpus: int, bf16: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covidqu.steps.ready.gpu_may_be_here", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    raw = read([ROOT / "params.yaml"])
    ready(check(merge(raw, {"anchor": {"accelerator": "cpu"}})), ["unet-roi-lung"])
    with pytest.raises(ValueError) as caught:
        ready(check(merge(raw, {"runs": {"unet-roi-lung": changes}})), ["unet-roi-lung"])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "asked"), [({}, False), ({"accelerator": "cuda"}, True), ({"freeze": ["head"]}, True)]
)
def test_pytorch_is_started_only_where_there_is_something_to_ask(changes: dict, asked: bool, tmp_path: Path) -> None:
    """It takes seconds, before each call of Snakemake that trains."""
    (tmp_path / "over.yaml").write_text(text({"anchor": {"accelerator": "cpu"}, "runs": {"unet-roi-lung": changes}}))
    code = """
import sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "segmentation_models_pytorch", "lightning_fabric"):
            raise SystemExit("asked for " + name)
sys.meta_path.insert(0, Guard())
from covidqu.cli import main
sys.exit(main(sys.argv[1:]))
"""
    words = ["--params", "params.yaml", "--params", str(tmp_path / "over.yaml"), "ready", "unet-roi-lung"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, "asked for " in done.stderr) == (not asked, asked), done.stderr


def test_an_encoder_of_timm_that_does_not_fit_is_named() -> None:
    raw = merge(read([ROOT / "params.yaml"]), {"anchor": {"accelerator": "cpu"}})
    model = {"encoder": "tu-there_is_no_such_net"}
    with pytest.raises(ValueError, match=r"^runs.unetpp-b3: model: no network can be made of .*there_is_no_such_net"):
        ready(check(merge(raw, {"runs": {"unetpp-b3": {"init": "random", "model": model}}})), ["unetpp-b3"])


def test_snakemake_asks_before_the_first_job(tmp_path: Path) -> None:
    """Nothing is downloaded for a training that this machine cannot do."""
    overlay = {
        "paths": {"data": str(tmp_path / "data"), "results": str(tmp_path / "results")},
        "download": {"source": "phantom"},
        "runs": {"unet-roi-lung": {"accelerator": "cpu", "freeze": ["nose"]}},
    }
    (tmp_path / "over.yaml").write_text(text(overlay))
    target = str(tmp_path / "results/weights/unet-roi-lung.safetensors")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        target,
        "-c1",
        "--nolock",
        "--configfile",
        str(tmp_path / "over.yaml"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode, done.stderr[-2000:]
    assert "covidqu ready: runs.unet-roi-lung: freeze: the model has no part 'nose'" in done.stdout + done.stderr
    assert not (tmp_path / "data").exists() and not (tmp_path / "results").exists()
