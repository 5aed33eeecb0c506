"""Fetch the pinned release from Kaggle, over a bad network if need be.

Input: the release (data set, version, SHA-256) and, if there are any, the user's Kaggle credentials. Output: the
verified zip file. Bytes already received are kept beside it under a hidden name and continued by the next call.
"""

import email.utils
import errno
import json
import random
import re
import shutil
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from requests.exceptions import InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema
from tqdm import tqdm

from covidqu.config.data import Kaggle
from covidqu.files import put, sha256, write_text
from covidqu.ingest.sources import kaggle_client
from covidqu.ingest.space import require_space

CHUNK = 1 << 18
BACKOFF_S = 1.0  # first wait; doubles with each failure in a row
LONGEST_BACKOFF_S = 60.0
LONGEST_RETRY_AFTER_S = 900.0


class Refused(ValueError):
    """The server will not give the file, however often it is asked."""


class Busy(Exception):
    """The server asks for patience: 429, 408 or 5xx; `wait_s` is its Retry-After."""

    def __init__(self, status: int, wait_s: float) -> None:
        super().__init__(f"HTTP {status}")
        self.wait_s = wait_s


@dataclass(frozen=True)
class Partial:
    """A file being received and, beside it, what it is a part of."""

    data: Path
    about: Path
    url: str
    sha256: str

    def pinned(self) -> dict[str, Any]:
        """What is known of the whole (`etag`, `total`), if the bytes at hand belong to this very release."""
        try:
            known = json.loads(self.about.read_text(encoding="utf-8"))
            same = known["url"] == self.url and known["sha256"] == self.sha256
            return known if same and self.data.is_file() else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def begin(self, etag: str | None, total: int | None) -> None:
        self.data.write_bytes(b"")
        known = {"url": self.url, "sha256": self.sha256, "etag": etag, "total": total}
        write_text(self.about, json.dumps(known))

    def received(self) -> int:
        return self.data.stat().st_size if self.data.is_file() else 0

    def remove(self) -> None:
        self.data.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)


def facts(config: Kaggle) -> dict[str, Any]:
    """What the archive is: the pins of the release. Nothing is asked of the network."""
    return config.model_dump(include={"dataset", "version", "sha256", "files", "unpacked_bytes"})


def write(out: Path, config: Kaggle) -> None:
    """Download, verify, then rename to `out`.

    With credentials the official client is asked first, then the anonymous address. ValueError when both refuse or the
    bytes are not the pinned release; OSError when the network gives up or the disk is full.
    """
    advice = kaggle_client.ADVICE
    if kaggle_client.has_credentials():
        failure = _by_client(out, config)
        if failure is None:
            return
        _say(f"{failure}; trying the anonymous address")
        advice = f"before that, {failure}; check or renew the credentials"
    try:
        _by_address(out, config)
    except Refused as error:
        raise ValueError(f"{error}; {advice}") from None


def _check_bytes(path: Path, config: Kaggle, origin: str) -> None:
    """ValueError unless the file has the pinned SHA-256."""
    digest = sha256(path)
    if digest != config.sha256:
        raise ValueError(
            f"{origin}: the {path.stat().st_size} bytes received have the SHA-256 {digest}, not {config.sha256} as "
            "download.kaggle.sha256 pins; they were discarded. Run again; if this repeats, the release has changed"
        )


def _check_content(path: Path, config: Kaggle, origin: str) -> None:
    """ValueError unless the zip holds the pinned number of files and of unpacked bytes."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{origin}: what download.kaggle.sha256 pins is not a zip file")
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
    for key, found in (("files", len(members)), ("unpacked_bytes", sum(info.file_size for info in members))):
        if found != getattr(config, key):
            raise ValueError(
                f"{origin}: {found} {key} in the archive, but download.kaggle.{key} pins {getattr(config, key)}"
            )


def _by_client(out: Path, config: Kaggle) -> str | None:
    """Let the official client try; why it failed, or None."""
    folder = out.with_name(f".{out.name}.client")
    try:
        archive = kaggle_client.download(folder, config)
        _check_bytes(archive, config, "the kaggle client")
        _check_content(archive, config, "the kaggle client")
        put(archive, out)
    except ValueError as error:
        return str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _by_address(out: Path, config: Kaggle) -> None:
    url = f"{config.base_url.rstrip('/')}/api/v1/datasets/download/{config.dataset}"
    url = f"{url}?datasetVersionNumber={config.version}"
    hidden = out.with_name(f".{out.name}.download")
    partial = Partial(hidden, hidden.with_name(f"{hidden.name}.json"), url, config.sha256)
    _receive_patiently(partial, out, config)
    try:
        _check_bytes(partial.data, config, url)
    except ValueError:
        partial.remove()
        raise
    _check_content(partial.data, config, url)
    put(partial.data, out)
    partial.remove()


def _receive_patiently(partial: Partial, out: Path, config: Kaggle) -> None:
    """Ask again until all bytes are here; give up after `retries` failures in a row that brought nothing new."""
    failures, most = 0, partial.received() if partial.pinned() else 0
    while True:
        try:
            _receive(partial, out, config.timeout_s)
            return
        except Busy as error:
            reason, wait_s = str(error), error.wait_s
        except (InvalidSchema, InvalidURL, MissingSchema) as error:
            if isinstance(error, InvalidProxyURL) or "SOCKS" in str(error):
                words = "the proxy that the environment names (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY) cannot be used"
                raise ValueError(f"{words}: {kaggle_client.scrub(str(error))}; correct it or unset it") from None
            raise ValueError(f"download.kaggle.base_url: {kaggle_client.scrub(str(error))}") from None
        except requests.RequestException as error:
            reason, wait_s = kaggle_client.scrub(f"{type(error).__name__}: {error}"), 0.0
        received = partial.received()
        failures = 0 if received > most else failures + 1
        most = max(most, received)
        kept = f"{received} bytes are kept in {partial.data} and will be continued"
        if failures > config.retries:
            raise OSError(
                f"{partial.url}: {reason}, after {failures} attempts without progress; {kept}; run again later"
            )
        if wait_s > LONGEST_RETRY_AFTER_S:
            raise OSError(
                f"{partial.url}: {reason}, and the server wants {wait_s:.0f} s of patience; {kept}; run again then"
            )
        wait_s = max(wait_s, min(LONGEST_BACKOFF_S, BACKOFF_S * 2**failures) * random.uniform(0.5, 1.5))
        _say(f"{reason}; {received} bytes so far, next attempt in {wait_s:.0f} s")
        time.sleep(wait_s)


def _receive(partial: Partial, out: Path, timeout_s: float) -> None:
    """One request: continue or begin. RequestException when it ends early."""
    known = partial.pinned()
    offset = partial.received() if known else 0
    if known and known["total"] is not None and offset == known["total"]:
        return
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if known["etag"] and not known["etag"].startswith("W/"):
            headers["If-Range"] = known["etag"]
    with requests.get(partial.url, headers=headers, stream=True, timeout=timeout_s) as answer:
        if answer.status_code == 416 and answer.headers.get("Content-Range") == f"bytes */{offset}":
            return
        _check_status(answer, partial)
        total = _total(answer)
        if answer.status_code == 206 and not _continues(answer, offset, known, total):
            partial.remove()
            raise requests.RequestException("the server's file is another one now, starting anew")
        if answer.status_code == 200:
            offset = 0
            partial.begin(answer.headers.get("ETag"), total)
        if total is not None:
            require_space(out, total - offset)
        _write(answer, partial, offset, total)
    if total is not None and partial.received() != total:
        raise requests.ConnectionError(f"the connection ended at {partial.received()} of {total} bytes")


def _check_status(answer: requests.Response, partial: Partial) -> None:
    """Pass 200 and 206; Busy for what may pass; RequestException after a useless range; else Refused."""
    status = answer.status_code
    if status == 416:
        partial.remove()
        raise requests.RequestException("the server has fewer bytes than were received, starting anew")
    if status in (408, 429) or status >= 500:
        raise Busy(status, _retry_after(answer.headers.get("Retry-After")))
    if status not in (200, 206):
        raise Refused(f"{partial.url}: refused with HTTP {status}")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise Refused(f"{partial.url}: answered with a web page instead of the file")


def _total(answer: requests.Response) -> int | None:
    """Bytes of the whole file, as the headers say."""
    if answer.status_code == 206:
        match = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = answer.headers.get("Content-Length")
    return int(length) if length is not None else None


def _continues(answer: requests.Response, offset: int, known: dict[str, Any], total: int | None) -> bool:
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    etag = answer.headers.get("ETag")
    same = etag is None or known["etag"] is None or etag == known["etag"]
    return offset > 0 and begins and same and known["total"] in (None, total)


def _write(answer: requests.Response, partial: Partial, offset: int, total: int | None) -> None:
    bar = tqdm(total=total, initial=offset, desc="download", unit="B", unit_scale=True, mininterval=1)
    try:
        # unbuffered: what was received before a kill is in the file
        with bar, partial.data.open("ab", buffering=0) as file:
            for chunk in answer.iter_content(CHUNK):
                _write_all(file, chunk)
                bar.update(len(chunk))
    except OSError as error:
        if error.errno != errno.ENOSPC or isinstance(error, requests.RequestException):
            raise
        message = (
            f"no space left after {partial.received()} of {total or 'unknown'} bytes; free some and run again: "
            "the download will be continued"
        )
        raise OSError(errno.ENOSPC, message, str(partial.data)) from None


def _write_all(file: Any, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _retry_after(value: str | None) -> float:
    """Seconds from now; the header holds seconds or a date."""
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _say(text: str) -> None:
    print(f"download: {text}", file=sys.stderr, flush=True)
