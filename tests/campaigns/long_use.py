"""Both engines in long use: after every chapter Snakemake and DVC tell the truth, and the files are the right ones.

    uv run python tests/campaigns/long_use.py               the true steps on tiny phantoms
    uv run python tests/campaigns/long_use.py --stand-ins   stand-ins that write their inputs' hash: engines only
    uv run python tests/campaigns/long_use.py branches      one chapter; repeat

Each chapter has a copy of this tree of its own, a git repository in which everything is made. Nothing is to be done
when nothing has changed, and something is when something has; who goes back finds the same bytes.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from campaigns.kills import contents, tiny_params
from support.copies import RUNS, Copy, made_copy
from support.s3_server import objects, s3_server
from support.ssh_server import ssh_server

STAND_IN = Path(__file__).with_name("stand_in.py")
MAKE = ("snakemake", "--cores", "1")


def truth(place: Copy, *, snakemake: bool, dvc: bool) -> None:
    """Whether each engine says that nothing is to be done."""
    said = {"snakemake": place.snakemake_is_clean(), "dvc": place.dvc_is_clean()}
    assert said == {"snakemake": snakemake, "dvc": dvc}, f"nothing to be done: {said}\n{place('dvc', 'status')}"


def in_step(place: Copy) -> None:
    """The books of both are brought in step, and then both have nothing to do."""
    place.sync("after-dvc")
    truth(place, snakemake=True, dvc=True)


def edit(place: Copy, change: Callable[[dict], object]) -> None:
    """Change the runs in params.yaml, and the lists that follow from it."""
    place.edit(lambda params: change(params["runs"]) and None)
    place("python", "workflow/dvc_lists.py", "--fix")


def rate(place: Copy, value: float, run: str = RUNS[1]) -> None:
    """Another learning rate of a run: of the second one, on which no other rests."""
    edit(place, lambda runs: runs[run].update(optimizer={"kind": "adam", "lr": value}))


def a_run_is_added_renamed_and_removed(place: Copy) -> None:
    def renamed(runs: dict) -> None:
        runs["more"] = runs.pop("extra")

    edit(place, lambda runs: runs.update(extra=runs[RUNS[0]] | {"optimizer": {"kind": "adam", "lr": 0.05}}))
    for change in (None, renamed):
        if change:
            edit(place, change)
        truth(place, snakemake=False, dvc=False)
        place("dvc", "repro")
        truth(place, snakemake=False, dvc=True)  # tables and cards are Snakemake's
        in_step(place)
    edit(place, lambda runs: runs.pop("more"))
    truth(place, snakemake=False, dvc=True)  # no stage depends on it, the report does
    place("dvc", "repro")
    in_step(place)


def branches_are_switched(place: Copy) -> None:
    states = {"main": contents(place.folder)}
    place("git", "checkout", "--quiet", "-b", "warmer")
    rate(place, 0.05)
    truth(place, snakemake=False, dvc=False)
    place(*MAKE)
    truth(place, snakemake=True, dvc=True)
    place.commit("warmer")
    states["warmer"] = contents(place.folder)
    assert states["warmer"] != states["main"]
    place("git", "checkout", "--quiet", "--detach")
    rate(place, 0.06)
    place("dvc", "repro")
    in_step(place)
    place.commit("hotter")
    place("git", "branch", "hotter")
    states["hotter"] = contents(place.folder)
    for name in ("main", "warmer", "hotter~2", "hotter", "main"):  # hotter~2: an older commit, of no branch's end
        place("git", "checkout", "--quiet", "--detach", name)
        truth(place, snakemake=False, dvc=False)
        place("dvc", "checkout")
        in_step(place)
        here = "main" if name == "hotter~2" else name
        differing = [file for file in states[here] if contents(place.folder).get(file) != states[here][file]]
        assert not differing, f"{name}: {differing}"
        assert not place("git", "status", "--porcelain"), "what git keeps is what was committed"


def the_cache_is_linked(place: Copy) -> None:
    """A step that wrote into a link would change the cache, and with it all other commits."""
    for number, kind in enumerate(("hardlink", "symlink", "reflink,copy", "copy")):
        place("dvc", "config", "--local", "cache.type", kind)
        place("dvc", "checkout", "--relink")
        assert place.dvc_is_clean()
        in_step(place)
        rate(place, 0.05 + number / 100)
        truth(place, snakemake=False, dvc=False)
        place(*MAKE)
        truth(place, snakemake=True, dvc=True)
        rate(place, 0.055 + number / 100)
        place("dvc", "repro")
        in_step(place)
        for file in (place.folder / ".dvc/cache/files/md5").glob("??/*"):
            if file.suffix != ".dir":
                found = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
                assert found == file.parent.name + file.name, f"{kind}: {file} was written into"


STORES = ("folder", "bucket", "ssh")


@contextmanager
def store(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str], Callable[[], int]]]:
    """A store for DVC, in `folder` unless it is a bucket: address, settings of a remote there, number of its files."""

    def files() -> int:
        return sum(file.is_file() for file in folder.rglob("*"))

    if kind == "bucket":
        with s3_server() as address:
            yield "s3://covidqu/dvc", {"endpointurl": address}, lambda: objects(address)
    elif kind == "ssh":
        with ssh_server(Path(f"{folder}-sshd")) as login:
            yield f"ssh://127.0.0.1{folder}", login, files
    else:
        yield str(folder), {}, files


def cut(place: Copy, stored: Callable[[], int]) -> bool:
    """Whether `dvc push` was killed before its end: when another file has come into the store."""
    before, quiet = stored(), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = ("dvc", "push", "--jobs", "1")
    push = subprocess.Popen(command, cwd=place.folder, env=place.environment, start_new_session=True, **quiet)
    while push.poll() is None and stored() == before:
        time.sleep(0.02)
    alive = push.poll() is None
    if alive:
        os.killpg(push.pid, signal.SIGKILL)
    push.wait()
    return alive


def cloned(place: Copy, kind: str, kills: int) -> Copy:
    """A clone with what it pulled from a store; the push to it was killed so many times, then went on to its end."""
    clone = Copy(place.folder.with_name(f"{place.folder.name}-{kind}"))
    place("git", "clone", "--quiet", str(place.folder), str(clone.folder))
    with store(kind, Path(f"{clone.folder}-store")) as (address, settings, stored):
        for one in (place, clone):
            one("dvc", "remote", "add", "--local", "--force", "--default", kind, address)
            for key, value in settings.items():
                one("dvc", "remote", "modify", "--local", kind, key, value)
        cuts = sum(cut(place, stored) for _ in range(kills))
        assert cuts > kills / 2, f"{kind}: only {cuts} of {kills} pushes were cut"
        place("dvc", "push")
        clone("dvc", "pull")
    return clone


def a_push_is_interrupted(place: Copy) -> None:
    for kind in STORES:
        clone = cloned(place, kind, kills=6)
        assert clone.dvc_is_clean()
        clone.sync("after-dvc", "--force")
        truth(clone, snakemake=True, dvc=True)
        truth(place, snakemake=True, dvc=True)
        assert contents(clone.folder).keys() == contents(place.folder).keys()
        assert not clone("git", "status", "--porcelain")


def two_colleagues_take_turns(place: Copy) -> None:
    """One calls Snakemake only, one DVC only; what they share is a git repository and a store of DVC's."""
    hub, store = f"{place.folder}-hub.git", f"{place.folder}-store"
    place("git", "clone", "--quiet", "--bare", str(place.folder), hub)
    place("git", "remote", "add", "origin", hub)
    other = Copy(place.folder.with_name(f"{place.folder.name}-other"))
    place("git", "clone", "--quiet", hub, str(other.folder))
    for one in (place, other):
        one("dvc", "remote", "add", "--local", "--default", "store", store)
    place("dvc", "push")
    for turn in range(2):
        other("git", "pull", "--quiet", "origin", "main")
        other("dvc", "pull")
        assert other.dvc_is_clean()
        rate(other, 0.03 + turn / 100)
        other("dvc", "repro")
        assert other.dvc_is_clean()
        other.commit("by DVC")
        other("git", "push", "--quiet", "origin", "HEAD:main")
        other("dvc", "push")
        place("git", "pull", "--quiet", "origin", "main")
        truth(place, snakemake=False, dvc=False)
        place("dvc", "pull")
        in_step(place)
        rate(place, 0.035 + turn / 100, RUNS[0])
        place(*MAKE)
        truth(place, snakemake=True, dvc=True)
        place.commit("by Snakemake")
        place("git", "push", "--quiet", "origin", "HEAD:main")
        place("dvc", "push")
    other("git", "pull", "--quiet", "origin", "main")
    other("dvc", "pull")
    assert other.dvc_is_clean()
    other.sync("after-dvc", "--force")
    truth(other, snakemake=True, dvc=True)
    assert not other("git", "status", "--porcelain"), "the same tables and figures"


def two_pipelines_in_one_folder(place: Copy) -> None:
    """At the same time, on different settings: neither sees the other's files."""
    before, recorded = contents(place.folder), place.lock()
    paths = {"data": "data/other", "results": "results/other"}
    (place.folder / "other.yaml").write_text(yaml.safe_dump({"paths": paths, "split": {"seed": 7}}))
    overlay = ("--configfile", "other.yaml")
    place.edit(lambda params: params["evaluate"]["bootstrap"].update(resamples=300))
    running = subprocess.Popen(
        (*MAKE, *overlay), cwd=place.folder, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    time.sleep(4)  # it has its lock
    place(*MAKE)
    said = running.communicate()[0].decode()
    assert running.returncode == 0, said[-4000:]
    assert place.snakemake_is_clean() and place.dvc_is_clean()
    assert "Nothing to be done" in place("snakemake", "-n", *overlay)
    place.edit(lambda params: params["evaluate"]["bootstrap"].update(resamples=200))
    place(*MAKE)
    truth(place, snakemake=True, dvc=True)
    now = {name: raw for name, raw in contents(place.folder).items() if "/other/" not in name}
    assert now == before and place.lock() == recorded


CHAPTERS = {
    "runs": a_run_is_added_renamed_and_removed,
    "branches": branches_are_switched,
    "cache": the_cache_is_linked,
    "push": a_push_is_interrupted,
    "colleagues": two_colleagues_take_turns,
    "pipelines": two_pipelines_in_one_folder,
}


def made(folder: Path, stand_ins: bool) -> Copy:
    """A copy of this tree in which `snakemake --cores 1` has made everything, and DVC has recorded it."""
    place = made_copy(folder, tiny_params())
    if stand_ins:
        shutil.copy(STAND_IN, folder / "src/covidqu/__main__.py")
        place.commit("stand-ins for the steps")
    place(*MAKE)
    truth(place, snakemake=True, dvc=True)
    place.commit("everything made")
    return place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", choices=[*CHAPTERS, []], help="without any: all")
    parser.add_argument("--stand-ins", action="store_true", help="instead of the true steps")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="covidqu-long-") as folder:
        whole, begun = made(Path(folder) / "made", arguments.stand_ins), time.monotonic()
        for name in arguments.chapters or CHAPTERS:
            shutil.copytree(whole.folder, Path(folder) / name, symlinks=True)
            try:
                place = Copy(Path(folder) / name)
                truth(place, snakemake=True, dvc=True)
                CHAPTERS[name](place)
                said = "both engines told the truth"
            except Exception:
                failed, said = 1, f"FAILED\n{traceback.format_exc()}"
            print(f"{name}: {time.monotonic() - begun:.0f} s: {said}", flush=True)
            begun = time.monotonic()
    return failed


if __name__ == "__main__":
    sys.exit(main())
