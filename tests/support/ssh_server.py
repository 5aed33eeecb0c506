"""An SSH server on this machine: OpenSSH's, for who calls it, on a free port, with keys of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def ssh_server(folder: Path) -> Iterator[dict[str, str]]:
    """How a remote of DVC reaches it: user, port, keyfile. `folder`, which is made, holds keys and log."""
    assert SSHD, "no sshd on this machine; Debian: apt-get install openssh-server"
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists, and only Debian's service makes it
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "PasswordAuthentication": "no",
        "StrictModes": "no",  # temporary folders may be written by all
        "UsePAM": "yes" if os.getuid() == 0 else "no",  # without it, root without a password is refused
        "Subsystem": "sftp internal-sftp",
    }
    command = [SSHD, "-D", "-f", "/dev/null", "-E", folder / "log"]
    server = subprocess.Popen(command + [f"-o{name}={value}" for name, value in settings.items()])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield {"user": getpass.getuser(), "port": str(port), "keyfile": str(folder / "user")}
    finally:
        server.terminate()
        server.wait()
