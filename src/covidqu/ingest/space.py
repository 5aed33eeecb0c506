"""Room on the disk: asked for before the first byte, and named when it runs out all the same."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def require_space(out: Path, needed: int) -> None:
    """OSError (ENOSPC) when the disk of `out` has less than `needed` bytes left."""
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        message = f"{needed} bytes are needed, {free} are free; free some space or change paths.data"
        raise OSError(errno.ENOSPC, message, str(out))


@contextmanager
def disk_full_named(out: Path, needed: int) -> Iterator[None]:
    """Refuse before the first byte what cannot fit; say what was needed if the disk fills up all the same."""
    require_space(out, needed)
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC, f"no space left for {needed} bytes; free some or change paths.data", str(out)
        ) from None
