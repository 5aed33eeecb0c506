"""libFuzzer over the readers of this project, guided by coverage: the targets of tests/support/targets.py.

    uv run --with atheris==3.0.0 python tests/campaigns/fuzz.py                 every target, 3 minutes each
    uv run --with atheris==3.0.0 python tests/campaigns/fuzz.py --seconds 60 png dicom
    uv run --with atheris==3.0.0 python tests/campaigns/fuzz.py --runs 1000
    uv run --with atheris==3.0.0 python tests/campaigns/fuzz.py --again FOLDER/findings/png-0123456789ab

Each target runs in a process of its own. An input is right, or it is refused as tests/support/hostile.py asks; any
other exception, an input that takes longer than 30 s, and more than 3 GB of memory are findings: the input is saved,
and named. Exit status 1 where there is one. Checksums of zip entries and PNG chunks are not compared meanwhile, so that
an edit meets what is behind them.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

NAMES = ("archive", "png", "contents", "params", "setting", "parquet", "arrays", "weights", "state", "texts", "picture",
         "dicom", "bundle")  # fmt: skip
SECONDS, HANGS = 30, 300  # of the CPU for one input; of the clock, after which it is ended
MEGABYTES = 3000  # of memory, 1,200 of which are libraries
LONGEST = 16 << 10  # bytes of an input that the fuzzer makes, unless a seed is longer


def main() -> int:
    if sys.argv[1:2] == ["--inside"]:
        return inside(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
    parser = argparse.ArgumentParser(description="fuzz the readers")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all without one")
    parser.add_argument("--seconds", type=int, default=180, help="per target")
    parser.add_argument("--runs", type=int, default=-1, help="inputs per target, where --seconds are not over before")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "covidqu-fuzz", help="folder of "
                        "inputs that reached something new, for the next call, and of findings")  # fmt: skip
    parser.add_argument("--again", type=Path, help="one saved input once more")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if given.again:
        name = given.again.name.split("-")[0]
        return run(name, given.out, [str(given.again.absolute())])
    print(f"{'target':10} {'executions':>10} {'coverage':>8} findings", flush=True)
    found = [name for target in given.targets or NAMES for name in fuzzed(target, given.out, given.seconds, given.runs)]
    return int(bool(found))


def run(target: str, out: Path, words: list[str], said: IO[bytes] | None = None) -> int:
    """The exit status of the process of one target; its readers' files are in memory where there is such a folder."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="covidqu-fuzz-", dir=memory) as work:
        command = [sys.executable, __file__, "--inside", target, work, str(out.absolute()), *words]
        return subprocess.run(command, stdout=said, stderr=said, check=False).returncode


def fuzzed(target: str, out: Path, seconds: int, runs: int) -> list[str]:
    """Run one target, and print a line on it; its findings."""
    corpus, findings = out / "corpus" / target, out / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    limits = [f"-max_total_time={seconds}", f"-runs={runs}", f"-rss_limit_mb={MEGABYTES}", f"-timeout={HANGS}"]
    limits.append(f"-report_slow_units={HANGS}")
    places = [f"-artifact_prefix={findings.absolute()}/{target}-", str(corpus.absolute())]
    log = out / f"{target}.log"
    with log.open("wb") as file:
        status = run(target, out, [*limits, *places], file)
    said = log.read_text(errors="replace")
    counts = [max(map(int, re.findall(pattern, said)), default=0) for pattern in (r"(?m)^#(\d+)\t", r" cov: (\d+)")]
    new = sorted(str(path) for path in set(findings.iterdir()) - before)
    if status and not new:
        new = [f"{log}: exit status {status}"]
    print(f"{target:10} {counts[0]:10,} {counts[1]:8,} {len(new)}", *new, sep="\n  " if new else " ", flush=True)
    return new


def inside(target: str, work: Path, out: Path, words: list[str]) -> int:
    """The process of one target, from `Fuzz` on libFuzzer's."""
    import atheris

    os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    with atheris.instrument_imports(include=["covidqu", "PIL", "pydicom"]):
        from support import targets

        readers = targets.packed_targets(work)[target]
        for data in targets.inputs(readers):  # what readers import when they are called is instrumented, too
            judged(readers, out / "findings", target, data)
    without_checksums()
    if Path(words[-1]).is_file():
        targets.judge(readers, Path(words[-1]).read_bytes())  # once more, with its traceback
        return 0
    for data in targets.inputs(readers):
        (Path(words[-1]) / hashlib.sha1(data).hexdigest()).write_bytes(data)
    longest = max(LONGEST, *map(len, targets.inputs(readers)))
    flags = [sys.argv[0], f"-max_len={longest}", *words]
    atheris.Setup(flags, lambda data: judged(readers, out / "findings", target, data))
    atheris.Fuzz()
    return 0


def without_checksums() -> None:
    from PIL.PngImagePlugin import ChunkStream

    ChunkStream.crc = ChunkStream.crc_skip
    import zipfile

    zipfile.ZipExtFile._update_crc = lambda *_: None


seen: set[str] = set()


def judged(readers: list, findings: Path, target: str, data: bytes) -> None:
    """Save an input whose fault is new: another exception, or another message at another place. libFuzzer goes on."""
    from support import targets

    begun = time.process_time()
    try:
        targets.judge(readers, data)
        assert (taken := time.process_time() - begun) < SECONDS, f"{taken:.0f} s of the CPU"
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {frame.filename}:{frame.lineno} {str(error)[:24]!r}"
        if place not in seen:
            seen.add(place)
            file = findings / f"{target}-{hashlib.sha1(data).hexdigest()[:12]}"
            file.write_bytes(data)
            print(f"\nFINDING {file}\n{''.join(traceback.format_exception(error))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
