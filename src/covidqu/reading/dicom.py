"""The pixels of a DICOM file as a viewer shows them, and what its header says against reading them.

In the order of the standard: padding, modality LUT or rescale, VOI LUT or the first window, MONOCHROME1 turned bright.
Outer rows and columns of one value (a shutter, a film's frame) are left out of `box`.
"""

import io
import math

import numpy as np
import pydicom
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from covidqu.errors import plain
from covidqu.reading.pictures import (
    DEPTHS,
    LEAST_SIDE,
    Box,
    Refused,
    by_depth,
    of_colours,
    refuse_size,
    scaled,
    stretched,
)

RADIOGRAPHS = ("CR", "DX", "DR")
CHEST = ("", "CHEST", "THORAX", "LUNG", "PORTCHEST", "PORT CHEST", "RIBS")
NOT_FRONTAL = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT")
GREY, COLOURS = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "PALETTE COLOR")
FAR = 1e9  # beyond every window
HEAD = 1024  # bytes in which the transfer syntax stands
Found = tuple[np.ndarray, Box, list[str], list[tuple[str, str]], Dataset]


def dicom_pixels(data: bytes) -> Found:
    """(H, W) uint8, the box within borders, notes, doubts and the dataset; Refused for what is no single picture.

    With or without the preamble that a DICOM file starts with.
    """
    dataset = opened(data)
    refuse_other(dataset)
    array = stored(dataset)
    notes: list[str] = []
    if dataset.PhotometricInterpretation in GREY:
        pixels = grey(dataset, array, notes)
    else:
        pixels = from_colours(dataset, array, notes)
    box = within_borders(pixels)
    if box != (0, 0, *pixels.shape):
        top, left, bottom, right = box
        notes.append(
            f"borders of one value are not read: {top} rows at the top, {pixels.shape[0] - bottom} at the bottom, "
            f"{left} columns at the left, {pixels.shape[1] - right} at the right"
        )
    return pixels, box, notes, doubts(dataset), dataset


def opened(data: bytes) -> Dataset:
    """The dataset; Refused for other files."""
    if data[128:132] != b"DICM" and data[:2] not in (b"\x02\0", b"\x08\0"):  # the first group of elements
        raise Refused("neither PNG, JPEG, TIFF nor DICOM; save it as one of them")
    if DeflatedExplicitVRLittleEndian.encode() in data[:HEAD]:
        raise Refused("deflated as a whole, which may hide any size; save it with another transfer syntax")
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return dataset


def refuse_other(dataset: Dataset) -> None:
    """Refused for a dataset without one picture, before its pixels are decoded."""
    kind = getattr(
        dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID"), "name", "unknown kind"
    )
    if not any(word in dataset for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise Refused(f"holds no pixels ({kind}); name the file of the radiograph")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise Refused(f"{frames} frames ({kind}); one radiograph is wanted")
    known, photometric = (*GREY, *COLOURS), str(dataset.PhotometricInterpretation)
    if photometric not in known and not photometric.startswith("YBR"):
        raise Refused(f"photometric interpretation {photometric}; known are {', '.join(known)} and YBR")
    refuse_size(int(dataset.Columns), int(dataset.Rows))


def stored(dataset: Dataset) -> np.ndarray:
    """The values as they are in the file, colours as RGB; Refused for a compression that nothing here can undo."""
    try:
        return pixel_array(dataset)
    except RuntimeError as error:
        if "Unable to decode" not in str(error):
            raise
        kind, last = dataset.file_meta.TransferSyntaxUID.name, str(error).splitlines()[-1].strip()
        raise Refused(f"{kind} pixels cannot be decoded ({last}); save it uncompressed") from error


def grey(dataset: Dataset, array: np.ndarray, notes: list[str]) -> np.ndarray:
    """(H, W) stored values -> (H, W) uint8; what was done is added to `notes`."""
    padding = padded(dataset, array)
    values = apply_modality_lut(array, dataset)
    pixels = shown(dataset, values, ~padding, notes)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = 255 - pixels
        notes.append("MONOCHROME1: turned so that bone is bright")
    if padding.any():
        pixels = np.where(padding, np.uint8(0), pixels)
        notes.append(f"{padding.mean():.1%} of the pixels are padding and taken as black")
    return pixels


def padded(dataset: Dataset, array: np.ndarray) -> np.ndarray:
    """(H, W) bool: the stored values that mean that there is no pixel."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(array.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    ends = sorted((int(first), int(first if last is None else last)))
    return (array >= ends[0]) & (array <= ends[1])


def shown(dataset: Dataset, values: np.ndarray, inside: np.ndarray, notes: list[str]) -> np.ndarray:
    """(H, W) values of the modality -> (H, W) uint8: VOI LUT, else the first window, else smallest to largest."""
    if table := dataset.get("VOILUTSequence"):
        notes.append(
            "grey values by the VOI LUT of the file" + (f", the first of {len(table)}" if len(table) > 1 else "")
        )
        return by_table(table[0], values)
    centres, widths = (several(dataset.get(word)) for word in ("WindowCenter", "WindowWidth"))
    if not centres or not widths:
        pixels, more = stretched(values, inside)
        notes += ["no window in the file", *more]
        return pixels
    exact = str(dataset.get("VOILUTFunction", "LINEAR")).upper() != "LINEAR"
    if not all(math.isfinite(v) for v in (centres[0], widths[0])) or not (widths[0] > 0 if exact else widths[0] >= 1):
        pixels, more = stretched(values, inside)
        notes += [f"the window of the file cannot be used (width {widths[0]:g})", *more]
        return pixels
    with np.errstate(over="ignore"):
        low, high = apply_windowing(np.array([-FAR, FAR]), dataset)
        seen = apply_windowing(values, dataset)
    which = f", the first of {len(centres)}" if len(centres) > 1 else ""
    notes.append(f"window centre {centres[0]:g}, width {widths[0]:g}{which}")
    return scaled(seen, float(low), float(high))


def several(value: object) -> list[float]:
    """The numbers of an element that may hold none, one or many."""
    many = value if isinstance(value, MultiValue) else [value]
    return [float(v) for v in many if v not in (None, "")]


def by_table(item: Dataset, values: np.ndarray) -> np.ndarray:
    """(H, W) values through one VOI LUT -> (H, W) uint8, its bits in use becoming 8."""
    entries, first, _ = item.LUTDescriptor
    data = item.LUTData
    table = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data, np.int64)
    table = table[: entries or 1 << 16].astype(np.uint16)
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    bits = next(depth for depth in DEPTHS if int(table.max()) < 1 << depth)
    return scaled(table[places], 0, (1 << bits) - 1)


def from_colours(dataset: Dataset, array: np.ndarray, notes: list[str]) -> np.ndarray:
    """Stored colours -> (H, W) uint8 luminance."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
    if array.dtype != np.uint8:
        flat, more = by_depth(array.reshape(len(array), -1).astype(np.uint16))
        array = flat.reshape(array.shape)
        notes += more
    pixels, more = of_colours(Image.fromarray(array))
    notes += more
    return pixels


def within_borders(pixels: np.ndarray) -> Box:
    """The box that is left without outer rows and columns of one value; that of all pixels if little were left."""
    top, bottom = ends(np.ptp(pixels, axis=1) > 0)
    left, right = ends(np.ptp(pixels[top:bottom], axis=0) > 0)
    if min(bottom - top, right - left) < LEAST_SIDE:
        return 0, 0, *pixels.shape
    return top, left, bottom, right


def ends(some: np.ndarray) -> tuple[int, int]:
    """First and one after the last place that is True; all where none is."""
    places = np.flatnonzero(some)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, len(some))


def doubts(dataset: Dataset) -> list[tuple[str, str]]:
    """(code, text) of what the header says against a frontal radiograph of a chest seen as usual."""
    found = []
    modality, part, view = (
        plain(str(dataset.get(word) or "").strip().upper()) for word in ("Modality", "BodyPartExamined", "ViewPosition")
    )
    if modality not in RADIOGRAPHS:
        found.append(("modality", f"modality {modality or 'not given'}, radiographs are CR or DX"))
    if part not in CHEST:
        found.append(("body-part", f"body part {part}, not the chest"))
    if view in NOT_FRONTAL:
        found.append(("view", f"view {view}, not frontal"))
    along = several_words(dataset.get("PatientOrientation"))
    if along[:1] == ["R"] or along[:1] == ["P"] or along[:1] == ["A"]:
        side = "mirrored: its right side is the patient's right" if along[0] == "R" else "taken from the side"
        found.append(("orientation", f"patient orientation {'/'.join(along)}: the picture is {side}"))
    return found


def several_words(value: object) -> list[str]:
    """The words of an element that may hold none, one or many."""
    many = value if isinstance(value, MultiValue) else [value]
    return [str(v).strip().upper()[:1] for v in many if v]
