"""Files of weights: tensors and what they say of themselves, the same bytes for the same content.

safetensors writes its metadata in the order of a hash map: more than one key gives several files. Here is one key. It
holds a hash of tensors and all else it says, too: a file of which a byte has changed is refused.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from covidqu.files import Damaged, replacing
from covidqu.stored import reading

KEY, DIGEST = "covidqu", "sha256"
WITHOUT = {"scope", "name", "run", "config", "data_hash", "params_hash"}  # what a file of before says, without a hash
SCOPES = ("none", "encoder", "model")  # what the tensors are of: nothing, an encoder from the hub, a run
AGAIN = "run the step that makes it (`initial` or `train`)"


def save_weights(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, copied to the host, and `about` (JSON values; `scope` is one of them), whole or not at all."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        part.write_bytes(save(held, {KEY: json.dumps(about | {DIGEST: digest(held, about)}, sort_keys=True)}))


def digest(tensors: dict[str, Tensor], about: dict[str, Any]) -> str:
    """SHA-256 over names, types, shapes and values of tensors, and over `about`."""
    return hashlib.sha256(save(tensors) + json.dumps(about, sort_keys=True).encode()).hexdigest()


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and what the file says of itself; `Damaged` where it is cut, or not as it was written.

    A file of other software, without our key, holds a whole network and is taken as it is.
    """
    with reading(path, AGAIN):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            found = file.metadata() or {}
        if KEY not in found and found.keys() <= {"format"}:
            return tensors, {"scope": "model"}
        about = json.loads(found.get(KEY, "{}"))
        written = about.pop(DIGEST, None)
    if written != digest(tensors, about) and (written or not about or about.keys() - WITHOUT):
        raise Damaged(path, "its tensors are not those that were written", AGAIN)
    if about.get("scope") not in SCOPES:
        raise Damaged(path, f"scope {about.get('scope')!r}; valid: {', '.join(SCOPES)}", AGAIN)
    return tensors, about
