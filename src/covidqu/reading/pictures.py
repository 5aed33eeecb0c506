"""A file with a chest X-ray in, its grey picture out: PNG, JPEG and TIFF here, DICOM in `dicom`.

A file is known by its content, not by its name. Whatever is wrong with it is one ValueError that names it.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from covidqu.errors import fault, plain

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_BYTES = 512 << 20  # of a file
MOST_PIXELS = 50_000_000  # three times what the largest detector gives
LEAST_SIDE = 32
MOST_RATIO = 10  # longer side / shorter side
FORMATS = ("PNG", "JPEG", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")
DEPTHS = (8, 10, 12, 14, 16)  # bits that grey values are stored with
SQUEEZED = 2.0  # longer side / shorter side from which it is worth a word
COLOURED = 4  # grey levels between the channels, on average, from which a picture has colours
Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two exclusive


@dataclass(frozen=True)
class Picture:
    """`pixels` (H, W) uint8 grey, bone bright; `box`: the part without constant borders, which alone is read.

    `notes` say what was done to the pixels, `doubts` (code, text) why a reading may mean nothing. `dicom` is the
    dataset that the pixels are of, if they are.
    """

    path: Path
    pixels: np.ndarray
    sha256: str
    kind: str
    box: Box
    notes: tuple[str, ...] = ()
    doubts: tuple[tuple[str, str], ...] = ()
    dicom: "Dataset | None" = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


def open_picture(path: Path) -> Picture:
    """Read one file. ValueError for what is no single grey or colour picture, or is cut, damaged, huge or tiny."""
    return decoded(path, content(path))


def content(path: Path) -> bytes:
    """The bytes of a file; ValueError for a folder, a pipe, an empty or a huge file."""
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    if not path.is_file():
        raise ValueError(f"{path}: is no file; name a picture or a folder of pictures")
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"{path}: {size:,} bytes; a picture has more than none and at most {MOST_BYTES:,}")
    return path.read_bytes()


def decoded(path: Path, data: bytes) -> Picture:
    """As `open_picture`, from the bytes that the file `path` holds."""
    raster = data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*")) and data[128:132] != b"DICM"
    try:
        if raster:
            pixels, kind, notes = raster_pixels(data)
            found = Picture(path, pixels, "", kind, whole(pixels), tuple(notes))
        else:
            from covidqu.reading.dicom import dicom_pixels

            pixels, box, notes, doubts, dataset = dicom_pixels(data)
            found = Picture(path, pixels, "", "DICOM", box, tuple(notes), tuple(doubts), dataset)
        return checked(found, hashlib.sha256(data).hexdigest())
    except Refused as error:
        raise ValueError(f"{path}: {plain(str(error))}") from None
    except MemoryError as error:
        raise ValueError(f"{path}: does not fit into memory; make the picture smaller") from error
    except Exception as error:  # what the libraries let through is the fault of the file
        kind = "picture" if raster else "DICOM file"
        raise ValueError(f"{path}: damaged, cut or no {kind} ({fault(error)}); get or export it again") from error


def of_array(array: np.ndarray, name: str = "array") -> Picture:
    """A picture of an array: (H, W) or (H, W, 3) of uint8, or (H, W) of uint16; ValueError for another."""
    array = np.ascontiguousarray(array)
    try:
        if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
            pixels, notes = of_colours(Image.fromarray(array))
        elif array.ndim == 2 and array.dtype in (np.uint8, np.uint16):
            pixels, notes = (array, []) if array.dtype == np.uint8 else by_depth(array)
        else:
            raise Refused(f"{array.dtype} {array.shape}; want (H, W) or (H, W, 3) uint8, or (H, W) uint16")
        found = Picture(Path(name), pixels, "", "array", whole(pixels), tuple(notes))
        return checked(found, hashlib.sha256(array.tobytes()).hexdigest())
    except Refused as error:
        raise ValueError(f"{name}: {error}") from None


class Refused(Exception):
    """What is wrong with a picture and what to do, without the name of its file."""


def checked(found: Picture, sha256: str) -> Picture:
    """With its hash; Refused for what cannot show a chest."""
    height, width = found.size
    refuse_size(width, height)
    top, left, bottom, right = found.box
    if not np.ptp(found.pixels[top:bottom, left:right]):
        raise Refused(f"all pixels have the value {found.pixels[top, left]}; there is nothing to read")
    notes, (shorter, longer) = list(found.notes), sorted((bottom - top, right - left))
    if longer > SQUEEZED * shorter:
        notes.append(f"{right - left} x {bottom - top} pixels are squeezed to a square, as all are")
    return Picture(found.path, found.pixels, sha256, found.kind, found.box, tuple(notes), found.doubts, found.dicom)


def refuse_size(width: int, height: int) -> None:
    """Refused for a picture that is too large for memory or too small for a chest."""
    if width * height > MOST_PIXELS:
        raise Refused(f"{width:,} x {height:,} pixels; at most {MOST_PIXELS:,} are read, make it smaller")
    if min(width, height) < LEAST_SIDE:
        raise Refused(f"{width} x {height} pixels; a side has at least {LEAST_SIDE}")
    if max(width, height) > MOST_RATIO * min(width, height):
        raise Refused(f"{width:,} x {height:,} pixels; a side is at most {MOST_RATIO} times as long as the other")


def whole(pixels: np.ndarray) -> Box:
    """The box of all pixels."""
    return 0, 0, pixels.shape[0], pixels.shape[1]


def raster_pixels(data: bytes) -> tuple[np.ndarray, str, list[str]]:
    """PNG, JPEG or TIFF bytes -> (H, W) uint8, the format, what was done."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        refuse_size(*image.size)
        if (pages := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":  # a JPEG with previews
            raise Refused(f"{pages} pages; one picture is wanted, save one of them")
        kind, turned = str(image.format).replace("MPO", "JPEG"), image.getexif().get(0x0112, 1) not in (0, 1)
        upright = ImageOps.exif_transpose(image) if turned else image
        upright.load()
        pixels, notes = grey(upright)
    return pixels, kind, notes + (["turned as its EXIF orientation says"] if turned else [])


def grey(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """A Pillow image of any mode -> (H, W) uint8 and what was done."""
    if image.mode in ("L", "1"):
        return np.array(image.convert("L")), []
    if image.mode.startswith("I;16"):
        return by_depth(np.array(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        values = np.array(image)
        if image.mode == "I" and values.min() >= 0 and values.max() < 1 << 16:
            return by_depth(values.astype(np.uint16))
        return stretched(values)
    return of_colours(image)


def of_colours(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """A picture in colours or with transparency -> luminance (ITU-R 601), over black, and what was done."""
    notes = []
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            notes.append("transparent parts are taken as black")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("RGB")
    rgb = np.asarray(image)
    spread = np.abs(rgb[..., 1:].astype(np.int16) - rgb[..., :1]).max(axis=2).mean()
    if spread > COLOURED:
        notes.append("has colours; their luminance is read")
    return np.array(image.convert("L")), notes


def by_depth(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(H, W) uint16 -> uint8: the fewest bits that hold the largest value become 8, and what was done."""
    largest = int(values.max())
    bits = next(depth for depth in DEPTHS if largest < 1 << depth)
    notes = [] if bits == 8 else [f"{bits} bits a pixel are read as 8 (largest value {largest:,})"]
    return scaled(values, 0, (1 << bits) - 1), notes


def stretched(values: np.ndarray, inside: np.ndarray | None = None) -> tuple[np.ndarray, list[str]]:
    """(H, W) numbers -> uint8 from the smallest to the largest value (`inside`, if given), and what was done."""
    part = values if inside is None else values[inside]
    if not part.size or not np.isfinite(part).all():
        raise Refused("pixels are nan, infinite or all padding; export it again")
    low, high = float(part.min()), float(part.max())
    return scaled(values, low, high), [f"grey values from {low:g} to {high:g} are read as 0 to 255"]


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(H, W) numbers -> uint8, `low` to 0 and `high` to 255, beyond them the same."""
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    out = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.rint(np.clip(out, 0, 255)).astype(np.uint8)
