"""What hostile input is made of, and what is asked of an answer to it: it is right, or it is a short, clear refusal."""

import copy
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

Made = TypeVar("Made")


@dataclass
class Counted:
    """Cases of one kind of input; `longest`: seconds of CPU of the one that took most."""

    tried: int = 0
    refused: int = 0
    longest: float = 0.0


CASES = int(os.environ.get("COVIDQU_HOSTILE_CASES", "400"))  # of all properties together
TREE = "Infection Segmentation Data/Infection Segmentation Data"
counted: dict[str, Counted] = {}  # by kind of input

Edit = tuple[str, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "insert", "remove", "cut", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff" * 8, b"\x7f"])),
    ),
    min_size=1,
    max_size=4,
)


def cases(share: float) -> Callable[[Any], Any]:
    """Settings of a property that takes this share of all cases; the same cases each time."""
    few = max(2, round(CASES * share))
    return settings(
        max_examples=few, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


def edited(data: bytes, edits: list[Edit], first: int | None = None) -> bytes:
    """Bytes changed in a few places, of the `first` ones only where that is given."""
    for what, where, value in edits:
        place = int(where * min(len(data), first or len(data)))
        match what:
            case "flip":
                data = (
                    data[:place]
                    + bytes(b ^ v for b, v in zip(data[place:], value, strict=False))
                    + data[place + len(value) :]
                )
            case "put":
                data = data[:place] + value + data[place + len(value) :]
            case "insert":
                data = data[:place] + value + data[place:]
            case "remove":
                data = data[:place] + data[place + len(value) :]
            case "cut":
                data = data[:place]
            case "repeat":
                data = data[:place] + data[place : place + 64] + data[place:]
    return data


def right_or_refused(about: str, call: Callable[[], Made], *names: str) -> Made | None:
    """The outcome of `call`; None where it was refused as it should be: ValueError or OSError, short, with a name.

    Any other exception passes through and fails the test.
    """
    found, begun = counted.setdefault(about, Counted()), time.process_time()
    found.tried += 1
    try:
        return call()
    except (ValueError, OSError) as error:
        message = str(error)
        found.refused += 1
    finally:
        found.longest = max(found.longest, time.process_time() - begun)
    assert any(name in message for name in names), f"none of {names} is named: {message}"
    assert len(message.splitlines()) <= 11, message  # the head and ten lines
    assert len(message) < 20_000 and not re.search(r"[\x00-\x09\x0b-\x1f]", message), message
    return None


def png(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def entries() -> dict[str, bytes]:
    """A sound archive of three images that compress to little, so that an edit meets a structure."""
    ramp, mask = np.arange(256, dtype=np.uint8)[:, None].repeat(256, 1), np.zeros((256, 256), np.uint8)
    mask[50:100, 60:130] = 255
    files = {}
    for label, name in (("COVID-19", "covid_1"), ("COVID-19", "covid_2"), ("Normal", "Normal (3)")):
        files[f"{TREE}/Train/{label}/images/{name}.png"] = png(ramp)
        files[f"{TREE}/Train/{label}/lung masks/{name}.png"] = png(mask)
        if label == "COVID-19":
            files[f"{TREE}/Train/{label}/infection masks/{name}.png"] = png(mask)
    return files


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values, and of lists and mappings themselves."""
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield from leaves(value, (*path, key))


def with_value(raw: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy of the settings with another value at one place."""
    changed = copy.deepcopy(raw)
    node: Any = changed
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return changed
