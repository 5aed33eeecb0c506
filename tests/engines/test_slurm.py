"""The Slurm profile on a real Slurm of one node: a pipeline, a node that dies, a job over its time limit.

`tests/support/one_node.py` starts and stops the cluster; without Debian's packages or the plugin the test is skipped.
"""

import importlib.util
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.copies import Copy, small_params
from support.one_node import DAEMONS, INSTALL, OneNode, found
from support.parameters import text

pytestmark = [pytest.mark.pipeline, pytest.mark.long]
RUN = "unet-roi-lung"
EPOCHS = 80
HASTY = (
    "--seconds-between-status-checks",
    "1",
    "--slurm-init-seconds-before-status-checks",
    "1",
    "--latency-wait",
    "5",
)
PROFILE = ("--workflow-profile", "profiles/slurm", *HASTY)


@pytest.fixture
def cluster() -> Iterator[OneNode]:
    lacking = [name for name in DAEMONS if not found(name)]
    reason = f"{', '.join(lacking)} not installed: {INSTALL}" if lacking else ""
    if not importlib.util.find_spec("snakemake_executor_plugin_slurm"):
        reason = "snakemake-executor-plugin-slurm is not installed: uv sync --extra slurm"
    if reason and os.environ.get("COVIDQU_SLURM") == "required":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:  # not tmp_path: a socket's path must be short
        one = OneNode(Path(folder))
        try:
            try:
                one.start()
            except (RuntimeError, TimeoutError) as error:
                if os.environ.get("COVIDQU_SLURM") == "required":
                    raise
                pytest.skip(f"Slurm does not start on this machine: {error}")
            yield one
        finally:
            one.stop()


def wait(done: Callable[[], bool], process: subprocess.Popen, seconds: float = 600) -> None:
    """Until `done`; fails when the process ends before, or with the time."""
    deadline = time.monotonic() + seconds
    while not done():
        assert process.poll() is None and time.monotonic() < deadline, f"status {process.returncode}"
        time.sleep(0.1)


def test_a_training_survives_its_cluster(copy: Copy, cluster: OneNode) -> None:
    params = small_params()
    params["runs"][RUN] |= {"epochs": EPOCHS, "accelerator": "auto"}  # auto: a GPU is asked for
    (copy.folder / "params.yaml").write_text(text(params))
    ready = ("data/split.parquet", "data/roi/whole.npy", "results/weights/random.safetensors")
    copy("snakemake", "--cores", "2", *ready)
    environment = copy.environment | {"PATH": f"{cluster.path}:{copy.environment['PATH']}"}
    log, output = copy.folder / f"logs/results/train/{RUN}.log", copy.folder / "output.txt"
    weights = f"results/weights/{RUN}.safetensors"

    def shown() -> str:
        return log.read_text() if log.exists() else ""

    with output.open("w") as file:
        process = subprocess.Popen(
            ["snakemake", *PROFILE, "--", weights], cwd=copy.folder, env=environment, stdout=file, stderr=file
        )
    try:
        wait(lambda: f"epoch 2/{EPOCHS}: train_loss" in shown(), process)
        (job,) = cluster.jobs()
        asked = cluster.call("scontrol", "show", "job", job.number)
        cluster.kill_node()
        assert cluster.state() == "down"
        cluster.start_node()
        cluster.call("scontrol", "update", f"jobid={job.number}", "starttime=now")  # by itself: after two minutes
        wait(lambda: "resumed after epoch" in shown(), process)  # sent again by Slurm, or, if that fails, by Snakemake
        over = cluster.jobs()[-1].number
        cluster.call("scontrol", "update", f"jobid={over}", "timelimit=0")  # its time is over
        assert process.wait(600) == 0, output.read_text()[-6000:]
    finally:
        process.kill()
    of_train = re.search(r"mem_mb=(\d+)", (copy.folder / "workflow/rules/train.smk").read_text())
    assert (job.state, job.comment) == ("RUNNING", f"rule_train_wildcards_{RUN}")
    assert of_train and job.memory == f"{of_train[1]}M" and "gpu:1" in asked
    ended = {one.number: one.state for one in cluster.jobs()}
    assert ended[over] == "TIMEOUT" and list(ended.values())[-1] == "COMPLETED", ended
    assert f"epoch 1/{EPOCHS}: " not in shown()
    history = (copy.folder / f"results/runs/{RUN}/history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history[1:]] == [str(number + 1) for number in range(EPOCHS)]
    assert "Nothing to be done" in copy("snakemake", "-n", weights), "the same books as on one machine"
