"""Errors of libraries in one line: the file or key, what is wrong, what to do about it.

Input: what was raised while a file was read (`stored.reading`), or what a step let through (`told`); output: the words
about the file, or the line and the exit status that `cli.main` ends with.
"""

import errno
import json
import os
import re
import traceback
from pathlib import Path

INPUT, PROGRAM = 2, 70  # exit status: something given is wrong; the program is (EX_SOFTWARE)
LONGEST = 240  # characters of a library's own words
PACKAGE = str(Path(__file__).parent)
PASSWORD = re.compile(r"(\w://)[^/\s'\"@]+@")
REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space (paths.data and paths.results say where), then run again",
    errno.EDQUOT: "your share of the disk is used up; free some space, then run again",
    errno.ENOENT: "no such file or folder; run the step that makes it, or correct the path",
    errno.EACCES: "may not be read or written; look at its owner and mode",
    errno.EPERM: "may not be read or written; look at its owner and mode",
    errno.EROFS: "the disk is read-only; name another folder under paths",
    errno.EISDIR: "is a folder, a file is wanted",
    errno.ENOTDIR: "a file stands where a folder is wanted; move it or name another folder",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "the name is too long for this disk",
    errno.ELOOP: "links lead in a circle; remove one of them",
    errno.EIO: "the disk cannot be read or written there; copy the file from elsewhere",
}
MEMORY = "out of memory; lower batch or image_px, or give this job more memory"
BY_WORDS = (  # what torch says with a plain RuntimeError, and what it means
    (r"out of memory|not enough memory|can't allocate memory|failed to allocate|bad_alloc", MEMORY),
    (r"PytorchStreamWriter|inline_container", "a file could not be written, mostly because the disk is full"),
    (r"DataLoader worker", "a process that prepares batches was killed, mostly for lack of memory; lower "
                           "machine.workers, or give /dev/shm more room"),
    (r"CUDA|cuDNN|cuBLAS|NCCL", "the GPU failed; run again, and if it repeats set accelerator: cpu"),
)  # fmt: skip
BY_TYPE = {  # name of an exception's class, or of one that it is derived from
    "MemoryError": MEMORY,
    "OutOfMemoryError": MEMORY,
    "ArrowMemoryError": MEMORY,
    "RecursionError": "a file is nested too deeply",
    "RequestException": "the network did not answer as it should; run again later",
    "SafetensorError": "a file of weights is damaged; make it again with `train` or `initial`",
    "ArrowException": "a parquet file is damaged; delete it and run the step that makes it",
    "SchemaError": "a table is not what the step before has written; run that step again",
    "SchemaErrors": "a table is not what the step before has written; run that step again",
    "BadZipFile": "an archive is damaged; make or get it again",
    "LZMAError": "an archive is damaged; make or get it again",
    "error": "compressed or binary data are damaged; make or get the file again",
    "UnpicklingError": "a file of tensors is damaged; delete it and run again",
    "EOFError": "a file ends too early; delete it and run the step that makes it",
    "YAMLError": "a YAML file cannot be read",
    "ImportError": "a package is missing or broken; install the locked ones with `uv sync`",
    "UnidentifiedImageError": "an image cannot be read; replace it",
}


def fault(error: Exception) -> str:
    """What an error says of the file that was read."""
    match error:
        case OSError() if error.errno in REMEDIES:
            return REMEDIES[error.errno].partition(";")[0]
        case json.JSONDecodeError():
            return f"not valid JSON ({first_line(error)})"
        case RecursionError():
            return "nested too deeply"
        case KeyError():
            return f"lacks {first_line(error)}"
    return first_line(error)


def told(error: BaseException) -> tuple[str, int]:
    """One line for an error that ended a step (more only where it is a list), and the exit status."""
    names = {kind.__name__ for kind in type(error).__mro__}
    words = str(error)
    if isinstance(error, OSError) and error.errno in REMEDIES and not ours(error):
        where = f"{error.filename}: " if error.filename is not None else ""
        return hidden(f"{where}{REMEDIES[error.errno]}"), INPUT
    if isinstance(error, RuntimeError) and (found := [meant for text, meant in BY_WORDS if re.search(text, words)]):
        return hidden(f"{found[0]} ({first_line(error)})"), INPUT
    of_ours = isinstance(error, ImportError) and (error.name or "").split(".")[0] == "covidqu"  # no installation helps
    if not of_ours and (meant := next((meant for name, meant in BY_TYPE.items() if name in names), None)):
        return hidden(f"{meant} ({library(error)}: {first_line(error)})"), INPUT
    if isinstance(error, ValueError | OSError):
        return hidden(words if ours(error) else f"{library(error)}: {first_line(error)}{debug()}"), INPUT
    return hidden(f"a fault of this program, {type(error).__name__}: {first_line(error)}{debug()}"), PROGRAM


def debug() -> str:
    """The way to more."""
    return "; COVIDQU_DEBUG=1 shows where" if not os.environ.get("COVIDQU_DEBUG") else ""


def ours(error: BaseException) -> bool:
    """Whether this package has raised it: then its words are meant for people."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(PACKAGE) and "raise" in (frames[-1].line or "raise")


def library(error: BaseException) -> str:
    """The package that an error is of."""
    name = type(error).__module__.split(".")[0]
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    found = re.search(r"site-packages/(\w+)", frames[-1]) if frames else None
    return found[1] if name == "builtins" and found else name if name != "builtins" else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its class where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return plain(lines[0]) if lines else type(error).__name__


def plain(words: str) -> str:
    """Words of a file or a library for a message: in one line, without control characters, not too long."""
    text = "".join(c if c.isprintable() else "?" for c in words)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def hidden(text: str) -> str:
    """The text without a user or a password in an address."""
    return PASSWORD.sub(r"\1***@", text)
