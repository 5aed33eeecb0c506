"""A Slurm cluster of one node on this machine, of Debian's packages, all its files in one folder.

    python tests/support/one_node.py start FOLDER      # prints what to export; needs: apt-get install slurm-wlm munge
    python tests/support/one_node.py stop FOLDER

Nothing outside of FOLDER is written and no service of the machine is used: an own munge with an own key, free ports,
the user who calls. Two GPUs are stood in for by device files, which Slurm only counts and numbers.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
INSTALL = "apt-get install --no-install-recommends slurm-wlm munge"
GPUS = ("/dev/null", "/dev/zero")
CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=2
OverTimeLimit=0
MinJobAge=300
SchedulerParameters=sched_interval=5,batch_sched_delay=1,sched_min_interval=100000
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
GresTypes=gpu
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=one Default=YES MaxTime=INFINITE State=UP
"""


class Job(NamedTuple):
    """What Slurm says of a job, in its words."""

    number: str
    state: str
    cpus: str
    memory: str
    limit: str
    gpus: str
    comment: str  # Snakemake's rule and wildcards


class OneNode:
    """The cluster in `folder`; its name must be short: a socket's path has at most 107 characters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.path = self.folder / "bin"  # to be first on PATH: Snakemake takes SLURM_CONF from the environment of jobs

    def start(self, cpus: int = 4) -> None:
        """Start the daemons; return once the node takes jobs."""
        if missing := [name for name in DAEMONS if not found(name)]:
            raise FileNotFoundError(f"{', '.join(missing)}: not installed; {INSTALL}")
        for part in ("state", "spool", "bin"):
            (self.folder / part).mkdir(parents=True)
        for name in (*DAEMONS[1:], *CLIENTS):
            command = self.path / name
            command.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {found(name)} "$@"\n')
            command.chmod(0o755)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        host = socket.gethostname().split(".")[0]
        settings = CONFIG.format(
            host=host, ports=free_ports(2), user=getpass.getuser(), folder=self.folder, cpus=cpus, gpus=len(GPUS)
        )
        (self.folder / "slurm.conf").write_text(settings)
        (self.folder / "gres.conf").write_text("".join(f"NodeName=one Name=gpu File={file}\n" for file in GPUS))
        parts = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log",
                 "seed-file": "munged.seed"}  # fmt: skip
        self.call("munged", "--force", *(f"--{option}={self.folder / name}" for option, name in parts.items()))
        self.call("slurmctld")
        self.start_node()

    def start_node(self) -> None:
        """Start slurmd, also after `kill_node`, and wait until the node takes jobs."""
        self.call("slurmd", "-N", "one")
        self.wait(lambda: self.state().rstrip("*") in ("idle", "mixed", "allocated"), "the node does not come up")

    def kill_node(self) -> None:
        """What a power cut does: the daemon and all that runs on the node are gone at once."""
        os.kill(self.pid("slurmd"), signal.SIGKILL)
        self.kill_jobs()
        self.call("scontrol", "update", "nodename=one", "state=down", "reason=killed")

    def kill_jobs(self) -> None:
        """SIGKILL to every process of a job and to the daemon above it."""
        mark = f"PATH={self.path}:".encode()
        for _ in range(3):  # a process may start another one meanwhile
            for process in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
                variables = read(process, "environ").split(b"\0")
                if any(v.startswith(mark) for v in variables) and any(
                    name.startswith(b"SLURM_JOB_ID=") for name in variables
                ):
                    above = int(read(process, "stat").rpartition(b")")[2].split()[1] or 0)
                    for one in [above, process] if read(above, "cmdline").startswith(b"slurmstepd: [") else [process]:
                        kill(one)

    def state(self) -> str:
        return self.call("sinfo", "--noheader", "--format=%T").strip()

    def jobs(self) -> list[Job]:
        """Every job that Slurm remembers, oldest first."""
        listed = self.call("squeue", "--noheader", "--states=all", "--sort=i", "--format=%i|%T|%C|%m|%l|%b|%k")
        return [Job(*line.split("|")) for line in listed.splitlines()]

    def call(self, *command: str) -> str:
        program = self.path / command[0]
        done = subprocess.run(
            [program if program.exists() else found(command[0]), *command[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}\n{self.logs()}")
        return done.stdout

    def logs(self) -> str:
        return "\n".join(file.read_text()[-2000:] for file in sorted(self.folder.glob("*.log")))

    def wait(self, done: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise}\n{self.logs()}")
            time.sleep(0.2)

    def pid(self, daemon: str) -> int:
        return int((self.folder / f"{daemon}.pid").read_text())

    def stop(self) -> None:
        """End the daemons and their jobs, in whatever state they are."""
        self.kill_jobs()
        for daemon in reversed(DAEMONS):
            if (self.folder / f"{daemon}.pid").exists():
                kill(self.pid(daemon))


def found(program: str) -> str | None:
    """Where a program is; daemons are in folders that are not on everyone's PATH."""
    return shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))


def read(process: int, part: str) -> bytes:
    """A file of /proc; nothing of a process that has ended."""
    try:
        return Path(f"/proc/{process}/{part}").read_bytes()
    except OSError:
        return b"" if part != "stat" else b") 0 0"


def kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        open_ = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in open_:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in open_]


if __name__ == "__main__":
    what, where = sys.argv[1:]
    cluster = OneNode(Path(where))
    if what == "start":
        cluster.start()
        print(f'export PATH={cluster.path}:"$PATH"')
    else:
        cluster.stop()
