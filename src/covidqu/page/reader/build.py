"""Build the page that reads X-rays: a bundle in, a folder of static files out.

Each script hands its data to one function of the page, `covidqu(name, data)`, so that the folder works from a disk.
"""

import base64
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from covidqu.page.folder import replacing_folder
from covidqu.page.reader import MARK, engine
from covidqu.reading.bundle import NOTICE, Bundle, open_bundle
from covidqu.reading.outputs import NO_USE, WHAT
from covidqu.reading.trust import CHECKS

PAGE = ("app.js", "window.js", "reader.css")  # as they are
POLICY = (  # nothing is sent or loaded but the page's own scripts and styles; forms and links to elsewhere lead nowhere
    "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src blob:; style-src 'self'; "
    "img-src data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
KEPT = np.float32, np.uint8  # types of arrays that the page knows


def reader(out: Path, model: Path | str) -> None:
    """Write the page to `out`; `model`: folder of a bundle, or the name of one that comes with the package.

    ValueError for a bundle that is damaged or whose images are filtered, and where `out` holds something else.
    """
    bundle = open_bundle(model)
    if bundle.metadata.filters:
        kinds = ", ".join(step.kind for step in bundle.metadata.filters)
        raise ValueError(f"{model}: run {bundle.metadata.run} filters its images ({kinds}), which the page cannot; "
                         "use `covidqu read`, or a run without filters")  # fmt: skip
    with replacing_folder(out, MARK) as part:
        for name in PAGE:
            (part / name).write_bytes((engine.assets() / name).read_bytes())
        (part / "style.css").write_bytes((engine.shared() / "style.css").read_bytes())
        (part / "licences.txt").write_text(engine.licences(), encoding="utf-8")
        (part / "index.html").write_text(_html(bundle), encoding="utf-8")
        _script(part, "engine", {"program": engine.program(), "wasm": engine.webassembly()})
        _script(part, "bundle", _described(bundle))
        for name, graph in zip(_members(bundle), bundle.graphs, strict=True):
            _script(part, name, engine.text(graph.read_bytes()))


def _members(bundle: Bundle) -> list[str]:
    return [f"network-{member.seed}" for member in bundle.metadata.members]


def _described(bundle: Bundle) -> dict[str, Any]:
    """What the page has to know of a bundle: its metadata, the names of its scripts, arrays and checks."""
    checks = [{"code": code, "value": c.value, "side": c.side, "text": c.text} for code, c in CHECKS.items()]
    arrays = {name: _array(values) for name, values in bundle.arrays.items() if values.dtype in KEPT}
    more = {
        "members": _members(bundle),
        "arrays": arrays,
        "checks": checks,
        "notice": NOTICE,
        "what": WHAT,
        "no_use": NO_USE,
        "covidqu_built": version("covidqu"),
    }
    metadata = bundle.metadata.model_dump(mode="json")
    return metadata | more | {"networks": metadata["members"]}


def _array(values: np.ndarray) -> dict[str, Any]:
    """Little-endian bytes in C order, as `engine.text` has them."""
    content = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {"type": values.dtype.name, "shape": values.shape, "text": engine.text(content.tobytes())}


def _html(bundle: Bundle) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((engine.assets() / "index.html").read_text(encoding="utf-8"))
    icon = base64.b64encode((engine.shared() / "icon.svg").read_bytes()).decode()
    address = f"data:image/svg+xml;base64,{icon}"
    return template.render(model=bundle.metadata, policy=POLICY, notice=NOTICE, icon=address)


def _script(out: Path, name: str, data: Any) -> None:
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    (out / f"{name}.js").write_text(f"covidqu({json.dumps(name)},{text});\n", encoding="utf-8")
