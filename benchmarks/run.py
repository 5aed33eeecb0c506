"""How fast the work is done, as ratios to other ways of doing it, measured one after the other in one run.

    uv run python benchmarks/run.py --data FOLDER    real images: the folder that holds "Infection Segmentation Data"
    uv run python benchmarks/run.py                  phantoms

Writes results/benchmarks.csv, .md and .svg (--out). Run it on an idle machine. Each figure is the median of `REPEATS`
measurements, taken in turns with those of the way that it is compared with.
"""

import argparse
import csv
import os
import shutil
import sys
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

import computing  # noqa: E402
import numbers_of_masks  # noqa: E402
import peers  # noqa: E402
import samples  # noqa: E402
from measuring import Line, machine  # noqa: E402

import commands  # noqa: E402
import reading  # noqa: E402
from covidqu.config.data import Phantom  # noqa: E402
from covidqu.ingest.pack import pack  # noqa: E402
from covidqu.ingest.sources.phantom import write as write_phantom  # noqa: E402

TREE = "Infection Segmentation Data"
PARTS = {
    "samples": samples,
    "computing": computing,
    "masks": numbers_of_masks,
    "commands": commands,
    "reading": reading,
    "peers": peers,
}


@dataclass(frozen=True)
class Place:
    """`png`: a folder of images and masks as PNG files; `packed`: the same images packed; `kind`: real or phantom."""

    png: Path
    packed: Path
    kind: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=int, default=384, metavar="N")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks", metavar="PATH")
    parser.add_argument("--only", choices=list(PARTS), nargs="+", default=[part for part in PARTS if part != "peers"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = prepared(Path(folder), arguments.data, arguments.images)
        lines = [line for part in arguments.only for line in alone(part, place)]
    write(lines, arguments.out, f"{arguments.images} {place.kind} images; {machine()}")


def alone(part: str, place: Place) -> list[Line]:
    """Measure one part in a process of its own: threads and memory of another would be measured with it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(PARTS[part].measure, place).result()


def prepared(folder: Path, data: Path | None, images: int) -> Place:
    """Some training images of each class, as files and packed."""
    archive, tree = folder / "images.zip", folder / "png"
    if data is None:
        few = {"Train": (images // 3,) * 3, "Val": (0, 0, 0), "Test": (0, 0, 0)}
        write_phantom(archive, Phantom(seed=0, lung={}, infection=few))
        with zipfile.ZipFile(archive) as file:
            file.extractall(tree)
    else:
        for label in sorted((data / TREE / TREE / "Train").iterdir()):
            for name in sorted(path.name for path in (label / "images").iterdir())[: images // 3]:
                for kind in label.iterdir():
                    target = tree / kind.relative_to(data) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(kind / name, target)
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(tree.rglob("*.png")):
                file.write(path, path.relative_to(tree))
    pack(archive, folder / "packed")
    return Place(tree, folder / "packed", "phantom" if data is None else "real")


def write(lines: list[Line], out: Path, where: str) -> None:
    """Table as CSV and Markdown, and a figure of the ratios."""
    with out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, asdict(lines[0]).keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(
            {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in asdict(line).items()} for line in lines
        )
    rows = ["| what | compared with | its ms | here, ms | ratio | goal |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {line.what} | {line.baseline} | {line.baseline_ms:.4g} | {line.ms:.4g} | {line.ratio:.2f} | {line.goal} |"
        for line in lines
    ]
    out.with_suffix(".md").write_text(f"{where}.\n\n" + "\n".join(rows) + "\n", encoding="utf-8")
    draw(lines, out.with_suffix(".svg"), where)
    print(out.with_suffix(".md").read_text())


def draw(lines: list[Line], out: Path, where: str) -> None:
    """Ratios on a logarithmic axis, with their goals."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.38 * len(lines) + 1.2), layout="constrained")
    for place, line in enumerate(reversed(lines)):
        axes.barh(place, line.ratio, color="tab:blue" if line.met else "tab:orange", height=0.6)
        if line.wanted is not None:
            axes.plot([line.wanted] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
    axes.set_yticks(range(len(lines)), [label(line) for line in reversed(lines)], fontsize=7)
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("ratio (black: the goal; orange: not reached)", fontsize=7)
    figure.suptitle(where, fontsize=7)
    figure.savefig(out, metadata={"Date": None})


def label(line: Line) -> str:
    """What a bar is called: without what stands in brackets."""
    return f"{line.what}: {line.baseline.partition(' (')[0]}"


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
