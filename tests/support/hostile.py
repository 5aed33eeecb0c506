"""What hostile input is made of, and what is asked of an answer to it: it is right, or it is a short, clear refusal."""

import contextlib
import copy
import io
import json
import os
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from covidqu.config import params
from covidqu.data.examples import load_roi, split_rows
from covidqu.data.index import open_packed
from covidqu.evaluate.predictions import open_predictions
from covidqu.evaluate.scores import read_scores, write_scores
from covidqu.ingest import pack as packing
from covidqu.ingest.split import read_pairs
from covidqu.report.core.sources import Sources
from support.places import ROOT

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
RAW = params.read([ROOT / "params.yaml"])
NASTY = [
    *(None, True, False, 0, -1, 1, 3, 7, 48, 100, 10**6, 10**12, -0.5, 0.5, 1.5, 1e-300, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "x", "a b", "a;b", "../x", "-x", "$HOME", "1e-4", "é", "a.b"),
    *("random", "whole", "infection", "class", "efficientnet-b0", "resnet999", "https://a:secret@b", "a\nb", "\0"),
    *([], [[]], [None], [0], [1, 1], ["x"], [0.5, 0.1], {}, {"a": 1}, {"kind": "x"}, [{}], "x" * 5000, 2**70),
]
STUMBLES = (
    *("[" * 3000, "a: " * 3000, "? [a]\n: 1\n", "? {a: 1}\n: 1\n", "a: 2024-99-99", "a: !!int x", "a: !!python/none"),
    *("a: 1:99:99:99", "\0", "a: !!binary x", "a: &x [*x]", "a: !!set {x}", "a: " + "9" * 5000, "- 1", "", "=: 1"),
    *("%YAML 9.9\n---\na: 1", "a: !!omap [1]", "a: !!timestamp x", "a: !!float x", "1: {2: 3}", "null: 1", "<<: 1"),
)

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
    stream = io.BytesIO()
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
    stream = io.BytesIO()
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


SOUND = zipped(entries())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_pixels(data: bytes) -> np.ndarray | None:
    """Read through an archive whose checksums are right; (256, 256) uint8 or a fault."""
    with zipfile.ZipFile(io.BytesIO(zipped({"a.png": data}, zipfile.ZIP_STORED))) as archive:

        def read() -> np.ndarray:
            try:
                return packing._pixels(archive, "a.png")
            except packing._Fault as fault:
                raise ValueError(": ".join(fault.args)) from None

        pixels = right_or_refused("PNG", read, "a.png")
    assert pixels is None or (pixels.shape == (256, 256) and pixels.dtype == np.uint8)
    return pixels


class Place:
    """One sound file of each kind that is read, and how it is read."""

    def __init__(self, folder: Path, packed: Path) -> None:
        import torch

        from covidqu.steps.initial import initial
        from covidqu.systems.weights import save_weights

        self.folder = folder
        shutil.copytree(packed, folder / "packed")
        self.data = open_packed(packed)
        n = len(self.data.index)
        table = {"row": np.arange(n), "official": self.data.index["split"], "near_duplicate": False}
        pd.DataFrame(table).to_parquet(folder / "split.parquet")
        np.save(folder / "roi.npy", np.full((1, 8192), 255, np.uint8))
        meta = {"run": "a", "weights_sha256": "0", "data_hash": "0", "roi": "whole", "subset": "infection"}
        meta |= {"split": "official", "tasks": ["infection"], "px": 32, "classes": {}}
        np.savez(folder / "predictions.npz", meta=np.array(json.dumps(meta)), row=np.arange(3, dtype=np.int32),
                 infection_logits=np.zeros((3, 32, 32), np.float16))  # fmt: skip
        write_scores(folder / "scores.parquet", pd.DataFrame({"row": [0, 1], "infection_tp": [3, 4]}), meta)
        save_weights(folder / "weights.safetensors", {"a": torch.zeros(3)}, {"scope": "model"})
        initial("random", folder / "random.safetensors")
        pairs = pd.DataFrame({"a": [0], "b": [1]})
        pairs.assign(**{f"id_{k}": self.data.index["id"].iloc[[i]].to_numpy() for i, k in enumerate("ab")}).to_parquet(
            folder / "duplicates.parquet"
        )
        run = folder / "results" / "runs" / "unetpp-b3"
        run.mkdir(parents=True)
        self.sources = params.check(RAW)
        card = {"config": {"init": "random"}, "epochs_run": 3, "best_epoch": 2, "device": "CPU"}
        (run / "card.json").write_text(json.dumps(card))
        (run / "history.csv").write_text("epoch,val_loss\n1,0.5\n2,0.4\n")
        (folder / "results" / "cost.json").write_text(json.dumps({"versions": {}, "runs": {}}))

    def read(self, kind: str) -> Any:
        folder, sources = self.folder, Sources(self.sources, self.folder, self.folder / "results")
        match kind:
            case "packed/index.parquet" | "packed/images.npy" | "packed/lung_masks.npy":
                return open_packed(folder / "packed").data_hash
            case "split.parquet":
                return split_rows(self.data, folder / kind, "infection", "official")
            case "roi.npy":
                return load_roi(folder / kind, self.data).shape
            case "predictions.npz":
                found = open_predictions(folder / kind)
                return [block.shape for task in found.meta["tasks"] for block in found.logits(task, 2)]
            case "scores.parquet":
                return read_scores(folder / kind)
            case "weights.safetensors" | "random.safetensors":
                from covidqu.systems.weights import read_weights

                return read_weights(folder / kind)
            case "duplicates.parquet":
                return read_pairs(folder, self.data.index)
            case "results/cost.json":
                return sources.cost
            case "results/runs/unetpp-b3/history.csv":
                return sources.history("unetpp-b3")
        return sources.card("unetpp-b3")


KINDS = (
    *("packed/index.parquet", "packed/images.npy", "packed/lung_masks.npy", "split.parquet", "roi.npy"),
    *("predictions.npz", "scores.parquet", "weights.safetensors", "random.safetensors", "duplicates.parquet"),
    *("results/cost.json", "results/runs/unetpp-b3/card.json", "results/runs/unetpp-b3/history.csv"),
)


class Learns:
    """What stands where a learner does: what it was given is what is continued."""

    class fabric:
        global_rank = 0
        barrier = staticmethod(lambda: None)

    def __init__(self) -> None:
        import torch

        self.state = {"model": {"a": torch.arange(1000.0)}, "optimizer": {"step": 7}, "schedule": None}
        self.loaded: list[dict] = []

    def state_dict(self) -> dict:
        return self.state

    def load_state_dict(self, state: dict) -> None:
        self.loaded.append(state)


def kept_state(folder: Path) -> tuple[Any, bytes]:
    """A state as it is kept after an epoch, and its bytes."""
    from covidqu.training.resume import Progress, State

    kept = State("a", folder / "last.pt", "identity")
    kept.save(Progress(3, 2, 0.5, {}, [{"epoch": 1.0, "val_loss": 0.5}]), Learns())
    return kept, kept.file.read_bytes()


def restored(kept: Any, sound: bytes, raw: bytes) -> None:
    """Never continued from another content: set aside, with one line, and the training starts anew."""
    kept.file.write_bytes(raw)
    learner, said = Learns(), io.StringIO()
    with contextlib.redirect_stderr(said):
        progress = right_or_refused("state", lambda: kept.restore(learner), "last.pt")
    assert progress is not None
    if raw == sound:
        assert learner.loaded and progress.epoch == 3
        return
    counted["state"].refused += 1
    assert not learner.loaded and vars(progress) == vars(type(progress)()), "continued from something else"
    aside = kept.file.with_name("last.pt.damaged")
    assert said.getvalue() == f"a: {kept.file} is damaged, now last.pt.damaged; starting anew\n"
    assert aside.read_bytes() == raw and not kept.file.exists()
    aside.unlink()
