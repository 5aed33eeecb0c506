"""Files of all kinds to grey pictures, and what is said of those that are none."""

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from covidqu.reading.pictures import MOST_PIXELS, Picture, decoded, of_array, open_picture
from support.radiographs import IMAGE, SOUND, TWELVE, dicom, dicom_bytes, enlarged, lut, png, saved

NAME = Path("a.any")
PREVIEW = Image.fromarray(IMAGE[::2])


def read(data: bytes) -> Picture:
    return decoded(NAME, data)


def near(found: Picture, wanted: np.ndarray, levels: float) -> bool:
    """Whether no pixel is farther away."""
    return found.pixels.dtype == np.uint8 and np.abs(found.pixels.astype(int) - wanted.astype(int)).max() <= levels


def refused(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"^a\.any: ") as caught:
        read(data)
    message = str(caught.value)
    assert len(message) < 400 and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (png(IMAGE), 0),
        (png(IMAGE.astype(np.uint16) * 257), 0),
        (saved(Image.fromarray(IMAGE).convert("RGB"), "PNG"), 0),
        (saved(Image.fromarray(IMAGE).convert("RGBA"), "PNG"), 0),
        (saved(Image.fromarray(IMAGE).convert("LA"), "PNG"), 0),
        (saved(Image.fromarray(IMAGE).convert("P"), "PNG"), 0),
        (saved(Image.fromarray(IMAGE), "JPEG", quality=100, subsampling=0), 4),
        (
            saved(
                Image.fromarray(IMAGE), "MPO", save_all=True, append_images=[Image.fromarray(IMAGE[::2])], quality=100
            ),
            4,
        ),
        (saved(Image.fromarray(IMAGE).convert("CMYK"), "JPEG", quality=100, subsampling=0), 6),
        (saved(Image.fromarray(IMAGE), "TIFF"), 0),
        (saved(Image.fromarray(IMAGE), "TIFF", compression="tiff_lzw"), 0),
        (saved(Image.fromarray(IMAGE.astype(np.uint16) * 257), "TIFF"), 0),
        (saved(Image.fromarray(IMAGE.astype(np.int32)), "TIFF"), 0),
    ],
)
def test_grey_values_are_those_that_were_saved(data: bytes, levels: int) -> None:
    found = read(data)
    assert near(found, IMAGE, levels)
    assert found.box == (0, 0, 256, 256) and not found.notes[1:] and not found.doubts


def test_16_bits_are_read_by_the_bits_in_use() -> None:
    twelve = np.rint(IMAGE * (4000 / IMAGE.max())).astype(np.uint16)
    found = read(png(twelve))
    assert near(found, twelve * (255 / 4095), 1) and found.notes == (
        "12 bits a pixel are read as 8 (largest value 4,000)",
    )
    floats = saved(Image.fromarray(IMAGE.astype(np.float32) / 7 - 3), "TIFF")
    low, high = IMAGE.min(), IMAGE.max()
    assert near(read(floats), (IMAGE.astype(float) - low) * 255 / (high - low), 1)


def test_colours_and_transparency_are_said() -> None:
    colours = np.dstack([IMAGE, IMAGE, 255 - IMAGE])
    assert read(png(colours)).notes == ("has colours; their luminance is read",)
    half = np.dstack([IMAGE] * 3 + [np.full_like(IMAGE, 255)])
    half[:100, :, 3] = 0
    found = read(png(half))
    assert found.notes == ("transparent parts are taken as black",)
    assert not found.pixels[:100].any() and (found.pixels[100:] == IMAGE[100:]).all()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 100}), ("TIFF", {})])
def test_exif_turns_a_picture(kind: str, options: dict) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    found = read(saved(Image.fromarray(IMAGE[:, :200]), kind, exif=exif, **options))
    assert found.size == (200, 256) and near(found, np.rot90(IMAGE[:, :200], -1), 4)
    assert found.notes == ("turned as its EXIF orientation says",)


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (b"hello", "neither PNG, JPEG, TIFF nor DICOM"),
        (saved(Image.fromarray(IMAGE), "GIF"), "neither PNG"),
        (png(IMAGE)[:9000], "damaged, cut or no picture"),
        (saved(Image.fromarray(IMAGE), "JPEG")[:5000], "damaged, cut or no picture"),
        (saved(Image.fromarray(IMAGE), "TIFF")[:9000], "damaged, cut or no picture"),
        (bomb(), "pixels"),
        (png(IMAGE[:20]), "256 x 20 pixels; a side has at least 32"),
        (png(np.arange(32 * 400, dtype=np.uint8).reshape(32, 400)), "400 x 32 pixels; a side is at most 10 times"),
        (png(np.full((64, 64), 9, np.uint8)), "all pixels have the value 9"),
        (saved(Image.fromarray(IMAGE), "TIFF", save_all=True, append_images=[Image.fromarray(IMAGE)]), "2 pages"),
        (saved(Image.fromarray(np.full((64, 64), np.nan, np.float32)), "TIFF"), "nan"),
    ],
)
def test_what_is_no_picture_is_one_line(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.any"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        open_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and said in message and "\n" not in message
    assert ("30,000 x 30,000" in message or "decompression bomb" in message) == (data == bomb())


def test_a_folder_and_a_missing_file_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is no file"):
        open_picture(tmp_path)


def test_a_thin_picture_is_squeezed_and_says_so() -> None:
    assert read(png(enlarged(IMAGE, 300, 100))).notes == ("300 x 100 pixels are squeezed to a square, as all are",)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_hostile_bytes_are_read_or_refused_in_one_line(data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from(SOUND))
    bad = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 8))):
        head = data.draw(st.booleans())
        bad[data.draw(st.integers(0, min(len(bad), 1200 if head else len(bad)) - 1))] = data.draw(st.integers(0, 255))
    bad = bad[: data.draw(st.integers(0, len(bad)))] if data.draw(st.booleans()) else bad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = read(bytes(bad))
        except ValueError as error:
            message = str(error)
            assert message.startswith("a.any: ") and "\n" not in message and len(message) < 500
        else:
            assert found.pixels.dtype == np.uint8 and found.pixels.size <= MOST_PIXELS and found.pixels.ndim == 2


def test_arrays_are_pictures_too() -> None:
    assert (of_array(IMAGE).pixels == IMAGE).all() and of_array(IMAGE).sha256
    assert near(of_array(IMAGE.astype(np.uint16) * 257), IMAGE, 0)
    assert near(of_array(np.dstack([IMAGE] * 3)), IMAGE, 0)
    with pytest.raises(ValueError, match=r"array: float64 \(256, 256\); want"):
        of_array(IMAGE / 255)


# --- DICOM ---


def of(dataset: Dataset) -> Picture:
    return read(dicom_bytes(dataset))


def test_dicom_with_a_window_rescale_and_inverted_greys() -> None:
    full = {"WindowCenter": 2048, "WindowWidth": 4096}
    assert near(of(dicom(TWELVE, bits=12, **full)), IMAGE, 1)
    inverted = dicom(4095 - TWELVE, bits=12, PhotometricInterpretation="MONOCHROME1", **full)
    found = of(inverted)
    assert near(found, IMAGE, 1) and "MONOCHROME1: turned so that bone is bright" in found.notes
    rescaled = dicom(TWELVE, bits=12, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3096, WindowWidth=8192)
    assert near(of(rescaled), IMAGE, 1)
    narrow = of(dicom(TWELVE, bits=12, WindowCenter=1000, WindowWidth=500)).pixels
    assert not narrow[TWELVE < 750].any() and (narrow[TWELVE > 1250] == 255).all()
    steep = of(dicom(TWELVE, bits=12, VOILUTFunction="SIGMOID", **full)).pixels
    assert (np.diff(steep[np.unravel_index(np.argsort(TWELVE, axis=None), TWELVE.shape)].astype(int)) >= 0).all()
    two = of(dicom(TWELVE, bits=12, WindowCenter=[2048, 100], WindowWidth=[4096, 10]))
    assert near(two, IMAGE, 1) and "window centre 2048, width 4096, the first of 2" in two.notes


def test_dicom_without_a_usable_window_goes_from_smallest_to_largest() -> None:
    values = TWELVE + 5000
    wanted = (IMAGE - float(IMAGE.min())) * 255 / (float(IMAGE.max()) - IMAGE.min())
    found = of(dicom(values))
    assert near(found, wanted, 1) and found.notes[0] == "no window in the file"
    found = of(dicom(values, WindowCenter=0, WindowWidth=0))
    assert near(found, wanted, 1) and found.notes[0] == "the window of the file cannot be used (width 0)"
    signed = of(dicom(TWELVE.astype(np.int16) - 2000))
    assert near(signed, wanted, 1)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_dicom_by_its_voi_lut(bits: int) -> None:
    found = of(dicom(TWELVE, bits=12, VOILUTSequence=Sequence([lut(4096, bits)]), WindowCenter=1, WindowWidth=2))
    assert near(found, IMAGE, 1) and found.notes == ("grey values by the VOI LUT of the file",)


def test_padding_and_borders_are_no_chest() -> None:
    values = np.full((300, 400), 65535, np.uint16)
    values[20:276, 100:356] = TWELVE
    found = of(dicom(values, PixelPaddingValue=65535))
    assert found.box == (20, 100, 276, 356) and not found.pixels[:20].any()
    low, high = int(IMAGE.min()), int(IMAGE.max())
    assert np.abs(found.pixels[20:276, 100:356] - (IMAGE - float(low)) * 255 / (high - low)).max() <= 1
    assert any("padding" in note for note in found.notes) and any("20 rows at the top" in note for note in found.notes)
    frame = np.full((300, 400), 4095, np.uint16)
    frame[20:276, 100:356] = TWELVE
    assert of(dicom(frame, bits=12, WindowCenter=2048, WindowWidth=4096)).box == (20, 100, 276, 356)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_lossless_compression(syntax: str) -> None:
    dataset = dicom(TWELVE, bits=12, WindowCenter=2048, WindowWidth=4096)
    dataset.compress(syntax)
    assert near(of(dataset), IMAGE, 1)


@pytest.mark.parametrize("process", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1"])
def test_lossless_jpeg_in_dicom(process: str, tmp_path: Path) -> None:
    """As GDCM writes it."""
    import gdcm

    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(dicom_bytes(dicom(TWELVE, bits=12, WindowCenter=2048, WindowWidth=4096)))
    reader, change, writer = gdcm.PixmapReader(), gdcm.ImageChangeTransferSyntax(), gdcm.PixmapWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
    change.SetInput(reader.GetPixmap())
    assert change.Change()
    writer.SetFileName(str(packed))
    writer.SetFile(reader.GetFile())
    writer.SetPixmap(change.GetOutputAsPixmap())
    assert writer.Write()
    assert near(read(packed.read_bytes()), IMAGE, 1)


def test_jpeg_in_dicom() -> None:
    from pydicom.encaps import encapsulate

    dataset = dicom(IMAGE)
    dataset.PixelData = encapsulate([saved(Image.fromarray(IMAGE), "JPEG", quality=100)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    assert near(of(dataset), IMAGE, 4)


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("MR_small_jp2klossless.dcm", JPEG2000Lossless),
        ("MR_small_jpeg_ls_lossless.dcm", JPEGLSLossless),
        ("MR_small_RLE.dcm", RLELossless),
        ("SC_rgb_gdcm_KY.dcm", None),
        ("MR_small_bigendian.dcm", None),
        ("examples_palette.dcm", None),
    ],
)
def test_files_of_other_programs(name: str, syntax: str | None) -> None:
    data = Path(get_testdata_file(name)).read_bytes()
    found = read(data)
    assert found.kind == "DICOM" and found.doubts[0][0] == "modality"
    assert syntax in (None, found.dicom.file_meta.TransferSyntaxUID)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("examples_ybr_color.dcm", "30 frames"),
        ("JPGExtended.dcm", "JPEG Extended (Process 2 and 4) pixels cannot be decoded"),
        ("rtplan.dcm", "holds no pixels (RT Plan Storage)"),
        ("DICOMDIR", "holds no pixels (Media Storage Directory Storage)"),
        ("MR_truncated.dcm", "less than expected"),
        ("no_meta.dcm", "neither"),
    ],
)
def test_files_of_other_programs_that_are_no_radiograph(name: str, said: str) -> None:
    assert said in refused(Path(get_testdata_file(name)).read_bytes())


@pytest.mark.parametrize("implicit", [True, False])
def test_no_preamble_and_no_meta(implicit: bool) -> None:
    dataset = dicom(TWELVE, bits=12, WindowCenter=2048, WindowWidth=4096)
    assert near(read(dicom_bytes(dataset)[132:]), IMAGE, 1)
    stream = BytesIO()
    bare = Dataset(dataset)
    pydicom.dcmwrite(stream, bare, enforce_file_format=False, implicit_vr=implicit, little_endian=True)
    assert stream.getvalue()[:2] == b"\x08\0"
    assert near(read(stream.getvalue()), IMAGE, 1)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"PixelData": None}, "holds no pixels (Computed Radiography Image Storage)"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"Rows": 60_000, "Columns": 60_000}, "60,000 x 60,000 pixels"),
        ({"Rows": 500}, "less than expected"),
        ({"PhotometricInterpretation": "ARGB"}, "photometric interpretation ARGB"),
        ({"PhotometricInterpretation": None}, "damaged, cut or no DICOM"),
        ({"BitsAllocated": 7}, "damaged"),
    ],
)
def test_what_dicom_is_refused(elements: dict, said: str) -> None:
    assert said in refused(dicom_bytes(dicom(IMAGE, **elements)))


def test_deflated_dicom_is_refused_before_it_is_inflated() -> None:
    assert "deflated" in refused(Path(get_testdata_file("image_dfl.dcm")).read_bytes())


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "CT"}, "modality"),
        ({"Modality": None}, "modality"),
        ({"BodyPartExamined": "HAND"}, "body-part"),
        ({"ViewPosition": "LL"}, "view"),
        ({"PatientOrientation": ["R", "F"]}, "orientation"),
        ({"PatientOrientation": ["A", "F"]}, "orientation"),
    ],
)
def test_what_the_header_says_against_a_frontal_chest(elements: dict, code: str) -> None:
    assert not of(dicom(IMAGE)).doubts
    ((found, _),) = of(dicom(IMAGE, **elements)).doubts
    assert found == code
