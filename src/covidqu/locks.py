"""Who writes: one process per file or folder, and one engine that may clear away what a killed one has left.

A lock is the kernel's (`flock`): it ends with its process, however that ends, and never has to be removed by hand. A
step whose engine was killed still holds the locks of what it writes; the next one waits for it.
"""

import errno
import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_held: set[Path] = set()  # locks of this process: what it holds it need not wait for
_engine: list[IO[str]] = []  # open as long as this process lives


@contextmanager
def only_writer(target: Path) -> Iterator[None]:
    """Be the only process that writes `target`, a file or a folder, which need not be there; wait while another is.

    The lock is the hidden file `.NAME.lock` beside it, there while it is held (and after a kill, until the next call).
    """
    lock = target.absolute().with_name(f".{target.name}.lock")
    if lock in _held:
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(lock, target)
    _held.add(lock)
    try:
        yield
    finally:
        _held.discard(lock)
        lock.unlink(missing_ok=True)  # before it is let go: who waits for it looks whether it is still there
        file.close()


def _locked(lock: Path, target: Path) -> IO[str]:
    """The lock's file, held, with this process's name in it."""
    while True:
        file = lock.open("a+", encoding="utf-8")
        if not _hold(file, fcntl.LOCK_EX | fcntl.LOCK_NB, target):
            file.seek(0)
            owner = file.read().strip() or "another process"
            print(f"{target}: waiting for {owner}, which writes it; end it if it hangs", file=sys.stderr, flush=True)
            _hold(file, fcntl.LOCK_EX, target)
        try:
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                break
        except FileNotFoundError:
            pass
        file.close()  # of a writer that has ended in between
    file.truncate(0)
    file.write(f"process {os.getpid()} of {socket.gethostname()} (covidqu {' '.join(sys.argv[1:3])})\n")
    file.flush()
    return file


def _hold(file: IO[str], how: int, target: Path) -> bool:
    """Whether the lock is held now. Where a file system knows no locks it says so: nothing guards such a folder."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        print(f"{target}: this file system has no locks; see that no second process writes it", file=sys.stderr)
    return True


def clear_engine_locks(folder: Path) -> bool:
    """Remove the locks of a killed Snakemake in `folder` (.snakemake); whether there were any. For engines only.

    Every engine holds a shared lock on one file from now until its process ends. Who gets it exclusively is alone:
    then Snakemake's own locks, which name files and no process, are of one that was killed.
    """
    folder.mkdir(exist_ok=True)
    file, stale = (folder / "covidqu.engines").open("a+", encoding="utf-8"), False
    _engine.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stale = any((folder / "locks").glob("*.lock"))
        shutil.rmtree(folder / "locks", ignore_errors=True)
    except BlockingIOError:
        pass  # another one runs: Snakemake itself refuses if both want the same files
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        print(f"{folder}: this file system has no locks; after a kill: snakemake --unlock", file=sys.stderr)
        return False
    fcntl.flock(file, fcntl.LOCK_SH)
    return stale
