"""Other people's machines: an installed package, odd folders, what may not be written, no network, containers."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from support.copies import Copy, small_params
from support.parameters import text
from support.places import EXPECTED, ROOT

NO_HOME = "/proc"  # where not even root can write
ALONE = ("unshare", "--map-root-user", "--mount", "--net", "sh", "-c")
READ_ONLY = (
    "for part in src workflow profiles; do mount --bind $part $part && mount -o remount,bind,ro $part || exit; done"
)


def call(*command: str, **more: str) -> str:
    """Output of a command that must succeed, in an environment that knows nothing of this tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVIDQU", "PYTHONPATH"))}
    done = subprocess.run(
        command, cwd=more.pop("cwd", "/"), env=environment | more, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the package as `pip install .` lays it down; what it needs is there already."""
    uv = shutil.which("uv")
    assert uv, "uv is not on PATH; install it: pip install uv"
    folder = tmp_path_factory.mktemp("installed")
    call(uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("covidqu-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_package_has_all_its_files(installed: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "src/covidqu"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    missing = [name for name in tracked if not (installed / Path(name).relative_to("src")).is_file()]
    assert missing == []


def test_an_installed_package_shows_its_commands_and_makes_a_page(installed: Path, tmp_path: Path) -> None:
    here = {"PYTHONPATH": str(installed)}
    where = call(sys.executable, "-c", "import covidqu; print(covidqu.__file__)", **here)
    assert Path(where.strip()).is_relative_to(installed)
    shown = call(sys.executable, "-m", "covidqu", "--help", **here)
    assert {"train", "page", "check"} <= set(re.findall(r"\w+", shown))
    results, site = tmp_path / "results", tmp_path / "site"
    shutil.copytree(EXPECTED, results, ignore=shutil.ignore_patterns("tables", "figures"))
    params = [f"--params={ROOT / name}" for name in ("params.yaml", "workflow/overlays/demo.yaml")]
    places = [f"--data={tmp_path / 'no data'}", f"--results={results}"]
    for step in (["tables", *places, f"--out={results / 'tables'}"], ["page", "--public", *places, f"--out={site}"]):
        call(sys.executable, "-m", "covidqu", *params, *step, **here)
    assert (site / "index.html").stat().st_size > 10_000


@pytest.mark.pipeline
def test_a_folder_with_blanks_without_network_home_or_leave_to_write(copy: Copy) -> None:
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("`unshare` may not make namespaces on this machine")
    (copy.folder / "params.yaml").write_text(text(small_params()))
    odd = copy.folder.with_name("räume mit 空白 'und' $HOME")
    copy.folder.rename(odd)
    copy.folder, copy.environment["PYTHONPATH"] = odd, "src"
    (odd / ".venv").symlink_to(sys.prefix)  # so that the interpreter's own path has blanks, too
    python = odd / ".venv/bin/python"
    copy.environment |= {"HOME": NO_HOME, "XDG_CACHE_HOME": str(odd / ".cache")}
    target = "results/runs/unet-roi-lung/scores.parquet"
    output = copy(*ALONE, f'{READ_ONLY}; exec "$0" -m snakemake --cores 2 {target}', str(python))
    assert (odd / target).is_file() and "sync: Snakemake has jobs left" in output


def test_both_container_recipes_copy_what_there_is_and_run_the_same_script() -> None:
    docker, apptainer = ((ROOT / "containers" / name).read_text() for name in ("Dockerfile", "covidqu.def"))
    copied = {name for line in re.findall(r"^COPY (.+) /opt/\S+$", docker, re.MULTILINE) for name in line.split()}
    assert copied == set(re.findall(r"^    (\S+) /opt/covidqu/\S*$", apptainer, re.MULTILINE))
    assert all((ROOT / name).exists() for name in copied), copied
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {project["project"]["readme"], *project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]}
    assert wanted <= copied, "what the build of the package reads"
    ignored = (ROOT / "containers/Dockerfile.dockerignore").read_text().split()
    assert {f"!{name.split('/')[0]}" for name in copied} <= set(ignored)
    assert all(
        "sh containers/install.sh" in recipe and "debian:bookworm-slim" in recipe for recipe in (docker, apptainer)
    )
