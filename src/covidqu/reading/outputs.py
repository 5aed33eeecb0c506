"""Files of one reading: a picture to look at, masks, JSON, a DICOM segmentation; and one table of all readings.

Each file is there whole or not at all. The JSON file is written last: where it is, so are the others.
"""

import csv
import io
import json
import os
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from covidqu.files import replacing
from covidqu.reading.bundle import NOTICE
from covidqu.reading.reading import MASKS, SIDES, Reading

TABLE = "readings.csv"
FOLDERS = {"overlay": "overlay", "lung": "lung", "infection": "infection", "segmentation": "dicom-seg"}
JSON = "json"
COLOURS = {"lung": (86, 180, 233), "infection": (240, 228, 66)}  # Okabe and Ito 2008, as in the figures of the report
LEAST_OVERLAY = 512  # pixels of the shorter side of a picture, below which it is shown several times larger
BEHIND, TEXT, ALERT = (16, 16, 16), (235, 235, 235), (255, 176, 120)
WHAT = "Only infection by COVID-19 is outlined, no other pneumonia"
NO_USE = "no-chest"  # the warning with which numbers are not shown: they would be of no chest
Row = dict[str, Any]


def place(out: Path, kind: str, name: str) -> Path:
    """The file of one kind for an input of this name."""
    suffix = {"json": ".json", "segmentation": ".dcm"}.get(kind, ".png")
    return out / FOLDERS.get(kind, JSON) / f"{name}{suffix}"


def write(out: Path, name: str, found: Reading) -> dict[str, Any]:
    """Write all files of one reading; what its JSON file holds."""
    files = ["overlay", *found.masks]
    for kind in files:
        pixels = overlay(found, name) if kind == "overlay" else found.masks[kind].astype(np.uint8) * 255
        write_png(place(out, kind, name), pixels)
    record = found.to_json()
    if found.picture.dicom is not None and found.masks:
        from covidqu.reading.segmentation import segmentation

        try:
            dataset = segmentation(found)
        except (ValueError, AttributeError, KeyError, TypeError) as error:  # a header without what a SEG needs
            record["input"]["notes"].append(f"no DICOM segmentation: {' '.join(str(error).split())}")
        else:
            with whole(place(out, "segmentation", name)) as part:
                dataset.save_as(part, enforce_file_format=True)
            files.append("segmentation")
    for kind in FOLDERS.keys() - set(files):  # of an earlier call with another model
        place(out, kind, name).unlink(missing_ok=True)
    record["input"] = {"name": text(name), **record["input"]}
    record["files"] = {kind: place(out, kind, name).stat().st_size for kind in files}
    with whole(place(out, "json", name)) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return record


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path that gets the name `path` in the end. It is not waited for until the bytes are on the disk.

    Five times per picture that would take longer than the reading; `kept` compares sizes instead. No lock either: who
    reads into a folder holds that of its table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def kept(out: Path, name: str) -> dict[str, Any] | None:
    """What an earlier call has written for this name, if all its files are whole; else None."""
    try:
        record = json.loads(place(out, JSON, name).read_text(encoding="utf-8"))
        row(name, record)
        sizes = {kind: place(out, kind, name).stat().st_size for kind in record["files"]}
        return record if sizes == record["files"] and all(made_of(record)) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def made_of(record: dict[str, Any]) -> tuple[str, str, tuple[int, ...], str]:
    """SHA-256 of picture and model, seeds and version: what a reading follows from."""
    model = record["model"]
    seeds = tuple(member["seed"] for member in model["members"])
    return record["input"]["sha256"], model["sha256"], seeds, record["versions"]["covidqu"]


def discard(out: Path, name: str) -> None:
    """Remove what an earlier call has written for this name: its input is another now."""
    for kind in ("json", *FOLDERS):
        with suppress(OSError):  # of a name that never was one
            place(out, kind, name).unlink(missing_ok=True)


def text(name: str) -> str:
    """A file's name as text that UTF-8 can hold."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def write_png(path: Path, pixels: np.ndarray) -> None:
    """(H, W) or (H, W, 3) uint8, with a word on its use."""
    about = PngInfo()
    about.add_text("Comment", NOTICE)
    with whole(path) as part:
        Image.fromarray(pixels).save(part, "PNG", pnginfo=about, compress_level=1, compress_type=zlib.Z_RLE)


# --- the picture to look at ---


def overlay(found: Reading, name: str) -> np.ndarray:
    """(h, w, 3) uint8: the picture with outlines of both masks, words on its use above, a legend and numbers below.

    A small picture is shown larger, by a whole number. Nothing hides a part of it.
    """
    height, width = found.picture.size
    times = max(1, -(-LEAST_OVERLAY // min(height, width)))
    grey = cv2.resize(found.picture.pixels, (width * times, height * times), interpolation=cv2.INTER_CUBIC)
    drawn = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    thick = max(1, round(min(drawn.shape[:2]) / 300))
    for task in MASKS:
        if task in found.masks:
            outline(drawn, found.masks[task], times, COLOURS[task], thick)
    canvas = with_legend(Image.fromarray(drawn), list(found.masks), lines(found, name))
    return np.asarray(with_notice(canvas))


def outline(drawn: np.ndarray, mask: np.ndarray, times: int, colour: tuple[int, int, int], thick: int) -> None:
    """Draw the outlines of (H, W) bool into an image `times` as large, with a dark edge."""
    large = cv2.resize(mask.view(np.uint8), (drawn.shape[1], drawn.shape[0]), interpolation=cv2.INTER_NEAREST)
    rings, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, rings, -1, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.drawContours(drawn, rings, -1, colour, thick, cv2.LINE_AA)


def with_notice(canvas: Image.Image) -> Image.Image:
    """The picture below a strip with the words on its use."""
    font = fitting(NOTICE, canvas.width * 0.9, max(12, min(canvas.size) // 28))
    left, top, right, bottom = font.getbbox(NOTICE)
    high = round((bottom - top) * 1.8)
    out = Image.new("RGB", (canvas.width, high + canvas.height), (0, 0, 0))
    out.paste(canvas, (0, high))
    at = ((canvas.width - (right - left)) / 2 - left, (high - (bottom - top)) / 2 - top)
    ImageDraw.Draw(out).text(at, NOTICE, font=font, fill=(255, 255, 255))
    return out


def fitting(words: str, width: float, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, as large as `size` and `width` allow."""
    wide = ImageFont.load_default(size).getlength(words)
    return ImageFont.load_default(max(6, int(size * min(1, width / max(wide, 1)))))


def lines(found: Reading, name: str) -> list[tuple[str, tuple[int, int, int]]]:
    """What stands below the picture, with colours: warnings first, and numbers unless it is no chest."""
    codes = {warning.code for warning in found.warnings}
    said, warned = [(text(name), TEXT)], [(f"Warning: {warning.text}", ALERT) for warning in found.warnings]
    if NO_USE in codes:
        return [*said, ("Do not use this reading. Its numbers are left out.", ALERT), *warned]
    said += warned
    if found.shares:
        both, left, right = (percent(found.shares[side]) for side in SIDES)
        usual = "" if "mirrored" in codes else " (as a rule the patient's right)"
        said.append((f"COVID-19 infection: {both} of the lungs", TEXT))
        said.append((f"of the lung at the image's left{usual} {left}, at its right {right}", TEXT))
    spread = [share for share in found.seeds["infected_share_of_lung"] if share is not None]
    if len(spread) > 1:
        said.append((f"{len(spread)} trainings alone: {percent(min(spread))} to {percent(max(spread))}", TEXT))
    if "infection" in found.masks:
        said.append((WHAT, TEXT))
    if found.probabilities:
        classes = ", ".join(f"{label} {percent(p)}" for label, p in found.probabilities.items())
        said.append((f"Class (in part a guess at the image collection): {classes}", TEXT))
    return said


def percent(share: float | None) -> str:
    """For people: one digit behind the point below 10 %; what is not quite none or all is not called so."""
    if share is None:
        return "no lung"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def with_legend(canvas: Image.Image, tasks: list[str], said: list[tuple[str, tuple[int, int, int]]]) -> Image.Image:
    """The picture with a legend and lines of text below it, broken to its width."""
    size = max(13, min(canvas.size) // 36)
    font, step, margin = ImageFont.load_default(size), round(size * 1.5), size
    broken = [(part, colour) for words, colour in said for part in wrapped(words, font, canvas.width - 2 * margin)]
    out = Image.new("RGB", (canvas.width, canvas.height + step * (len(broken) + 1) + margin), BEHIND)
    out.paste(canvas)
    draw, x, y = ImageDraw.Draw(out), margin, canvas.height + margin // 2
    for task in tasks:
        draw.line([(x, y + step // 2), (x + 2 * size, y + step // 2)], fill=COLOURS[task], width=max(2, size // 5))
        draw.text((x + 2.5 * size, y), f"{task} outline", font=font, fill=TEXT)
        x += round(4 * size + font.getlength(f"{task} outline"))
    for number, (words, colour) in enumerate(broken, start=1):
        draw.text((margin, y + number * step), words, font=font, fill=colour)
    return out


def wrapped(words: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Lines of at most `width` pixels, broken at spaces, and within a word that is longer."""
    found, line = [], ""
    for word in "".join(c if c.isprintable() else "?" for c in words).split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        found += [line] if line else []
        *whole, line = pieces(word, font, width)
        found += whole
    return [*found, line]


def pieces(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A word cut where it is longer than `width` pixels."""
    letters = max(1, int(len(word) * min(1, width / max(font.getlength(word), 1))))
    return [word[start : start + letters] for start in range(0, len(word), letters)] or [""]


# --- the table ---


def row(name: str, record: dict[str, Any]) -> Row:
    """The line of one reading in `readings.csv`; shares and probabilities as fractions, none of what is no chest.

    What seeds say alone is of several: a single one leaves those columns empty.
    """
    seeds, shares = record["seeds"], record["infected_share_of_lung"]
    codes = [warning["code"] for warning in record["warnings"]]
    spread = [share for share in seeds["infected_share_of_lung"] if share is not None]
    found: Row = {"name": text(name), "status": "read", "error": "", "warnings": " ".join(codes)}
    for side in SIDES:
        found[f"infected_share_{side}"] = shares.get(side)
    found["infected_share_lowest_seed"] = min(spread) if len(spread) > 1 else None
    found["infected_share_highest_seed"] = max(spread) if len(spread) > 1 else None
    for task in MASKS:
        for side in SIDES:
            found[f"{task}_px_{side}"] = record["pixels"].get(task, {}).get(side)
        found[f"{task}_dice_between_seeds"] = seeds["dice"].get(task)
    for label, probability in record["probabilities"].items():
        found[f"probability {label}"] = probability
    if NO_USE in codes:
        found |= {key: None for key, value in found.items() if not isinstance(value, str)}
    found |= {key: record["input"][key] for key in ("width", "height", "kind", "sha256")}
    return found | {"model": record["model"]["name"], "model_sha256": record["model"]["sha256"], "use": NOTICE}


def earlier(out: Path, names: Container[str]) -> list[Row]:
    """Lines of other names that the table of an earlier call has, but of readings that are no longer there."""
    try:
        with (out / TABLE).open(newline="", encoding="utf-8") as file:
            whole_lines = [one for one in csv.DictReader(file) if None not in (*one, *one.values())]
    except (OSError, ValueError, csv.Error):
        return []
    ours = [one for one in whole_lines if {"name", "status"} <= one.keys() and one.get("use") == NOTICE]
    others = [one for one in ours if one["name"] not in names]
    return [one for one in others if one["status"] == "error" or os.path.isfile(place(out, JSON, one["name"]))]


def failed(name: str, error: str) -> Row:
    """The line of an input that could not be read."""
    return {"name": text(name), "status": "error", "error": text(error), "use": NOTICE}


def write_table(out: Path, rows: list[Row]) -> None:
    """`readings.csv`, one line per input in their order; a field that a reading does not have is empty."""
    columns = list(dict.fromkeys(key for one in sorted(rows, key=len, reverse=True) for key in one))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: rounded(value) for key, value in one.items()} for one in rows)
    with replacing(out / TABLE, recorded=False) as part:
        part.write_text(stream.getvalue(), encoding="utf-8", newline="")


def rounded(value: Any) -> Any:
    """Six digits of a fraction are more than it is good for."""
    return round(value, 6) if isinstance(value, float) else value
