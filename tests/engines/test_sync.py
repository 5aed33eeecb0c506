"""What `workflow/sync.py after-dvc` hands to Snakemake, in a small repository of DVC; the whole is in test_pipeline."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT

STAGES = """
stages:
  train:
    foreach: [%s]
    do:
      cmd: echo ${item} > ${item}.txt
      outs: ["${item}.txt"]
  table:
    cmd: echo 1 > table.txt
    outs: [table.txt]
"""


@pytest.mark.parametrize(("runs", "left"), [("a, renamed", ["a.txt", "renamed.txt"]), ("a", ["a.txt"])])
def test_runs_that_are_no_more_are_not_handed_over(
    runs: str, left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake has no rule for their files, and refused all others with them, for ever."""

    def dvc(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *words, "--quiet"], check=True)

    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("sync", ROOT / "workflow/sync.py")
    assert spec and spec.loader
    sync = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec.loader.exec_module(sync)
    dvc("init", "--no-scm")
    for names in ("a, b", runs):
        Path("dvc.yaml").write_text(STAGES % names)
        dvc("repro")
    assert Path("b.txt").is_file() and "b.txt" in Path("dvc.lock").read_text()
    assert sorted(sync.outputs()) == [*left, "table.txt"]
