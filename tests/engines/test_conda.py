"""`snakemake --use-conda` through a stand-in for conda that makes real environments from the same files.

The stand-in answers what Snakemake asks of conda and builds each environment with the pinned packages, from the
`pip:` section. What it cannot show is that conda-forge serves `python =3.11` and `pip`, the only other entries.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.parameters import text
from support.places import ROOT

pytestmark = [pytest.mark.pipeline, pytest.mark.long]
CONDA = """#!{python}
import json, subprocess, sys
from pathlib import Path
import yaml
words = sys.argv[1:]
if words == ["--version"]:
    print("conda 25.1.0")
elif words[0] == "info":
    print(json.dumps({{"conda_prefix": {base!r}, "platform": "linux-64", "conda_version": "25.1.0"}}))
elif words[0] == "config":
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif words[0] == "clean":
    pass
elif words[:2] == ["env", "create"]:
    prefix = Path(words[words.index("--prefix") + 1])
    *conda, pip = yaml.safe_load(Path(words[words.index("--file") + 1]).read_text())["dependencies"]
    assert conda == ["python =3.11", "pip"], conda
    run = lambda *command: subprocess.run([{uv!r}, *command], check=True)
    run("venv", "--quiet", "--python", "3.11", str(prefix))
    run("pip", "install", "--quiet", "--python", str(prefix / "bin" / "python"), *pip["pip"])
    site = next(prefix.glob("lib/python*/site-packages"))
    (site / "sitecustomize.py").write_text(
        "import sys\\nprint(sys.prefix, *sys.orig_argv[1:], file=open(" + repr({record!r}) + ", 'a'))\\n")
else:
    sys.exit(f"conda: {{words}} is not known here")
"""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the environments are of Python 3.11")
def test_steps_run_inside_their_environments(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    assert uv, "uv is not on PATH; install it: pip install uv"
    tree, base, record = tmp_path / "tree", tmp_path / "conda", tmp_path / "used"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "results", "data", "logs", "__pycache__"))
    # `data` is also the name of a package
    shutil.copytree(ROOT / "src", tree / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    raw = yaml.safe_load((ROOT / "workflow/overlays/demo.yaml").read_text())
    few = {"Train": [4, 2, 2], "Val": [2, 1, 1], "Test": [4, 2, 2]}
    raw["download"]["phantom"] = {"lung": few, "infection": few}
    runs = yaml.safe_load((ROOT / "params.yaml").read_text())["runs"]
    raw |= {"runs": dict.fromkeys(runs), "explain": [], "baselines": {}}  # tables are made of what there is
    raw["runs"]["unet-roi-lung"] = {"model": {"width": 4}, "image_px": 32, "epochs": 1, "batch": 2}
    (tree / "tiny.yaml").write_text(text(raw))
    (base / "bin").mkdir(parents=True)
    script = base / "bin" / "conda"
    script.write_text(CONDA.format(python=sys.executable, base=str(base), uv=uv, record=str(record)))
    script.chmod(0o755)
    (base / "bin" / "activate").write_text('export PATH="$1/bin:$PATH" CONDA_PREFIX="$1"\n')
    path = os.pathsep.join([str(base / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    targets = [
        "results/demo/weights/random.safetensors",  # train
        "results/demo/tables/unet-roi/table-2.csv",  # data, report
    ]
    done = subprocess.run(
        ["snakemake", "--cores", "2", "--use-conda", "--configfile", "tiny.yaml", "--", *targets],
        cwd=tree, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    used = [line.split(" ", 1) for line in record.read_text().splitlines() if "-m covidqu" in line]
    assert all(prefix.startswith(str(tree / ".snakemake" / "conda")) for prefix, _ in used)
    steps = {words.split("covidqu ", 1)[1].split()[0]: prefix for prefix, words in used}
    assert steps.keys() >= {"download", "pack", "audit", "split", "initial", "tables"}
    assert len({steps["pack"], steps["initial"], steps["tables"]}) == 3, "three environments"
