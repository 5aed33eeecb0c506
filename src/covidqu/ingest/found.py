"""Faults of an archive or a folder, grouped by kind, so that one short message can name many.

Also what the names of pictures must be like: they become rows of tables, lines of messages and names in the archive.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = 10  # names of a kind
KINDS = 8  # with the head and the remark on more, ten lines
LONGEST = 160  # characters of a name in a message
LONGEST_NAME = 255  # as on most disks
OTHER_FORMATS = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".dcm", ".jp2", ".avif")


@dataclass
class Faults:
    """Faults of one archive or folder, by kind; `verdict` says what cannot be done with it."""

    place: Path
    verdict: str = "cannot be packed"
    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, where: str) -> None:
        """Note that `where` (a file or an entry) suffers from `kind` (fault and remedy in words)."""
        self.found.setdefault(kind, []).append(where)

    def stop_if_any(self) -> None:
        """Raise a ValueError of at most ten lines, with up to ten names of every kind."""
        if not self.found:
            return
        lines = [f"{self.place}: {self.verdict}"]
        for kind, where in list(self.found.items())[:KINDS]:
            more = f", and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
            names = ", ".join(f"'{printable(name)}'" for name in where[:SHOWN])
            lines.append(f"  {kind} ({len(where)}): {names}{more}")
        if len(self.found) > KINDS:
            lines.append(f"  and {len(self.found) - KINDS} more kinds of faults")
        raise ValueError("\n".join(lines))


def printable(name: str) -> str:
    """A name for a message: short, in one line, whatever its characters."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"


def composed(name: str) -> str:
    """The name in the normal form NFC: macOS writes NFD, and both are the same name to people."""
    return unicodedata.normalize("NFC", name)


def strange(path: str) -> str | None:
    """What is wrong with the name of a picture; None for a plain one."""
    name = path.rsplit("/", 1)[-1]
    if name.lower() == ".png":
        return "a picture without a name; give it one"
    if any(len(part) > LONGEST_NAME for part in path.split("/")):
        return f"a name of more than {LONGEST_NAME} characters; shorten it"
    if any(0xD800 <= ord(c) <= 0xDFFF for c in path):
        return "a name in another encoding than UTF-8; rename the file"
    if not path.isprintable():
        return "a name with control characters; rename the file"
    return None


def is_picture(name: str) -> bool:
    """Whether a file name says PNG; hidden copies that macOS makes are none."""
    return name.lower().endswith(".png") and not name.startswith("._")


def of_another_format(name: str) -> bool:
    """Whether a file name says that it is a picture, but no PNG."""
    return name.lower().endswith(OTHER_FORMATS) and not name.startswith("._")
