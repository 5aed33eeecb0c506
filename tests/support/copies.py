"""A copy of this tree, with small settings, in which both engines run the true steps."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from covidqu.config.params import read
from support.parameters import text
from support.places import ROOT

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


def copied(folder: Path, *parts: str, compiled: bool = False) -> Path:
    """Files and folders of this tree in `folder`, which is returned."""
    without = None if compiled else shutil.ignore_patterns("__pycache__")
    for part in parts:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=without)
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def made_copy(folder: Path, params: dict | None = None) -> Copy:
    """A git repository in `folder` with this tree and `params`, else the small ones; nothing is made yet."""
    copied(folder, *PARTS, compiled=True)
    (folder / "params.yaml").write_text(text(params or small_params()))
    made = Copy(folder)
    made(sys.executable, "workflow/dvc_lists.py", "--fix")
    made("git", "init", "--quiet", "--initial-branch", "main")
    made.commit("the pipeline, nothing made")
    return made
