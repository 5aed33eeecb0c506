"""Keep the books of both engines in step. No data are made, no training is run.

after-snakemake: Snakemake has nothing left to do -> the state is recorded in dvc.lock (`dvc commit`). Runs by itself
    after each Snakemake run; whatever is in the way is said, and the run stays a success.
after-dvc: after `dvc repro`, `dvc pull` or `dvc checkout`. `dvc status` is clean, that is: the content of every file
    of the pipeline is what dvc.lock says -> Snakemake adopts these files (`--touch`), then makes the tables and
    figures anew whose inputs have changed (only Snakemake knows them; to adopt them as well would bless stale ones).
    --force: adopt even when Snakemake sees nothing to do.

Neither side is recorded while the other is not clean.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, "src")

from covidqu.config.params import load
from covidqu.ingest.source import look

REPORT_RULES = {"architectures", "cost", "validate", "tables", "figures", "comparison", "cards", "page", "all"}


class NotInStep(Exception):
    """Why nothing was recorded, and what to do."""


def call(tool: str, *arguments: str) -> str:
    """Standard output and error of a tool of this Python; NotInStep when it fails or is not there."""
    done = subprocess.run([sys.executable, "-m", tool, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr + done.stdout).strip().splitlines()  # of --dry-run, Snakemake says it on either
        raise NotInStep(f"`{tool} {' '.join(arguments[:2])}` failed: {' '.join(reason[-3:])}")
    return done.stdout + (done.stderr if tool == "snakemake" else "")


def planned() -> dict[str, int]:
    """Rule -> number of jobs that Snakemake would run now."""
    text = call("snakemake", "--dry-run", "--nolock")
    if "Nothing to be done" in text:
        return {}
    _, _, stats = text.partition("Job stats:")
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE)}
    assert jobs.pop("total", 0), f"no job statistics in:\n{text}"
    return jobs


def status() -> dict[str, list]:
    """Stage -> what DVC finds changed, by content.

    For stage `source` DVC says "always changed" and cannot know better: changed is it when source.json says otherwise.
    """
    found = json.loads(call("dvc", "status", "--json"))
    changes = [change for change in found.pop("source", []) if change != "always changed"]
    if not source_is_current():
        changes.append({"changed source": "what the archive is made of is another now"})
    return found | ({"source": changes} if changes else {})


def source_is_current() -> bool:
    """Whether source.json says what is to be said of the source now; a source that is gone is no change."""
    params = load([Path("params.yaml")])
    file = Path(params.paths.data) / "source.json"
    try:
        return file.is_file() and file.read_text(encoding="utf-8") == look(params.download, file)[0]
    except (ValueError, OSError) as error:
        raise NotInStep(str(error)) from None


def unexplained(found: dict[str, list]) -> list[str]:
    """Stages with other outputs than recorded although nothing that they depend on has changed."""
    return [stage for stage, changes in found.items() if all(set(change) == {"changed outs"} for change in changes)]


def after_snakemake() -> str:
    """Record in dvc.lock what Snakemake has made."""
    if planned():
        raise NotInStep("Snakemake has jobs left to run; dvc.lock is left as it is")
    found = status()
    if not found:
        return "dvc.lock is up to date"
    if odd := unexplained(found):
        raise NotInStep(
            f"outputs of {', '.join(odd)} differ from dvc.lock although nothing they depend on has changed; "
            f"dvc.lock is left as it is. Made again on purpose: `dvc commit {' '.join(odd)}`; "
            f"otherwise `dvc checkout --force {' '.join(odd)}` brings the recorded files back"
        )
    call("dvc", "commit", "--force", "--quiet")
    return f"dvc.lock updated ({len(found)} stages)"


def outputs() -> list[str]:
    """Files that stages have made. Of stages only that are: dvc.lock keeps those of removed and renamed runs."""
    recorded = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    stages = [recorded[name] for name in call("dvc", "stage", "list", "--name-only").split() if name in recorded]
    return [out["path"] for stage in stages for out in stage["outs"] if Path(out["path"]).is_file()]


def after_dvc(force: bool) -> str:
    """Let Snakemake adopt what DVC has made or fetched."""
    if found := status():
        raise NotInStep(f"`dvc status` is not clean ({', '.join(found)}); nothing is adopted. See `dvc status`")
    if not planned() and not force:
        return "Snakemake is up to date"
    call("snakemake", "--cores", "1", "--touch", "--forceall", *outputs())
    jobs = planned()
    if not jobs:
        return "Snakemake has adopted the files"
    if wrong := {rule for rule in jobs if rule.split("_")[0] not in REPORT_RULES}:
        raise NotInStep(f"Snakemake still wants to run {', '.join(sorted(wrong))}; see `snakemake --dry-run`")
    print("sync: Snakemake has adopted the files; tables and figures follow", file=sys.stderr)
    call("snakemake", "--cores", "all")
    return "tables and figures are up to date"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("when", choices=["after-snakemake", "after-dvc"])
    parser.add_argument("--force", action="store_true", help="after-dvc: adopt even when there is nothing to do")
    arguments = parser.parse_args()
    try:
        done = after_snakemake() if arguments.when == "after-snakemake" else after_dvc(arguments.force)
    except NotInStep as reason:
        print(f"sync: {reason}", file=sys.stderr)
        return 0 if arguments.when == "after-snakemake" else 1
    print(f"sync: {done}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
