"""Radiographs for tests: drawn chests, and the files that hospitals and people keep them in."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from covidqu.config.data import CLASSES
from covidqu.ingest.sources.phantom import Case, _draw


def chest(seed: int = 0, label: str = "COVID-19") -> Case:
    """A phantom with its masks, 256 x 256."""
    return _draw(np.random.default_rng([seed, CLASSES.index(label)]), label, seed)


def enlarged(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def png(pixels: np.ndarray, **options: Any) -> bytes:
    return saved(Image.fromarray(pixels), "PNG", **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def dicom(pixels: np.ndarray, *, bits: int | None = None, **elements: Any) -> Dataset:
    """A CR image of (H, W) stored values, with what `elements` say otherwise; None leaves an element out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = ComputedRadiographyImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["instance"])
    found = Dataset()
    found.file_meta = meta
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.StudyInstanceUID, found.SeriesInstanceUID = (generate_uid(entropy_srcs=[w]) for w in ("study", "series"))
    found.PatientID, found.PatientName, found.PatientBirthDate, found.PatientSex = "1", "Phantom^Chest", "", "O"
    found.StudyDate, found.StudyTime, found.StudyID, found.AccessionNumber = "20210101", "000000", "1", ""
    found.ReferringPhysicianName, found.Modality, found.Manufacturer = "", "CR", "covidqu"
    found.SeriesNumber, found.InstanceNumber, found.BodyPartExamined, found.ViewPosition = 1, 1, "CHEST", "PA"
    found.PatientOrientation, found.ImagerPixelSpacing = ["L", "F"], [0.2, 0.2]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.Rows, found.Columns = pixels.shape[:2]
    size = pixels.dtype.itemsize * 8
    found.BitsAllocated, found.BitsStored = size, bits or size
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    found["PixelData"].VR = "OB" if size == 8 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    return found


def written(dataset: Dataset, path: Path, **options: Any) -> Path:
    pydicom.dcmwrite(path, dataset, **({"enforce_file_format": True} | options))
    return path


def dicom_bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def lut(entries: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries, 0, bits]
    item.add_new("LUTData", "US", np.linspace(0, (1 << bits) - 1, entries).round().astype(int).tolist())
    return item


IMAGE = chest().image
TWELVE = (IMAGE.astype(np.uint16) << 4) | (IMAGE >> 4)  # the same picture with 12 bits
SOUND = [
    png(IMAGE[::4, ::4]),
    png(IMAGE[::4, ::4].astype(np.uint16) * 257),
    saved(Image.fromarray(IMAGE[::4, ::4]), "JPEG"),
    saved(Image.fromarray(IMAGE[::4, ::4]), "TIFF"),
    saved(Image.fromarray(IMAGE[::4, ::4]), "TIFF", compression="tiff_lzw"),
    dicom_bytes(dicom(TWELVE[::4, ::4].copy(), bits=12, WindowCenter=2048, WindowWidth=4096)),
    dicom_bytes(dicom(IMAGE[::4, ::4].copy(), VOILUTSequence=Sequence([lut(256, 8)]))),
]
