"""The official Kaggle client, kept at arm's length.

Input: a release and the user's credentials, where the client itself looks for them. Output: a downloaded file.
The client runs in a process of its own, because importing it authenticates, may exit, and may print what it sends;
what it says is shown only after every credential was struck out.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from covidqu.config.data import Kaggle
from covidqu.errors import hidden

ADVICE = (
    "with an account: kaggle.com > Settings > API > create a token, put it in ~/.kaggle/access_token or in the "
    "environment variable KAGGLE_API_TOKEN (older: KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json), then run "
    "again; or download the archive in a browser and set download.source to zip and download.zip.path to it"
)
POLL_S = 0.1
STALLED = 5  # times timeout_s without a new byte
PROGRAM = """
import sys
from kaggle.api.kaggle_api_extended import KaggleApi
client = KaggleApi()
client.authenticate()
client.dataset_download_files(sys.argv[1], path=sys.argv[2], quiet=True)
"""


def has_credentials() -> bool:
    """Whether the client would find something to log in with."""
    return bool(_secrets())


def download(folder: Path, config: Kaggle) -> Path:
    """Let the client download into `folder`; the file. ValueError with the client's last words when it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-c", PROGRAM, f"{config.dataset}/{config.version}", str(folder)]
    # a verbose client prints the headers that it sends
    environment = {k: v for k, v in os.environ.items() if k not in ("VERBOSE", "VERBOSE_OUTPUT")}
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment) as process:
            try:
                ended = _watch(process, folder, STALLED * config.timeout_s)
            finally:
                process.kill()
        said.seek(0)
        words = scrub(said.read().decode(errors="replace")).strip().splitlines()
    archive = folder / f"{config.dataset.split('/')[1]}.zip"
    if not ended:
        raise ValueError(f"the kaggle client: no byte in {STALLED * config.timeout_s:.0f} s")
    if process.returncode != 0 or not archive.is_file():
        last = next((line for line in reversed(words) if line.strip()), "no message")
        raise ValueError(f"the kaggle client failed (exit status {process.returncode}): {last.strip()}")
    return archive


def scrub(text: str) -> str:
    """The text without any credential that can be found on this machine, and without addresses' queries."""
    text = hidden(re.sub(r"\?[^\s'\")]+", "", text))  # the query of a redirected address is a signature
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _watch(process: subprocess.Popen, folder: Path, patience_s: float) -> bool:
    """Show what arrives; False when nothing does for `patience_s`."""
    seen, since = 0, time.monotonic()
    with tqdm(desc="download (kaggle client)", unit="B", unit_scale=True, mininterval=1) as bar:
        while process.poll() is None:
            size = _bytes_in(folder)
            if size != seen:
                bar.update(size - seen)
                seen, since = size, time.monotonic()
            elif time.monotonic() - since > patience_s:
                return False
            time.sleep(POLL_S)
    return True


def _bytes_in(folder: Path) -> int:
    total = 0
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # the client clears its notes away meanwhile
            total += entry.stat().st_size
    return total


def _secrets() -> set[str]:
    """Every credential in the client's usual places, in the forms in which it could be printed."""
    found: set[str] = set()
    token = os.environ.get("KAGGLE_API_TOKEN")
    if token:
        found |= {token, _text(Path(token))}  # the client takes a value or the path of a file
    found |= _pair(os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY"))
    for folder in _folders():
        for name in ("access_token", "access_token.txt"):
            found.add(_text(folder / name))
        for name in ("kaggle.json", "credentials.json"):
            found |= _in_json(folder / name)
    return found - {""}


def _folders() -> list[Path]:
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    return [home / ".kaggle", config, *([Path(named)] if named else [])]


def _in_json(path: Path) -> set[str]:
    try:
        values: Any = json.loads(_text(path))
    except ValueError:
        return set()
    if not isinstance(values, dict):
        return set()
    tokens = {str(values[key]) for key in ("access_token", "refresh_token") if values.get(key)}
    return tokens | _pair(values.get("username"), values.get("key"))


def _pair(user: str | None, key: str | None) -> set[str]:
    if not (user and key):
        return set()
    return {key, base64.b64encode(f"{user}:{key}".encode()).decode()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
