"""A stand-in for Kaggle on loopback: real sockets, and every bad habit that the download must survive.

It also answers as an HTTP proxy, so that the unmodified official client can be led here.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CUT = 1 << 16


@dataclass(frozen=True)
class Answer:
    """How one request for the file is answered; the default is what a sound server does."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None  # drop the connection after this many bytes of the body
    hang_at: int | None = None  # stop sending after this many bytes until `release` is set
    ignore_range: bool = False
    no_length: bool = False
    payload: bytes | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Message


class KaggleServer:
    """Serves `payload` at every path; `script` holds the answers to the next requests for the file."""

    def __init__(self, payload: bytes, *, redirect: bool = False, etag: str | None = '"one"') -> None:
        self.payload, self.redirect, self.etag = payload, redirect, etag
        self.script: list[Answer] = []
        self.client_status = 200  # what the official client's door answers
        self.seen: list[Seen] = []
        self.sent = 0
        self.release = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "KaggleServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each GET."""
        return [s.headers.get("Range") for s in self.seen if s.method == "GET"]


def _handler(server: KaggleServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._note()
            if self.path.endswith("/IntrospectToken"):
                self._reply(200, json.dumps({"active": True, "username": "someone"}).encode(), "application/json")
            elif server.client_status != 200:
                body = json.dumps({"code": server.client_status, "message": f"no: {self.headers['Authorization']}"})
                self._reply(server.client_status, body.encode(), "application/json")
            else:
                self._redirect()

        def do_GET(self) -> None:
            self._note()
            if server.redirect and "/storage/" not in self.path:
                self._redirect()
            else:
                self._file(server.script.pop(0) if server.script else Answer())

        def _note(self) -> None:
            server.seen.append(Seen(self.command, self.path, self.headers))

        def _redirect(self) -> None:
            parts = urlsplit(self.path)
            origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
            self.send_response(302)
            self.send_header("Location", f"{origin}/storage/archive.zip?X-Signature=sealed")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _reply(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _file(self, answer: Answer) -> None:
            if answer.status != 200:
                self._reply(answer.status, b"no", "text/plain", answer.headers)
                return
            payload, etag = answer.payload or server.payload, answer.etag or server.etag
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            current = self.headers.get("If-Range") in (None, etag)
            offset = int(match[1]) if match and current and not answer.ignore_range else 0
            if offset >= len(payload):
                self._reply(416, b"", "text/plain", {"Content-Range": f"bytes */{len(payload)}"})
                return
            self.send_response(206 if offset else 200)
            if offset:
                self.send_header("Content-Range", f"bytes {offset}-{len(payload) - 1}/{len(payload)}")
            if not answer.no_length:
                self.send_header("Content-Length", str(len(payload) - offset))
            for name, value in {"Content-Type": "application/zip", "Accept-Ranges": "bytes", **answer.headers}.items():
                self.send_header(name, value)
            if etag:
                self.send_header("ETag", etag)
            self.close_connection = True
            self.send_header("Connection", "close")
            self.end_headers()
            self._body(payload[offset:], answer)

        def _body(self, body: bytes, answer: Answer) -> None:
            stop = min(x for x in (answer.cut_at, answer.hang_at, len(body)) if x is not None)
            try:
                for start in range(0, stop, CUT):
                    server.sent += self.wfile.write(body[start : min(start + CUT, stop)])
                if answer.hang_at is not None:
                    server.release.wait(30)
                    for start in range(stop, len(body), CUT):
                        server.sent += self.wfile.write(body[start : start + CUT])
            except ConnectionError:
                pass  # the other side was killed

    return Handler
