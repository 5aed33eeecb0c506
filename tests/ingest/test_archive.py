"""The download step against real files, a real HTTP server and the real Kaggle client."""

import base64
import email.utils
import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from covidqu import files
from covidqu.config.data import Download, Kaggle
from covidqu.ingest import space
from covidqu.ingest.download import download as step
from covidqu.ingest.source import source as look_at
from covidqu.ingest.sources import kaggle, kaggle_client
from support.kaggle_server import Answer, KaggleServer
from support.places import ROOT

CHUNK = kaggle.CHUNK
TOKEN = "KGAT_sentinel5up3rs3cr3t"


def make_zip(seed: int = 0) -> bytes:
    """About 2 MB that do not compress, in three files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in ("a.png", "b.png", "c.png"):
            file.writestr(zipfile.ZipInfo(name), random.Random(f"{seed}{name}").randbytes(700_000))
    return stream.getvalue()


PAYLOAD = make_zip()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "covidqu.zip"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Back-off without waiting: the seconds that would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr(kaggle, "time", SimpleNamespace(sleep=slept.append, time=time.time))
    return slept


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no proxy, no data of this machine."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower().endswith("_proxy") or name in ("COVIDQU_DATA", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with KaggleServer(PAYLOAD) as running:
        yield running


def release(url: str, **changes: object) -> Kaggle:
    pinned = {
        "dataset": "owner/covidqu",
        "version": 7,
        "base_url": url,
        "sha256": hashlib.sha256(PAYLOAD).hexdigest(),
        "files": 3,
        "unpacked_bytes": 2_100_000,
        "retries": 2,
        "timeout_s": 5,
    }
    return Kaggle.model_validate(pinned | changes)


def settings(
    source: str = "kaggle", url: str = "http://127.0.0.1:9", path: Path | None = None, **changes: object
) -> Download:
    few = {split: (1, 1, 1) for split in ("Train", "Val", "Test")}
    return Download.model_validate(
        {
            "source": source,
            **({source: {"path": str(path)}} if path is not None else {}),
            "kaggle": release(url, **changes).model_dump(),
            "phantom": {"seed": 0, "lung": few, "infection": few},
        }
    )


def download(out: Path, config: Download) -> None:
    """What both engines do: look at the source, then get the archive."""
    record = out.parent.parent / "source.json"
    look_at(record, config)
    step(record, out, config)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


# ---- local sources


def test_phantom(out: Path) -> None:
    download(out, settings("phantom"))
    with zipfile.ZipFile(out) as file:
        assert len(file.namelist()) == 9 * 2 + 9 * 3
    assert names(out.parent) == ["covidqu.zip"]


def test_zip_is_copied_and_the_variable_goes_first(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.zip").write_bytes(PAYLOAD)
    (tmp_path / "two.zip").write_bytes(make_zip(1))
    config = settings("zip", path=tmp_path / "one.zip")
    download(out, config)
    assert out.read_bytes() == PAYLOAD and not out.samefile(tmp_path / "one.zip")
    monkeypatch.setenv("COVIDQU_DATA", str(tmp_path / "two.zip"))
    download(out, config)
    assert out.read_bytes() == make_zip(1)
    monkeypatch.setenv("COVIDQU_DATA", str(tmp_path))  # a folder does not fit the source
    with pytest.raises(ValueError, match=f"COVIDQU_DATA={tmp_path}: is not a zip file.*correct it or unset it"):
        download(out, config)
    assert out.read_bytes() == make_zip(1) and names(out.parent) == ["covidqu.zip"]


def test_faults_of_local_sources(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no.zip").write_bytes(PAYLOAD[:1000])
    (tmp_path / "Lung Segmentation Data").mkdir()
    cases = [
        ("zip", tmp_path / "no.zip", "not a zip file"),
        ("zip", tmp_path / "gone.zip", "does not exist"),
        ("zip", tmp_path, "is not a zip file"),
        ("zip", None, "neither download.zip.path nor COVIDQU_DATA is set"),
        ("directory", tmp_path / "gone", "does not exist"),
        ("directory", tmp_path / "no.zip", "download.directory.path=.*is not a folder"),
        ("directory", tmp_path, "no PNG file under 'Infection Segmentation Data'"),
    ]
    for source, path, message in cases:
        with pytest.raises(ValueError, match=message):
            download(out, settings(source, path=path))
    monkeypatch.setenv("COVIDQU_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match=r"COVIDQU_DATA=.*elsewhere: does not exist; correct it or unset it"):
        download(out, settings("directory"))
    assert names(out.parent) == []


def test_directory_becomes_the_same_zip_whatever_the_order_and_the_clock(out: Path, tmp_path: Path) -> None:
    inner = "Infection Segmentation Data/Infection Segmentation Data/Test/Normal/images"
    files = {f"{inner}/Normal (2).png": b"two", f"{inner}/Normal (10).png": b"ten", f"{inner}/notes.txt": b"no"}
    files |= {"Lung Segmentation Data/x/b.png": b"b", "Other/c.png": b"no", "readme.png": b"no"}
    digests = set()
    for n, order in enumerate((sorted(files), sorted(files, reverse=True))):
        for name in order:
            path = tmp_path / f"copy{n}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
            os.utime(path, (1e9 + n, 1e9 + n))
        download(out, settings("directory", path=tmp_path / f"copy{n}"))
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(out) as file:
        found = {i.filename: file.read(i) for i in file.infolist()}
        assert {i.compress_type for i in file.infolist()} == {zipfile.ZIP_STORED}
    assert list(found) == sorted(found)
    assert found == {k: v for k, v in files.items() if v != b"no"}


# ---- the anonymous address


def test_plain_download(out: Path, server: KaggleServer) -> None:
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    assert [s.path for s in server.seen] == ["/api/v1/datasets/download/owner/covidqu?datasetVersionNumber=7"]
    assert "Authorization" not in server.seen[0].headers


def test_resumes_over_dropped_connections_and_redirects(out: Path, waits: list[float]) -> None:
    with KaggleServer(PAYLOAD, redirect=True) as server:
        # four drops with two retries: only failures in a row without progress count
        server.script = [Answer(cut_at=CHUNK + 5)] * 4
        download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    asked = [s.headers.get("Range") for s in server.seen if "/storage/" in s.path]
    starts = [int(r.removeprefix("bytes=").removesuffix("-")) for r in asked[1:] if r]
    assert len(starts) == 4 and starts == sorted(set(starts)) and starts[0] >= CHUNK
    assert len(waits) == 4 and server.sent < 1.6 * len(PAYLOAD)


def test_a_server_that_ignores_range_starts_anew(out: Path, server: KaggleServer, waits: list[float]) -> None:
    server.script = [Answer(cut_at=2 * CHUNK), Answer(ignore_range=True)]
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD
    assert server.ranges[1] is not None and server.sent == len(PAYLOAD) + 2 * CHUNK


def test_gives_up_without_progress_and_keeps_what_came(out: Path, server: KaggleServer, waits: list[float]) -> None:
    server.script = [Answer(cut_at=2 * CHUNK), *[Answer(cut_at=0)] * 3]
    with pytest.raises(OSError, match=r"without progress.*will be continued"):
        download(out, settings(url=server.url))
    assert len(server.seen) == 4 and len(waits) == 3
    assert names(out.parent) == [".covidqu.zip.download", ".covidqu.zip.download.json"]
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and server.ranges[-1] == f"bytes={2 * CHUNK}-"


@pytest.mark.parametrize("change", ["etag", "version", "damaged"])
def test_a_part_of_another_file_is_not_continued(
    out: Path, server: KaggleServer, waits: list[float], change: str
) -> None:
    other = make_zip(1)
    server.script = [Answer(cut_at=2 * CHUNK, payload=other, etag='"other"'), *[Answer(status=503)] * 3]
    with pytest.raises(OSError):
        download(out, settings(url=server.url))
    assert (out.parent / ".covidqu.zip.download").stat().st_size == 2 * CHUNK
    if change == "damaged":
        (out.parent / ".covidqu.zip.download.json").write_text('{"url"')
    download(out, settings(url=server.url, version=8 if change == "version" else 7))
    assert out.read_bytes() == PAYLOAD
    assert (server.ranges[-1] is not None) == (change == "etag")  # If-Range: the server itself answers with the whole


def test_changed_file_without_if_range_support(out: Path, waits: list[float]) -> None:
    """A server without ETag at first: a part whose total disagrees is thrown away."""
    with KaggleServer(PAYLOAD, etag=None) as server:
        server.script = [Answer(cut_at=2 * CHUNK, payload=make_zip(1) + b"longer")]
        download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD
    assert server.ranges == [None, f"bytes={2 * CHUNK}-", None]


def test_range_not_satisfiable_starts_anew(out: Path, server: KaggleServer, waits: list[float]) -> None:
    server.script = [Answer(cut_at=2 * CHUNK), Answer(status=416, headers={"Content-Range": "bytes */5"})]
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and server.ranges == [None, f"bytes={2 * CHUNK}-", None]


def test_length_unknown(out: Path, server: KaggleServer) -> None:
    server.script = [Answer(no_length=True)]
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD


def test_complete_part_of_unknown_length(out: Path, server: KaggleServer) -> None:
    """All bytes came but the process died before it could tell: 416 says that nothing is missing."""
    url = f"{server.url}/api/v1/datasets/download/owner/covidqu?datasetVersionNumber=7"
    out.parent.mkdir()
    (out.parent / ".covidqu.zip.download").write_bytes(PAYLOAD)
    pinned = {"url": url, "sha256": hashlib.sha256(PAYLOAD).hexdigest(), "etag": '"one"', "total": None}
    (out.parent / ".covidqu.zip.download.json").write_text(json.dumps(pinned))
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and server.sent == 0


def test_too_many_requests_and_server_errors(out: Path, server: KaggleServer, waits: list[float]) -> None:
    soon = email.utils.formatdate(time.time() + 120, usegmt=True)
    server.script = [Answer(status=429, headers={"Retry-After": "17"}), Answer(status=500)]
    server.script += [Answer(cut_at=CHUNK), Answer(status=503, headers={"Retry-After": soon}), Answer(status=502)]
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD
    assert waits[0] == 17 and 1 < waits[1] <= 6 and waits[2] <= 1.5 and 110 < waits[3] <= 121


def test_an_unreasonable_retry_after_is_reported(out: Path, server: KaggleServer, waits: list[float]) -> None:
    server.script = [Answer(status=429, headers={"Retry-After": "86400"})]
    with pytest.raises(OSError, match=r"HTTP 429.*86400 s"):
        download(out, settings(url=server.url))
    assert waits == [] and names(out.parent) == []


def test_nobody_listens(out: Path, waits: list[float]) -> None:
    with KaggleServer(b"x") as server:
        url = server.url
    with pytest.raises(OSError, match=r"ConnectionError.*after 3 attempts"):
        download(out, settings(url=url))
    with pytest.raises(ValueError, match=r"base_url\n.*must be an address"):
        download(out, settings(url="www.kaggle.com"))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal_says_how_to_get_credentials(out: Path, server: KaggleServer, status: int) -> None:
    server.script = [Answer(status=status)]
    with pytest.raises(ValueError, match=f"HTTP {status}.*KAGGLE_API_TOKEN"):
        download(out, settings(url=server.url))
    assert len(server.seen) == 1 and names(out.parent) == []


def test_a_login_page_is_a_refusal(out: Path, server: KaggleServer) -> None:
    server.script = [Answer(payload=b"<html>log in", headers={"Content-Type": "text/html; charset=utf-8"})]
    with pytest.raises(ValueError, match=r"web page.*KAGGLE_API_TOKEN"):
        download(out, settings(url=server.url))
    assert names(out.parent) == []


def test_wrong_bytes_are_discarded(out: Path, server: KaggleServer) -> None:
    flipped = bytearray(PAYLOAD)
    flipped[1000] ^= 1
    server.script = [Answer(payload=bytes(flipped))]
    with pytest.raises(ValueError, match=r"SHA-256.*download\.kaggle\.sha256"):
        download(out, settings(url=server.url))
    assert names(out.parent) == []
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and server.ranges == [None, None]


def test_pinned_content(out: Path, server: KaggleServer) -> None:
    for key, wrong in (("files", 4), ("unpacked_bytes", 5)):
        with pytest.raises(ValueError, match=rf"download\.kaggle\.{key} pins {wrong}"):
            download(out, settings(url=server.url, **{key: wrong}))
        assert not out.exists()
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and len(server.seen) == 1  # the verified bytes were not fetched again
    server.payload = b"no zip at all"
    with pytest.raises(ValueError, match="not a zip file"):
        download(out, settings(url=server.url, sha256=hashlib.sha256(server.payload).hexdigest()))


def test_killed_process_resumes(tmp_path: Path, server: KaggleServer) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"download": settings(url=server.url).model_dump(mode="json")}))
    out = tmp_path / "raw" / "covidqu.zip"
    command = [sys.executable, "-m", "covidqu", "--params", str(ROOT / "params.yaml"), "--params", str(overlay)]
    record = tmp_path / "source.json"
    subprocess.run([*command, "source", "--out", str(record)], check=True)
    command += ["download", "--source", str(record), "--out", str(out)]
    partial = out.parent / ".covidqu.zip.download"
    half = 4 * CHUNK
    server.script = [Answer(hang_at=half)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (partial.is_file() and partial.stat().st_size == half):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not out.exists()
    assert names(out.parent) == [partial.name, f"{partial.name}.json", ".covidqu.zip.lock"]  # swept by the next call
    sent = server.sent
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    assert server.ranges == [None, f"bytes={half}-"]
    assert sent >= half and server.sent < 2 * len(PAYLOAD)


# ---- the disk


def test_no_space_is_seen_before_the_first_byte(
    out: Path, tmp_path: Path, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    (tmp_path / "one.zip").write_bytes(PAYLOAD)
    for config in (settings(url=server.url), settings("zip", path=tmp_path / "one.zip")):
        with pytest.raises(OSError, match=f"{len(PAYLOAD)} bytes are needed, 1000 are free.*{out}") as caught:
            download(out, config)
        assert caught.value.errno == errno.ENOSPC and not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_no_space_while_writing(
    out: Path, tmp_path: Path, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own ENOSPC, at the first write."""
    out.parent.mkdir()
    (tmp_path / "Lung Segmentation Data").mkdir()
    (tmp_path / "Lung Segmentation Data" / "a.png").write_bytes(bytes(100_000))
    (tmp_path / "one.zip").write_bytes(PAYLOAD)
    hidden = {"kaggle": ".covidqu.zip.download", "zip": ".covidqu.zip.part", "directory": ".covidqu.zip.part"}
    monkeypatch.setattr(files, "remove", lambda path: None)  # what a killed call has left would go
    paths = {"kaggle": None, "zip": tmp_path / "one.zip", "directory": tmp_path}
    for source, path in paths.items():
        (out.parent / hidden[source]).unlink(missing_ok=True)
        (out.parent / hidden[source]).symlink_to("/dev/full")
        with pytest.raises(OSError, match="no space left") as caught:
            download(out, settings(source, server.url, path))
        assert caught.value.errno == errno.ENOSPC and not out.exists()
        assert str(out.parent) in str(caught.value) and str(len(PAYLOAD) if source != "directory" else 100_000) in str(
            caught.value
        )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_full_file_system(small_disk: Path, server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    out = small_disk / "covidqu.zip"
    with pytest.raises(OSError, match="bytes are needed") as caught:
        download(out, settings(url=server.url))
    assert caught.value.errno == errno.ENOSPC
    assert (small_disk / ".covidqu.zip.download").stat().st_size == 0
    monkeypatch.setattr(kaggle, "require_space", lambda *_: None)  # another process takes the space meanwhile
    with pytest.raises(OSError, match=f"of {len(PAYLOAD)} bytes; free some and run again") as caught:
        download(out, settings(url=server.url))
    assert caught.value.errno == errno.ENOSPC and not out.exists()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    download(out, settings(url=server.url))
    assert out.read_bytes() == PAYLOAD and names(small_disk) == ["covidqu.zip"]
    assert server.ranges[-1] is not None


# ---- the official client


@pytest.fixture
def led_here(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> KaggleServer:
    """The unmodified client takes its local endpoint, which a proxy leads to the server."""
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("http_proxy", server.url)
    return server


def leaks(secrets: list[str], folder: Path, *texts: str) -> list[str]:
    """Where a secret turns up: in what was said or in a file that the test did not write itself."""
    found = [t for t in texts if any(s in t for s in secrets)]
    written = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("access_token", "kaggle.json")]
    return found + [str(p) for p in written if any(s.encode() in p.read_bytes() for s in secrets)]


def credentials(kind: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    """Install credentials; the Authorization header to expect, and what must never be seen."""
    basic = base64.b64encode(f"someone:{TOKEN}".encode()).decode()
    (home / ".kaggle").mkdir(parents=True)
    if kind == "environment token":
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    elif kind == "environment key":
        monkeypatch.setenv("KAGGLE_USERNAME", "someone")
        monkeypatch.setenv("KAGGLE_KEY", TOKEN)
    elif kind == "access_token":
        (home / ".kaggle" / "access_token").write_text(TOKEN + "\n")
    else:
        folder = home / ".kaggle" if kind == "kaggle.json" else home / "elsewhere"
        folder.mkdir(exist_ok=True)
        (folder / "kaggle.json").write_text(json.dumps({"username": "someone", "key": TOKEN}))
        (folder / "kaggle.json").chmod(0o600)
        if kind == "KAGGLE_CONFIG_DIR":
            monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    return (f"Bearer {TOKEN}" if "token" in kind else f"Basic {basic}"), [TOKEN, basic]


KINDS = ["environment token", "access_token", "kaggle.json", "KAGGLE_CONFIG_DIR"]


@pytest.mark.parametrize("kind", KINDS)
def test_client_goes_first_when_there_are_credentials(
    out: Path,
    tmp_path: Path,
    led_here: KaggleServer,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    expected, secrets = credentials(kind, tmp_path / "home", monkeypatch)
    monkeypatch.setenv("VERBOSE", "true")  # would make the client print its headers
    download(out, settings(url=led_here.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    asked = [s for s in led_here.seen if s.path.endswith("/DownloadDataset")]
    assert [s.headers["Authorization"] for s in asked] == [expected]
    assert not any("/api/v1/datasets/download" in s.path for s in led_here.seen)
    assert leaks(secrets, tmp_path, *capfd.readouterr(), caplog.text) == []


def test_failing_client_then_the_address(
    out: Path,
    tmp_path: Path,
    led_here: KaggleServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server even quotes the credentials in its refusal."""
    caplog.set_level("DEBUG")
    _, secrets = credentials("environment key", tmp_path / "home", monkeypatch)
    led_here.client_status = 401
    download(out, settings(url=led_here.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    said = capfd.readouterr()
    assert "the kaggle client failed" in said.err and "trying the anonymous address" in said.err
    led_here.script = [Answer(status=403)]
    shutil.rmtree(tmp_path / ".kept")
    with pytest.raises(ValueError, match="HTTP 403; before that, the kaggle client failed") as caught:
        download(out, settings(url=led_here.url))
    assert "***" in str(caught.value)
    assert leaks(secrets, tmp_path, *said, *capfd.readouterr(), caplog.text, str(caught.value)) == []


def test_client_delivers_wrong_bytes(out: Path, led_here: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    led_here.script = [Answer(payload=make_zip(1))]
    download(out, settings(url=led_here.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]
    assert any("/api/v1/datasets/download" in s.path for s in led_here.seen)


def test_stalled_client_is_ended(out: Path, led_here: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setattr(kaggle_client, "STALLED", 0.3)
    led_here.script = [Answer(hang_at=1000)]
    download(out, settings(url=led_here.url))
    assert out.read_bytes() == PAYLOAD and names(out.parent) == ["covidqu.zip"]


def test_nothing_to_log_in_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not kaggle_client.has_credentials()
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text("[not json")
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    assert not kaggle_client.has_credentials()


def test_addresses_lose_their_signature() -> None:
    text = kaggle_client.scrub("HTTPError: 403 for url: https://host/archive.zip?X-Signature=sealed&Expires=1 (x)")
    assert text == "HTTPError: 403 for url: https://host/archive.zip (x)"
