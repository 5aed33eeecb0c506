"""Kill everything, lose nothing: SIGKILL at random moments, the same command again, and at the end the same files.

    python tests/campaigns/kills.py --kills 200 --log kills.log      the long lane, some 45 minutes on 2 cores
    python tests/campaigns/kills.py --lane page --kills 10

Lanes: `steps` (each step's own command, `page` among them), `snakemake` and `dvc` (the parent alone, the whole group,
or one of its steps), `page`. The pipeline is a tiny one on phantoms. Each lane starts with nothing made; when a command
has come to its end, its files are compared with those of a run that nothing interrupted: bytes, but for measured times.
A lane fails on another status than 0 or that of a killed step, on a traceback, on a lock that has to be removed by
hand, and on anything that is left over.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.copies import RUNS, Copy, made_copy, small_params
from support.engines import Step, snakemake_jobs

SHARES = {"steps": 0.6, "snakemake": 0.2, "dvc": 0.1, "page": 0.1}
COMMANDS = {"snakemake": ("snakemake", "--cores", "2"), "dvc": ("dvc", "repro")}
# measured times and what is made of them: compared without their numbers
TIMED = re.compile(r"card\.json|history\.csv|cost\.(json|csv|md|svg)|README\.md|report/.*")
NUMBER = re.compile(rb"-?\d[\d.,]*(e[+-]?\d+)?")
FAULTS = ("Traceback (most recent call last)", "LockException", "--unlock")
LEFT_OVER = re.compile(r"^\..*\.(part|lock|old)$|\.damaged")


class Failed(Exception):
    """What a kill has done that it must not do."""


def tiny_params() -> dict:
    """Two trainings, one from the other's weights, and two baselines."""
    params = small_params()
    params["runs"] = {name: params["runs"][name] for name in RUNS[:2]}
    params["roi"] = {"annotated": ["whole", "ground-truth"], "predicted": [RUNS[0]]}
    params["baselines"] = {name: params["baselines"][name] for name in ("lungs", "thumbnail")}
    return params


def contents(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of everything that the pipeline makes; of files with measured times the text without numbers and
    without the commit of that copy.
    """
    found, git = {}, ["git", "-C", folder, "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, check=True).stdout.strip()
    for root in ("data", "results"):
        for file in sorted((folder / root).rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and not re.search(r"/\.|/resume/|/live/", f"/{name}"):
                raw = file.read_bytes()
                found[name] = (
                    NUMBER.sub(b"#", raw.replace(commit, b"").replace(commit[:9], b"")) if TIMED.search(name) else raw
                )
    return found


def compare(place: Copy, wanted: dict[str, bytes], names: set[str] | None = None) -> None:
    """Failed where a file is missing, too many, or another; `names`: only these."""
    found = contents(place.folder)
    names = names if names is not None else wanted.keys() | found.keys()
    if other := sorted(name for name in names if found.get(name) != wanted.get(name)):
        raise Failed(f"{len(other)} of {len(names)} files are not those of an uninterrupted run: {other[:8]}")
    left = [
        str(f) for root in ("data", "results") for f in (place.folder / root).rglob("*") if LEFT_OVER.search(f.name)
    ]
    if left:
        raise Failed(f"left over: {left[:8]}")


def processes(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(file.parent.name))
    return found


def is_step(pid: int) -> bool:
    try:
        return b"\0-m\0covidqu\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Lane:
    """Commands that are killed, in one copy; `log` has what each said."""

    def __init__(self, place: Copy, log: Path, draw: random.Random) -> None:
        self.place, self.log, self.draw, self.kills = place, log, draw, Counter[str]()
        self.sessions: set[int] = set()  # of its commands; steps whose parent was killed may still run in one

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as file:
            file.write(f"\n$ {' '.join(command)}\n".encode())
            where = {"cwd": self.place.folder, "env": self.place.environment, "stdout": file, "stderr": file}
            process = subprocess.Popen(command, **where, start_new_session=True)
        self.sessions.add(process.pid)
        return process

    def kill(self, process: subprocess.Popen[bytes], how: str) -> None:
        """SIGKILL to the parent, to its whole session, or to a step of it (the parent where none runs)."""
        steps = [pid for pid in processes(process.pid) if is_step(pid)]
        targets = {
            "parent": [process.pid],
            "group": processes(process.pid),
            "step": self.draw.sample(steps, min(1, len(steps))),
        }
        for pid in targets[how] or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills[how] += 1
        with self.log.open("a") as file:
            file.write(f"\n# killed: {how}, {len(steps)} steps ran\n")
        if how == "step":
            process.wait()  # the engine ends by itself
            if process.returncode == 0 and steps:
                raise Failed("an engine says that all went well though a step was killed")

    def of_dvc(self) -> bool:
        """Whether DVC was killed while it wrote a lock of its own, which then has to be deleted; done, if so."""
        said = self.log.read_text(errors="replace").rpartition("\n$ ")[2]
        if "RWLock-file" not in said or "corrupted" not in said:
            return False
        (self.place.folder / ".dvc/tmp/rwlock").unlink()
        self.kills["rwlock of DVC deleted by hand"] += 1
        return True

    def end(self) -> None:
        """End what this lane has started and what still runs."""
        for pid in [pid for session in self.sessions for pid in processes(session)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def check_log(self) -> None:
        """Failed for what must not be in the log."""
        text = self.log.read_text(errors="replace")
        if faults := [fault for fault in FAULTS if fault in text]:
            raise Failed(f"{self.log} has: {', '.join(faults)}")

    def wait_for_orphans(self) -> None:
        """Steps whose parent was killed come to their end, as they would beside the next command."""
        while any(processes(session) for session in self.sessions):
            time.sleep(0.2)


def kill_steps(lane: Lane, jobs: list[Step], kills: int, wanted: dict[str, bytes]) -> None:
    """Each step's command: killed at a moment of the time that it takes, several times, and then let go."""
    for number, job in enumerate(jobs):
        here = kills * (number + 1) // len(jobs) - kills * number // len(jobs)
        length = 6.0
        for _ in range(here):
            process = lane.start("bash", "-c", job.command)
            wait(process, lane.draw.uniform(0, length))
            if process.poll() is None:
                lane.kill(process, "group")
                process.wait()
            else:
                length = length / 2
                lane.kills["too late"] += 1
        done = lane.start("bash", "-c", job.command)
        if done.wait():
            raise Failed(f"{job.command}: status {done.returncode} after {here} kills")
        compare(lane.place, wanted, set(job.outs))
    compare(lane.place, wanted, {out for job in jobs for out in job.outs})


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Until a process ends, or so long."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def kill_engine(lane: Lane, engine: str, kills: int, wanted: dict[str, bytes], targets: tuple[str, ...]) -> None:
    """The same command again and again; when it comes to its end, compare and start from nothing."""
    while sum(lane.kills.values()) < kills:
        process = lane.start(*COMMANDS[engine], *targets)
        if lane.draw.random() < 0.8:  # else in its first seconds
            while process.poll() is None and not any(is_step(pid) for pid in processes(process.pid)):
                time.sleep(0.1)
        wait(process, lane.draw.uniform(0, 15))
        if process.poll() is None:
            lane.kill(process, lane.draw.choice(["parent", "group", "step"]))
            process.wait()
        elif lane.of_dvc():
            continue
        else:
            finish(lane, engine, process, wanted)
            for name in ("data", "results", ".snakemake", "dvc.lock", ".dvc/cache", ".dvc/tmp"):
                path = lane.place.folder / name
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    process = lane.start(*COMMANDS[engine], *targets)
    process.wait()
    if lane.of_dvc():
        process = lane.start(*COMMANDS[engine], *targets)
        process.wait()
    finish(lane, engine, process, wanted)


def finish(lane: Lane, engine: str, process: subprocess.Popen[bytes], wanted: dict[str, bytes]) -> None:
    if process.returncode:
        raise Failed(f"{engine} ended with {process.returncode}; see {lane.log}")
    lane.wait_for_orphans()
    names = None if engine == "snakemake" else {name for name in wanted if name in dvc_outputs(lane.place)}
    compare(lane.place, wanted, names)


def dvc_outputs(place: Copy) -> set[str]:
    import yaml

    stages = yaml.safe_load((place.folder / "dvc.lock").read_text())["stages"].values()
    return {out["path"] for stage in stages for out in stage["outs"]}


def in_order(jobs: list[Step]) -> list[Step]:
    """Each job after those whose files it reads."""
    made = {out: job for job in jobs for out in job.outs}
    done: list[Step] = []

    def visit(job: Step) -> None:
        for name in sorted(job.deps):
            if name in made and made[name] not in done:
                visit(made[name])
        if job not in done:
            done.append(job)

    for job in sorted(jobs, key=lambda job: job.command):
        visit(job)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lane", choices=list(SHARES), action="append", help="one lane; repeat; without it all")
    parser.add_argument("--made", type=Path, help="folder of an uninterrupted run to compare with")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "kills.log")
    arguments = parser.parse_args()
    lanes = {lane: SHARES[lane] for lane in arguments.lane or SHARES}
    counts = {lane: round(arguments.kills * share / sum(lanes.values())) for lane, share in lanes.items()}
    with tempfile.TemporaryDirectory(prefix="covidqu-kills-") as folder:
        return campaign(Path(folder), counts, arguments.seed, arguments.log.absolute(), arguments.made)


def campaign(
    folder: Path, counts: dict[str, int], seed: int, log: Path, made: Path | None = None, targets: tuple[str, ...] = ()
) -> int:
    """All lanes; 1 if one has failed. `targets`: of Snakemake, instead of everything."""
    started, failed = time.monotonic(), 0
    log.parent.mkdir(parents=True, exist_ok=True)
    whole = Copy(made) if made else made_copy(folder / "whole", tiny_params())
    if not made:
        whole(*COMMANDS["snakemake"], *targets)
    wanted = contents(whole.folder)
    jobs = [job for job in in_order(snakemake_jobs(whole.folder)) if job.outs & wanted.keys()]
    say(log, f"the uninterrupted run: {len(wanted)} files, {len(jobs)} jobs, {time.monotonic() - started:.0f} s")
    for lane_name, kills in counts.items():
        begun, text = time.monotonic(), log.with_name(f"{log.stem}-{lane_name}.txt")
        text.write_text("")
        lane = Lane(made_copy(folder / lane_name, tiny_params()), text, random.Random(f"{seed} {lane_name}"))
        try:
            if lane_name in ("steps", "page"):
                chosen = jobs if lane_name == "steps" else [job for job in jobs if job.step == "page"]
                if chosen != jobs:
                    for name in ("data", "results"):
                        shutil.copytree(whole.folder / name, lane.place.folder / name, dirs_exist_ok=True)
                kill_steps(lane, chosen, kills, wanted)
            else:
                kill_engine(lane, lane_name, kills, wanted, targets)
            lane.check_log()
            result = "all files as in the uninterrupted run"
        except Failed as error:
            failed, result = 1, f"FAILED: {error}"
            shutil.copytree(lane.place.folder, log.with_name(f"{log.stem}-{lane_name}-failed"), dirs_exist_ok=True)
        finally:
            lane.end()
        say(log, f"{lane_name}: {json.dumps(lane.kills)} in {time.monotonic() - begun:.0f} s: {result}")
    return failed


def say(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(f"{text}\n")
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
