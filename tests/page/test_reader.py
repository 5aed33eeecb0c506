"""The page that reads X-rays, in a browser and without a network: numbers, hostile files, what it may not do."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pydicom.encaps import encapsulate
from skimage.draw import polygon2mask

from covidqu.cli import main
from covidqu.page.reader import engine
from covidqu.page.reader.build import reader
from covidqu.reading.bundle import NOTICE, Bundle
from covidqu.reading.model import Model
from covidqu.reading.pictures import open_picture
from covidqu.reading.reading import Reading, read
from support.browser import Open, inaccessible, scrolls_sideways
from support.bundles import PX, described, phantom_bundle
from support.radiographs import chest, dicom, enlarged, png, saved, written

PATIENT = 90_000  # milliseconds: a shared machine may be slow to compile the runtime


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return phantom_bundle(tmp_path_factory.mktemp("bundle") / "phantoms")


@pytest.fixture(scope="module")
def html(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "reader"
    assert main(["reader", "--out", str(out), "--model", str(bundle.folder)]) == 0
    return out / "index.html"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures of many kinds, by name."""
    folder = tmp_path_factory.mktemp("pictures")
    image = [chest(k).image for k in range(40, 52)]
    colour = np.dstack([image[4], image[4] // 2, 255 - image[4]])
    contents = {
        "as-the-data.png": png(image[0]),
        "tall.png": png(enlarged(image[1], 700, 1100)),
        "small.png": png(enlarged(image[2], 180, 150)),
        "one-side-small.png": png(enlarged(image[2], 600, 200)),
        "photo.jpg": saved(Image.fromarray(enlarged(image[3], 900, 820)), "JPEG", quality=88),
        "colour.png": png(colour),
        "deep.png": png(enlarged(image[5], 640, 640).astype(np.uint16) * 15),
        "clear.png": saved(Image.fromarray(np.dstack([image[6]] * 3 + [np.full_like(image[6], 180)])), "PNG"),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    contents["turned.jpg"] = saved(Image.fromarray(np.rot90(image[7]).copy()), "JPEG", exif=exif, quality=95)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    deep = enlarged(image[8], 500, 620).astype(np.uint16) * 16
    window = {"WindowCenter": 1800, "WindowWidth": 3300}
    plain = dicom(deep, bits=12, **window)
    written(plain, folder / "window.dcm")
    inverse = {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 2, "RescaleIntercept": -100}
    written(dicom(4095 - deep, bits=12, Modality="CT", ViewPosition="LL", **inverse), folder / "inverse.dcm")
    framed = np.pad(deep, ((20, 30), (40, 10)), constant_values=5)
    written(dicom(framed, bits=12, PixelPaddingValue=5, **window), folder / "padded.dcm")
    signed = (deep.astype(np.int32) - 2000).astype(np.int16)
    written(dicom(signed, **(window | {"WindowCenter": -100.5})), folder / "signed.dcm")
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def expected(bundle: Bundle, files: dict[str, Path]) -> dict[str, Reading]:
    model = Model(bundle, threads=1)
    return {name: read(open_picture(path), model) for name, path in files.items()}


def ready(page: Page) -> Page:
    expect(page.locator("#state")).to_have_text(re.compile("^Ready"), timeout=PATIENT)
    return page


def given(page: Page, *paths: Path) -> Page:
    """The page after it has read some files."""
    wanted = ready(page).locator("#pictures button").count() + len(paths)
    page.locator("#files").set_input_files(list(paths))
    expect(page.locator("#pictures button")).to_have_count(wanted, timeout=PATIENT)
    return ready(page)


def kept(page: Page, kind: str) -> bytes:
    """What a button of the page saves."""
    with page.expect_download() as download:
        page.locator(f"[data-keep={kind}]").click()
    return Path(download.value.path()).read_bytes()


def close(found: Any, wanted: Any, at: str = "") -> None:
    """JSON is equal: numbers within a thousandth, also of their size."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), at
        for key in wanted:
            close(found[key], wanted[key], f"{at}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), at
        for k, (one, other) in enumerate(zip(found, wanted, strict=True)):
            close(one, other, f"{at}[{k}]")
    elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-3), at
    else:
        assert found == wanted, at


# ---- numbers


def test_the_page_reads_as_the_command_does(
    html: Path, opened: Open, files: dict[str, Path], expected: dict[str, Reading]
) -> None:
    page = given(opened(html), *files.values())
    assert not page.locator("#refused li").all_inner_texts()
    for place, name in enumerate(files):
        page.locator("#pictures button").nth(place).click()
        found, wanted = json.loads(kept(page, "json")), json.loads(json.dumps(expected[name].to_json()))
        wanted["input"] = {"name": name} | wanted["input"]
        versions = found.pop("versions"), wanted.pop("versions")
        assert versions[0]["covidqu"] == versions[1]["covidqu"] and versions[0]["onnxruntime-web"] == engine.VERSION
        close(found, wanted, name)
    assert len({path.suffix for path in files.values()}) == 3 and any(one.warnings for one in expected.values())


def test_masks_are_those_of_the_command(
    html: Path, opened: Open, files: dict[str, Path], expected: dict[str, Reading]
) -> None:
    for name in ("tall.png", "padded.dcm"):
        page = given(opened(html), files[name])
        for task, mask in expected[name].masks.items():
            found = cv2.imdecode(np.frombuffer(kept(page, task), np.uint8), cv2.IMREAD_GRAYSCALE)
            assert set(np.unique(found)) == {0, 255} and found.shape == mask.shape
            assert ((found > 0) != mask).mean() < 1e-4 < mask.mean(), (name, task)


def test_outlines_lie_on_the_masks(
    html: Path, opened: Open, files: dict[str, Path], expected: dict[str, Reading]
) -> None:
    page = given(opened(html), files["padded.dcm"])
    for task, mask in expected["padded.dcm"].masks.items():
        path = page.locator(f"#lines path.inner[data-layer={task}]").get_attribute("d")
        inside = np.zeros(mask.shape, bool)
        rings = [re.findall(r"([\d.]+) ([\d.]+)", ring) for ring in path.split("Z")[:-1]]
        for ring in rings:
            inside ^= polygon2mask(mask.shape, np.array(ring, float)[:, ::-1] - 0.5)
        assert 2 * (inside & mask).sum() / (inside.sum() + mask.sum()) > 0.99, task


def test_the_table_has_the_columns_of_the_command(
    html: Path, opened: Open, files: dict[str, Path], expected: dict[str, Reading]
) -> None:
    from covidqu.reading.outputs import row

    names = ["photo.jpg", "window.dcm"]
    page = given(opened(html), *(files[name] for name in names))
    head, *lines = kept(page, "csv").decode().splitlines()
    records = [{"input": {"name": name}, **expected[name].to_json()} for name in names]
    assert head.split(",") == list(row(names[0], records[0])) and len(lines) == 2
    assert [line.split(",")[0] for line in lines] == ["photo", "window"]


def test_the_kept_picture_says_what_it_is_not_for(html: Path, opened: Open, files: dict[str, Path]) -> None:
    page = given(opened(html), files["tall.png"])
    expect(page.locator(".banner")).to_contain_text(NOTICE)
    picture = cv2.imdecode(np.frombuffer(kept(page, "overlay"), np.uint8), cv2.IMREAD_COLOR)
    original = cv2.imread(str(files["tall.png"]), cv2.IMREAD_GRAYSCALE)
    height, width = original.shape
    assert picture.shape[1] == width and picture.shape[0] > height + 60
    top = int(np.flatnonzero((picture[:80] > 0).any(axis=2).mean(axis=1) > 0.9)[0])  # below the strip with the words
    assert (picture[:top] > 200).mean() > 0.005, "white words above the picture"
    assert np.abs(picture[top : top + height].astype(int) - original[..., None]).max(axis=2).astype(bool).mean() < 0.9
    colours = picture[top : top + height].astype(int)
    assert (colours.max(axis=2) - colours.min(axis=2) > 100).sum() > 1000, "outlines"


# ---- what it may not do, and what it refuses


def hostile() -> dict[str, tuple[bytes, str]]:
    """Name -> content and what is said of it."""
    good = png(enlarged(chest(1).image, 400, 400))
    photo = saved(Image.fromarray(chest(1).image), "JPEG")
    image = chest(1).image
    preview = photo[:2] + b"\xff\xe1" + (len(photo) + 8).to_bytes(2, "big") + b"Exif\0\0" + photo
    huge = bytearray(good)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    stream = BytesIO()
    compressed = dicom(image)
    compressed.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    compressed.PixelData = encapsulate([photo])
    compressed["PixelData"].VR = "OB"
    compressed.save_as(stream, enforce_file_format=True)
    whole = BytesIO()
    dicom(image).save_as(whole, enforce_file_format=True)
    broken = bytearray(good)
    at = good.index(b"IDAT") + 40
    broken[at : at + 400] = bytes(400)
    return {
        "empty.png": (b"", "empty"),
        "cut.png": (good[: len(good) // 2], "cut short"),
        "cut.jpg": (photo[: len(photo) // 2], "cut short"),
        "cut-with-preview.jpg": (preview + photo[2 : len(photo) // 2], "cut short"),
        "strip.png": (png(np.tile(image, (1, 20))[:200]), "too long"),
        "broken.png": (bytes(broken), "damaged"),
        "huge.png": (bytes(huge), "too many"),
        "tiny.png": (png(image[:8, :8]), "too few"),
        "flat.png": (png(np.full((300, 300), 7, np.uint8)), "one value"),
        "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "not a PNG"),
        "svg.png": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a PNG"),
        "page.jpg": (b"<html><script>document.title = 'hacked'</script>", "not a PNG"),
        "animation.gif": (saved(Image.fromarray(image), "GIF"), "not a PNG"),
        "compressed.dcm": (stream.getvalue(), "compressed"),
        "cut.dcm": (whole.getvalue()[:-5000], "cut short"),
        "noise.dcm": (bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000), "DICOM file is"),
        "loop.jpg": (b"\xff\xd8\xff\xe0\0\0" * 50, "cut short or damaged"),
        '<img src=x onerror="alert(1)">.png': (b"no picture", "not a PNG"),
    }


def test_hostile_files_are_refused_in_words(html: Path, opened: Open, files: dict[str, Path]) -> None:
    page = ready(opened(html))
    cases = hostile()
    page.on("dialog", lambda dialog: pytest.fail(f"a file ran a script: {dialog.message}"))
    payload = [{"name": name, "mimeType": "image/png", "buffer": content} for name, (content, _) in cases.items()]
    page.locator("#files").set_input_files(payload)
    expect(page.locator("#refused li")).to_have_count(len(cases), timeout=PATIENT)
    for item, (name, (_, words)) in zip(page.locator("#refused li").all(), cases.items(), strict=True):
        expect(item).to_contain_text(name)
        expect(item).to_contain_text(words)
        assert "failed on it" not in item.inner_text(), "an error of the page, not of the file"
    expect(page.locator("#work")).to_be_hidden()
    given(page, files["small.png"])
    expect(page.locator("#name")).to_have_text("small.png")
    expect(page.locator("#refused li")).to_have_count(0)


class Counting(SimpleHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        super().do_GET()

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(html: Path) -> Iterator[str]:
    Counting.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(html.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


SENDS = """async (to) => {
  const tries = [
    () => fetch(to + '/by-fetch', { mode: 'no-cors' }), () => navigator.sendBeacon(to + '/by-beacon', 'x'),
    () => { const r = new XMLHttpRequest(); r.open('POST', to + '/by-xhr'); r.send('x'); },
    () => { new Image().src = to + '/by-image'; }, () => { new EventSource(to + '/by-events'); },
    () => { const s = document.createElement('script'); s.src = to + '/by-script'; document.head.append(s); },
    () => { const f = document.createElement('iframe'); f.src = to + '/by-frame'; document.body.append(f); },
    () => { const f = document.createElement('form'); f.action = to + '/by-form'; f.method = 'post';
            f.target = '_blank'; document.body.append(f); f.submit(); },
    () => new Worker(URL.createObjectURL(new Blob([`fetch('${to}/by-worker', {mode: 'no-cors'})`]))),
  ];
  for (const one of tries) { try { await one(); } catch {} }
  await new Promise((done) => setTimeout(done, 1500));
}"""


def test_the_page_cannot_send_anything(html: Path, served: str, chromium: Browser, tmp_path: Path) -> None:
    """The same attempts succeed from a copy without its policy."""
    lax = tmp_path / "lax"
    shutil.copytree(html.parent, lax)
    text = (lax / "index.html").read_text()
    (lax / "index.html").write_text(re.sub(r"<meta http-equiv=[^>]*>", "", text))
    for folder, sent in ((lax, True), (html.parent, False)):
        Counting.seen.clear()
        page = chromium.new_context().new_page()
        page.goto((folder / "index.html").as_uri())
        ready(page)
        page.evaluate(SENDS, served)
        page.context.close()
        ways = {path.split("by-")[1] for path in Counting.seen if "by-" in path}
        assert ({"fetch", "beacon", "xhr", "image", "script", "frame", "form", "worker"} <= ways) if sent else not ways


def test_it_works_from_any_host(served: str, chromium: Browser, files: dict[str, Path]) -> None:
    page = chromium.new_context().new_page()
    page.goto(f"{served}/index.html")
    given(page, files["window.dcm"])
    expect(page.locator("#name")).to_have_text("window.dcm")
    page.context.close()


# ---- what a person does


def test_keys_layers_window_and_zoom(html: Path, opened: Open, files: dict[str, Path]) -> None:
    page = given(opened(html), files["tall.png"], files["photo.jpg"])
    line = page.locator("#lines path.infection")
    page.locator("#files").focus()  # as after a dialog
    page.keyboard.press("2")
    expect(line).to_be_hidden()
    page.locator("label.infection").click()
    expect(line).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#name")).to_have_text("photo.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#name")).to_have_text("tall.png")
    before, box = page.locator("#picture").screenshot(), page.locator("#stack").bounding_box()
    page.locator("#width").fill("60")
    assert page.locator("#picture").screenshot() != before
    page.keyboard.press("0")  # a slider has the focus
    page.locator("#frame").focus()
    page.keyboard.press("+")
    assert page.locator("#stack").bounding_box()["width"] == pytest.approx(1.5 * box["width"], rel=0.01)
    page.keyboard.press("0")
    assert page.locator("#picture").screenshot() == before


def test_dropped_and_pasted_files_are_read(html: Path, opened: Open, files: dict[str, Path]) -> None:
    page = ready(opened(html))
    for kind, name, place in (("drop", "dataTransfer", 1), ("paste", "clipboardData", 2)):
        page.evaluate(
            """([kind, name, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([Uint8Array.from(bytes)], kind + '.png'));
              const drop = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
              document.dispatchEvent(kind === 'drop' ? drop : new ClipboardEvent('paste', { clipboardData: data }));
            }""",
            [kind, name, list(files["small.png"].read_bytes())],
        )
        expect(page.locator("#pictures button")).to_have_count(place, timeout=PATIENT)
        expect(page.locator("#pictures button").last).to_contain_text(f"{kind}.png")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(html: Path, opened: Open, files: dict[str, Path], dark: bool) -> None:
    page = ready(opened(html, dark=dark))
    page.locator("#files").set_input_files([{"name": "no.png", "mimeType": "image/png", "buffer": b"no"}])
    expect(page.locator("#refused li")).to_have_count(1)
    faults = inaccessible(page)
    given(page, files["inverse.dcm"], files["tall.png"])
    assert not faults + inaccessible(page)


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_shows_it_without_scrolling_sideways(
    html: Path, opened: Open, files: dict[str, Path], width: int
) -> None:
    page = given(opened(html, width=width, height=800), files["tall.png"], files["padded.dcm"])
    assert not scrolls_sideways(page)
    frame, picture = (page.locator(at).bounding_box() for at in ("#frame", "#stack"))
    assert picture["width"] <= frame["width"] + 1 and picture["height"] <= frame["height"] + 1
    page.locator("footer").scroll_into_view_if_needed()
    expect(page.locator(".banner")).to_be_in_viewport()


# ---- building


def test_filters_are_refused(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    filtered = tmp_path / "filtered"
    shutil.copytree(bundle.folder, filtered)
    described(filtered, PX, filters=[{"kind": "median", "px": 3}])
    assert main(["reader", "--out", str(tmp_path / "out"), "--model", str(filtered)]) == 2
    assert "filters its images (median)" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="letters"):
        reader(tmp_path / "letters", bundle.folder)
    assert (tmp_path / "letters" / "mine.txt").read_text() == "mine"


def test_the_same_bundle_makes_the_same_page(html: Path, bundle: Bundle, tmp_path: Path) -> None:
    reader(tmp_path / "again", bundle.folder)
    reader(tmp_path / "again", bundle.folder)  # in the place of the first
    names = sorted(path.name for path in html.parent.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((tmp_path / "again" / name).read_bytes() == (html.parent / name).read_bytes() for name in names)


def test_a_runtime_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.SHA256, "ort.wasm.bundle.min.mjs", "0" * 64)
    with pytest.raises(ValueError, match=r"ort\.wasm\.bundle\.min\.mjs: not that of onnxruntime-web"):
        engine.program()
