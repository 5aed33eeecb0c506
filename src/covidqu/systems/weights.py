"""Files of weights: tensors and what they say of themselves, the same bytes for the same content.

safetensors writes its metadata in the order of a hash map: more than one key gives several files. Here is one key.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from covidqu.errors import reading
from covidqu.files import replacing

KEY = "covidqu"
SCOPES = ("none", "encoder", "model")  # what the tensors are of: nothing, an encoder from the hub, a run


def save_weights(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, copied to the host, and `about` (JSON values; `scope` is one of them), whole or not at all."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        part.write_bytes(save(held, {KEY: json.dumps(about, sort_keys=True)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and what the file says of itself. ValueError for a file that is damaged."""
    again = "delete it and run the step that makes it (`initial` or `train`)"
    with reading(path, again), safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get(KEY, '{"scope": "model"}'))
        if about["scope"] not in SCOPES:
            raise ValueError(f"scope {about['scope']!r}; valid: {', '.join(SCOPES)}")
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - not a dict
