"""Train and score named runs one after the other within a given time, on a machine that is lent for a while.

    python workflow/campaign.py --params params.yaml --params OVERLAY --minutes 28 --keep OUT RUN ...

Runs are made in the order given, most valuable first; what a run starts from is made before it. It calls the steps
themselves, without an engine, where that is not installed; what is there already stays. After each run its scores,
validation, history and card are copied to OUT, so that nothing small is lost when time is up. Trainings that are cut
short go on where they stopped when the same command is given again. Exit status 1 when time was too short.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from covidqu.config.params import Params, load

SMALL = ("card.json", "history.csv", "scores.parquet", "metrics.json", "validation.parquet")


class TimeIsUp(Exception):
    """No more steps."""


class Campaign:
    """The files of one set of parameters, and a clock."""

    def __init__(self, params: Params, files: list[str], until: float, keep: Path | None) -> None:
        self.params, self.files, self.until, self.keep = params, files, until, keep
        self.data, self.results = Path(params.paths.data), Path(params.paths.results)

    def step(self, *words: object, out: Path) -> None:
        """One step as a process of its own, unless `out` is there; TimeIsUp when the clock says so."""
        if out.exists():
            return
        left = self.until - time.monotonic()
        command = [sys.executable, "-m", "covidqu", *(w for f in self.files for w in ("--params", f)), *map(str, words)]
        try:
            if left <= 0:
                raise TimeIsUp
            subprocess.run(command, check=True, timeout=left)
        except subprocess.TimeoutExpired:
            raise TimeIsUp from None

    def prepare(self) -> None:
        """From the archive to splits and annotated lung masks."""
        raw, packed, audit = self.data / "raw/covidqu.zip", self.data / "packed", self.data / "audit"
        source = self.data / "source.json"
        self.step("source", "--out", source, out=source)
        self.step("download", "--source", source, "--out", raw, out=raw)
        self.step("pack", "--archive", raw, "--out", packed, out=packed / "index.parquet")
        self.step("audit", "--packed", packed, "--out", audit, out=audit / "audit.json")
        split = self.data / "split.parquet"
        self.step("split", "--packed", packed, "--audit", audit, "--out", split, out=split)

    def roi(self, name: str) -> Path:
        """Lung masks: annotated, or predicted by a run that is made first."""
        masks = self.data / f"roi/{name}.npy"
        files = ("--packed", self.data / "packed", "--out", masks, "--sheet", masks.with_suffix(".png"))
        if name in self.params.roi.predicted:
            self.run(name)
            self.step(
                "roi_predicted", name, "--predictions", self.results / f"runs/{name}/predictions.npz", *files, out=masks
            )
        else:
            self.step("roi", name, *files, out=masks)
        return masks

    def weights(self, name: str) -> Path:
        """Initial weights, or those of a run that is trained first."""
        file = self.results / f"weights/{name}.safetensors"
        if name in self.params.initial:
            self.step("initial", name, "--out", file, out=file)
        else:
            self.train(name)
        return file

    def inputs(self, name: str) -> tuple[object, ...]:
        roi = self.roi(self.params.run(name).roi)
        return "--packed", self.data / "packed", "--split", self.data / "split.parquet", "--roi", roi

    def train(self, name: str) -> None:
        out, file = self.results / f"runs/{name}", self.results / f"weights/{name}.safetensors"
        init = self.weights(self.params.run(name).init)
        places = ("--init", init, "--weights", file, "--out", out, "--resume", self.results / f"resume/{name}")
        self.step("train", name, *self.inputs(name), *places, out=out / "card.json")

    def run(self, name: str) -> None:
        """Train, predict, score and validate; then keep what is small."""
        self.train(name)
        out = self.results / f"runs/{name}"
        model = ("--weights", self.results / f"weights/{name}.safetensors")
        found, validation = out / "predictions.npz", out / "validation.parquet"
        self.step("predict", name, *self.inputs(name), *model, "--out", found, out=found)
        data = ("--packed", self.data / "packed", "--split", self.data / "split.parquet")
        self.step("score", name, *data, "--predictions", found, "--out", out, out=out / "scores.parquet")
        if "infection" in self.params.run(name).tasks:
            self.step("validate", name, *self.inputs(name), *model, "--out", validation, out=validation)
        for file in SMALL if self.keep else ():
            if (out / file).is_file():
                (self.keep / name).mkdir(parents=True, exist_ok=True)
                shutil.copy2(out / file, self.keep / name / file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--params", action="append", required=True, metavar="FILE")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--keep", type=Path, metavar="OUT")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))
    try:
        params = load([Path(file) for file in arguments.params])
        for name in arguments.runs:
            params.run(name)
    except ValueError as error:
        print(f"campaign: {error}", file=sys.stderr)
        return 2
    campaign = Campaign(params, arguments.params, time.monotonic() + 60 * arguments.minutes, arguments.keep)
    done: list[str] = []
    try:
        campaign.prepare()
        for name in arguments.runs:
            campaign.run(name)
            done.append(name)
            print(f"campaign: {name} is done", file=sys.stderr)
    except TimeIsUp:
        left = ", ".join(name for name in arguments.runs if name not in done)
        print(f"campaign: time is up; not done: {left}. The same command goes on", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"campaign: a step failed: {' '.join(error.cmd[2:])}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
