"""ONNX Runtime Web as this repository holds it, and the text of the worker that runs it.

A page that was opened as a file may neither fetch, nor import modules, nor start a worker from a file: the runtime is
made a plain script, stands before our own scripts in one text, and the page starts its worker from that text.
"""

import base64
import gzip
import hashlib
import lzma
import re
from importlib.resources import files as resources
from importlib.resources.abc import Traversable

VERSION = "1.30.0"  # onnxruntime-web of npm, package/dist; docs/reader_page.md says how to take a newer one
SHA256 = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
SCRIPTS = ("geometry", "pictures", "outlines", "window", "trust", "reading", "worker")  # of the worker, in this order
EXPORTS = re.compile(r"export\{([^{}]*)\};\s*(//#.*)?\s*")


def shared() -> Traversable:
    """Folder of the files that the report has, too."""
    return resources("covidqu.page") / "assets"


def assets() -> Traversable:
    """Folder of the page's own files."""
    return shared() / "reader"


def vendored(name: str) -> bytes:
    """A file of ONNX Runtime Web, unpacked; ValueError where its bytes are not those of `VERSION`."""
    folder = assets() / "vendor"
    packed = folder / f"{name}.xz"
    content = lzma.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()
    if name in SHA256 and hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{folder / name}: not that of onnxruntime-web {VERSION}; check this file out again")
    return content


def as_script(module: str) -> str:
    """The text of the runtime's module -> a script that defines `ort`, with the module's exports as properties."""
    found = list(EXPORTS.finditer(module))
    if len(found) != 1 or found[0].end() != len(module):
        raise ValueError(f"onnxruntime-web {VERSION}: its module does not end with one list of exports")
    pairs = (one.strip().split(" as ") for one in found[0][1].split(","))
    named = ", ".join(f"{name}: {own}" for own, name in pairs)
    body = module[: found[0].start()].replace("import.meta.url", "self.location.href")
    return f"const ort = (() => {{\n{body}\nreturn {{{named}}};\n}})();\n"


def program() -> str:
    """The text of the worker."""
    runtime = as_script(vendored("ort.wasm.bundle.min.mjs").decode())
    own = ((assets() / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return "\n".join(['"use strict";', runtime, *own])


def webassembly() -> str:
    """The compiled runtime, as `text` has it."""
    return text(vendored("ort-wasm-simd-threaded.wasm"))


def text(content: bytes) -> str:
    """Bytes for a script: gzip, of the same bytes each time, in base64."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()


def licences() -> str:
    """The licence of ONNX Runtime, and of what it contains."""
    parts = (vendored("LICENSE"), vendored("ThirdPartyNotices.txt"))
    return f"ONNX Runtime Web {VERSION}\n\n" + "\n\n".join(part.decode("utf-8", "replace") for part in parts)
