"""Files of weights: tensors and what they say of themselves, the same bytes for the same content.

safetensors writes its metadata in the order of a hash map: more than one key gives several files. Here is one key.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from covidqu.files import replacing

KEY = "covidqu"


def save_weights(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, copied to the host, and `about` (JSON values; `scope` is one of them), whole or not at all."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        part.write_bytes(save(held, {KEY: json.dumps(about, sort_keys=True)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and what the file says of itself."""
    with safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get(KEY, '{"scope": "model"}'))
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - not a dict
