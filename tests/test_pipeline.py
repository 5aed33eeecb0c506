"""One story, on synthetic data: what a user of both engines does, and what must never happen to them.

Each chapter starts where the one before ended; all run the true steps in a copy of this tree that is a git repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from parameters import text
from s3_server import s3_server

from covidqu.config.params import read

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "Snakefile",
    "profiles",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    "workflow",
    "src",
    ".dvc/config",
    "CITATION.cff",
)
FEW = {"Train": [4, 2, 2], "Val": [2, 1, 1], "Test": [4, 2, 2]}
RUNS = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted")
REPORT = {"architectures", "cost", "tables", "figures", "comparison", "cards", "page"}
IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
IDENTITY |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in IDENTITY.items()}


class Copy:
    """A working copy and the commands typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        drop = {"PYTHONDONTWRITEBYTECODE", "COVIDQU_PARAMS", "COVIDQU_DATA"}
        self.environment = {name: value for name, value in os.environ.items() if name not in drop} | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(folder / "src"),
            "DVC_NO_ANALYTICS": "1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            **IDENTITY,
        }

    def __call__(self, *command: str, status: int = 0) -> str:
        """Output of a command, which must end with `status`."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == status, f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout

    def sync(self, *arguments: str, status: int = 0) -> str:
        return self("python", "workflow/sync.py", *arguments, status=status)

    def snakemake_is_clean(self) -> bool:
        return "Nothing to be done" in self("snakemake", "-n")

    def dvc_is_clean(self) -> bool:
        """Nothing is changed; of stage `source`, which looks at each run, DVC always says "always changed"."""
        return json.loads(self("dvc", "status", "--json")) == {"source": ["always changed"]}

    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text()

    def edit(self, change: Callable[[dict], None]) -> None:
        """Change params.yaml."""
        file = self.folder / "params.yaml"
        content = yaml.safe_load(file.read_text())
        change(content)
        file.write_text(text(content))

    def commit(self, message: str) -> None:
        self("git", "add", "--all")
        self("git", "commit", "--quiet", "--message", message)


def jobs(output: str) -> set[str]:
    """`rule@run` (or `rule`) of each job in Snakemake's output."""
    found = set()
    for block in re.split(r"^(?:local)?rule ", output, flags=re.MULTILINE)[1:]:
        name = re.sub("^(tables|figures)_.*", r"\1", block.split(":")[0])
        wildcard = re.search(r"^    wildcards: (?:run|source)=([\w-]+)$", block, flags=re.MULTILINE)
        found.add(f"{name}@{wildcard.group(1)}" if wildcard else name)
    return found - {"all"}


def stages(output: str) -> set[str]:
    """Stages that DVC ran; `source` is always among them."""
    found = set(re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE))
    assert "source" in found
    return found - {"source"}


def of_run(*runs: str) -> set[str]:
    return {f"{step}@{run}" for run in runs for step in ("train", "predict", "score")}


def validated(*runs: str) -> set[str]:
    """Scores on Val, which DVC does not know: of runs that find infection."""
    return {f"validate@{run}" for run in runs if run != RUNS[0]}


def small_params() -> dict:
    """params.yaml with the demo overlay, smaller still, at the paths that DVC knows."""
    params = read([ROOT / "params.yaml", ROOT / "workflow/overlays/demo.yaml"])
    params["paths"] = {"data": "data", "results": "results"}
    params["download"]["phantom"] |= {"lung": FEW, "infection": FEW}
    params["anchor"] |= {"image_px": 32, "epochs": 1, "batch": 2}
    params["runs"] = {name: params["runs"][name] | {"model": {"width": 4}} for name in RUNS}
    params |= {"ablations": {}, "explain": []}
    for name in RUNS[:2]:
        params["runs"][name]["epochs"] = 1
    params["evaluate"]["bootstrap"]["resamples"] = 200
    return params


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return made_copy(tmp_path / "copy")


def made_copy(folder: Path, params: dict | None = None) -> Copy:
    """A git repository in `folder` with this tree and `params`, else the small ones; nothing is made yet."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part)  # with what is compiled
        else:
            shutil.copy(ROOT / part, folder / part)
    (folder / "params.yaml").write_text(text(params or small_params()))
    made = Copy(folder)
    made(sys.executable, "workflow/dvc_lists.py", "--fix")
    made("git", "init", "--quiet", "--initial-branch", "main")
    made.commit("the pipeline, nothing made")
    return made


@pytest.fixture
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


def test_story(copy: Copy, tmp_path: Path, s3: str):
    snakemake_makes_everything_and_dvc_records_it(copy)
    snakemake_reruns_what_an_edit_concerns(copy)
    dvc_reruns_what_an_edit_concerns(copy)
    nothing_altered_is_blessed(copy)
    an_overlay_stays_apart(copy)
    a_clone_has_nothing_to_do(copy, tmp_path, s3)
    dvc_compares_experiments(copy)


def snakemake_makes_everything_and_dvc_records_it(copy: Copy) -> None:
    output = copy("snakemake", "--cores", "2")
    assert "workflow specific profile profiles/default" in output
    assert "sync: dvc.lock updated" in output
    assert "/results/report/index.html\nTables: results/tables" in output
    assert of_run(*RUNS) | {"source", "download", "pack", "audit", "split"} | REPORT <= jobs(output)
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    assert stages(copy("dvc", "repro")) == set()
    copy.commit("everything made")
    tracked = copy("git", "ls-files").splitlines()
    assert {"dvc.lock", "results/comparison.csv", f"results/runs/{RUNS[1]}/scores.parquet"} <= set(tracked)
    made = [name for name in tracked if not name.startswith("src/covidqu/reading/models/")]
    assert not [name for name in made if name.endswith((".safetensors", ".npz", ".npy", ".zip", ".pt"))]


def snakemake_reruns_what_an_edit_concerns(copy: Copy) -> None:
    copy.edit(lambda params: params["runs"][RUNS[1]].update(optimizer={"kind": "adam", "lr": 0.05}))
    executed = jobs(copy("snakemake", "--cores", "2"))
    assert executed == of_run(*RUNS[1:]) | validated(*RUNS[1:]) | REPORT
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    changed = copy("dvc", "params", "diff")
    assert f"runs.{RUNS[1]}.optimizer.lr" in changed
    assert "0.05" in changed
    metrics = copy("dvc", "metrics", "diff")
    assert f"results/runs/{RUNS[1]}/metrics.json" in metrics
    assert f"results/runs/{RUNS[0]}/metrics.json" not in metrics


def dvc_reruns_what_an_edit_concerns(copy: Copy) -> None:
    copy.edit(lambda params: params["runs"][RUNS[2]].update(batch=4))
    assert stages(copy("dvc", "repro")) == of_run(RUNS[2])
    assert copy.dvc_is_clean()
    assert not copy.snakemake_is_clean()
    assert "tables and figures are up to date" in copy.sync("after-dvc")
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    copy.edit(lambda params: params["runs"][RUNS[2]].update(seeds=[1]))
    assert of_run(RUNS[2]) <= jobs(copy("snakemake", "-n")) <= of_run(RUNS[2]) | validated(RUNS[2]) | REPORT
    copy.edit(lambda params: params["runs"][RUNS[2]].pop("seeds"))
    assert copy.snakemake_is_clean()
    copy.commit("two edits")


def nothing_altered_is_blessed(copy: Copy) -> None:
    recorded = copy.lock()
    for name in (f"weights/{RUNS[1]}.safetensors", f"runs/{RUNS[1]}/last.safetensors"):
        with (copy.folder / "results" / name).open("ab") as file:
            file.write(b"x")
        assert "nothing is adopted" in copy.sync("after-dvc", status=1)
        assert "nothing is adopted" in copy.sync("after-dvc", "--force", status=1)
        assert "dvc.lock is left as it is" in copy.sync("after-snakemake")
        assert copy.lock() == recorded
        copy("dvc", "checkout", "--force")
    assert copy.dvc_is_clean()
    assert copy.snakemake_is_clean()
    copy.edit(lambda params: params["split"].update(seed=1))
    assert "nothing is adopted" in copy.sync("after-dvc", "--force", status=1)
    assert "dvc.lock is left as it is" in copy.sync("after-snakemake")
    assert copy.lock() == recorded
    copy("git", "checkout", "--quiet", "params.yaml")


def an_overlay_stays_apart(copy: Copy) -> None:
    recorded, overlay = copy.lock(), copy.folder / "other.yaml"
    overlay.write_text(
        yaml.safe_dump({"paths": {"data": "data/other", "results": "results/other"}, "split": {"seed": 7}})
    )
    target = ("data/other/split.parquet", "--configfile", "other.yaml")
    assert jobs(copy("snakemake", "--cores", "2", *target)) == {"source", "download", "pack", "audit", "split"}
    assert "Nothing to be done" in copy("snakemake", "-n", *target)
    assert copy.lock() == recorded
    assert copy.snakemake_is_clean()
    assert copy.dvc_is_clean()
    overlay.unlink()


def a_clone_has_nothing_to_do(copy: Copy, tmp_path: Path, s3: str) -> None:
    stores = {"folder": (str(tmp_path / "store"), ()), "bucket": ("s3://covidqu/dvc", ("endpointurl", s3))}
    for name, (address, setting) in stores.items():
        clone = Copy(tmp_path / f"clone-{name}")
        copy("git", "clone", "--quiet", str(copy.folder), str(clone.folder))
        for place in (copy, clone):
            place("dvc", "remote", "add", "--local", "--force", "--default", name, address)
            if setting:
                place("dvc", "remote", "modify", "--local", name, *setting)
        copy("dvc", "push")
        assert not clone.snakemake_is_clean(), "a clone without data has everything to do"
        clone("dvc", "pull")
        assert clone.dvc_is_clean()
    clone.sync("after-dvc", "--force")
    assert clone.snakemake_is_clean()
    assert clone.dvc_is_clean()
    assert clone("git", "status", "--porcelain") == "", "tables and figures made anew are those of the first copy"


def dvc_compares_experiments(copy: Copy) -> None:
    copy("dvc", "exp", "run", "--name", "hotter", "-S", f"runs.{RUNS[1]}.optimizer.lr=0.005")
    assert "hotter" in copy("dvc", "exp", "list", "--name-only")
    assert re.search(rf"runs\.{RUNS[1]}\.optimizer\.lr .* 0\.005", copy("dvc", "params", "diff"))
    assert f"results/runs/{RUNS[1]}/metrics.json" in copy("dvc", "metrics", "diff")
    copy("dvc", "plots", "show", "--out", "plots")
    page = (copy.folder / "plots" / "index.html").read_text()
    assert re.search(r'"val_loss": "0\.\d+"', page)
    assert f"results/runs/{RUNS[1]}/history.csv" in page
