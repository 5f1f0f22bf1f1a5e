import io
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.pixels.processing import apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage, UltrasoundImageStorage

from services.embedding.adapters.dicom import decode_dicom
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import DecodedImage, Quarantined, apply_window
from shared.errors import InvalidArgument
from shared.rows.images import Window
from tests.support.pictures import dicom

KEY = b"a key for tests only"
VALUES = np.arange(1024, dtype=np.uint16).reshape(32, 32)


def decoded(**tags: object) -> DecodedImage:
    return only(decode_dicom(dicom(VALUES, **tags), KEY))


def only(found: list[DecodedImage] | Quarantined) -> DecodedImage:
    assert isinstance(found, list)
    (image,) = found
    return image


def test_without_a_window_the_range_of_the_pixels_is_taken_and_noted() -> None:
    image = decoded()
    assert image.window == Window("minmax", 511.5, 1023.0)
    np.testing.assert_array_equal(image.pixels, np.rint(VALUES / 1023 * 255).astype(np.uint8))


def test_rescale_comes_before_the_window() -> None:
    image = decoded(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=400)
    assert image.window == Window("linear", 40.0, 400.0)
    np.testing.assert_array_equal(image.pixels, apply_window(VALUES * 2.0 - 1000, Window("linear", 40.0, 400.0)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_each_window_function_agrees_with_pydicom(function: str) -> None:
    dataset = pydicom.Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 12, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 500, 300, function
    expected = apply_windowing(VALUES, dataset) / 4095 * 255
    ours = apply_window(VALUES.astype(np.float64), Window(function.lower(), 500.0, 300.0))
    np.testing.assert_allclose(ours, expected, atol=0.51)


def test_the_first_of_several_windows_counts_and_an_impossible_one_does_not() -> None:
    assert decoded(WindowCenter=[100, 900], WindowWidth=[50, 20]).window == Window("linear", 100.0, 50.0)
    assert decoded(WindowCenter=100, WindowWidth=0).window == Window("minmax", 511.5, 1023.0)


def test_a_voi_table_is_applied() -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [1024, 0, 16], np.arange(65535, -1, -64).astype("<u2").tobytes()
    image = decoded(VOILUTSequence=Sequence([table]))
    assert image.window == Window("lut")
    assert image.pixels[0, 0] == 255
    assert image.pixels[-1, -1] == 0


def test_monochrome1_is_inverted() -> None:
    inverted = decoded(PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverted.pixels, 255 - decoded().pixels)


def test_padding_does_not_decide_the_range() -> None:
    values = VALUES + 1000
    values[0] = 4000
    image = only(decode_dicom(dicom(values, PixelPaddingValue=4000), KEY))
    assert image.window == Window("minmax", (1032 + 2023) / 2, 2023 - 1032)


def test_patient_and_study_become_keyed_hashes_and_the_modality_a_name() -> None:
    image = decoded()
    assert image.patient == keyed_hash(KEY, "patient", "P-0815")
    assert image.session == keyed_hash(KEY, "session", "1.2.3")
    assert image.patient != keyed_hash(b"another key of a site", "patient", "P-0815")
    assert image.modality == "ct"
    assert decoded(Modality="MR").modality == "mri"
    assert decoded(Modality="NM").modality == "unknown"
    assert decoded(Modality=None).modality == ""
    assert decoded(PatientID=None, StudyInstanceUID=None).patient == ""


@pytest.mark.parametrize(
    "tags",
    [
        {"BurnedInAnnotation": "YES"},
        {"RecognizableVisualFeatures": "YES"},
        {"Modality": "US"},
        {"SOPClassUID": SecondaryCaptureImageStorage},
        {"SOPClassUID": UltrasoundImageStorage},
        {"Modality": ["CT", "US"]},
        {"BurnedInAnnotation": ["NO", "YES"]},
        {"BurnedInAnnotation": ["NO", ""], "Modality": "US"},
    ],
)
def test_pixels_that_may_name_a_patient_are_quarantined(tags: dict[str, object]) -> None:
    assert isinstance(decode_dicom(dicom(VALUES, **tags), KEY), Quarantined)


def test_a_device_that_writes_text_is_known_in_small_letters_too() -> None:
    data = dicom(VALUES).replace(b"CS\x02\0CT", b"CS\x02\0us")
    assert isinstance(decode_dicom(data, KEY), Quarantined)


def test_a_device_that_writes_text_passes_when_the_file_denies_it() -> None:
    assert only(decode_dicom(dicom(VALUES, Modality="US", BurnedInAnnotation="NO"), KEY))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dicom(VALUES)[:-100], "damaged or cut short"),
        (dicom(VALUES)[:400], "no pixels|damaged"),
        (dicom(VALUES, NumberOfFrames=3), "damaged or cut short"),
        (dicom(VALUES, PhotometricInterpretation="HSV"), "what its pixels are"),
        (dicom(VALUES, PhotometricInterpretation="RGB"), "what its pixels are"),
        (dicom(VALUES, PhotometricInterpretation=None), "what its pixels are"),
        (dicom(VALUES).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"), "compression|damaged"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        decode_dicom(data, KEY)
    assert caught.value.remedy
    assert "Doe" not in str(caught.value)


def test_real_files_of_ct_and_mr_are_read() -> None:
    for name, modality in (("CT_small.dcm", "ct"), ("MR_small_RLE.dcm", "mri")):
        path = pydicom.data.get_testdata_file(name, download=False)
        image = only(decode_dicom(Path(str(path)).read_bytes(), KEY))
        assert (image.modality, image.pixels.dtype, image.pixels.ndim) == (modality, np.uint8, 2)


def shipped(name: str) -> bytes:
    """A file that comes with pydicom; it says that no text is burned in."""
    dataset = pydicom.dcmread(str(pydicom.data.get_testdata_file(name, download=False)))
    dataset.BurnedInAnnotation = "NO"
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"]
)
def test_lossless_compression_gives_the_pixels_of_the_plain_file(name: str) -> None:
    plain, packed = only(decode_dicom(shipped("MR_small.dcm"), KEY)), only(decode_dicom(shipped(name), KEY))
    np.testing.assert_array_equal(packed.pixels, plain.pixels)
    assert packed.window == plain.window


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "SC_rgb_jpeg_dcmtk.dcm"],
)
def test_compressed_colour_is_what_pydicom_decodes(name: str) -> None:
    data = shipped(name)
    image = only(decode_dicom(data, KEY))
    np.testing.assert_array_equal(image.pixels, pydicom.dcmread(io.BytesIO(data)).pixel_array)


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_compressed_picture_larger_than_the_header_says_is_not_decoded(name: str) -> None:
    dataset = pydicom.dcmread(io.BytesIO(shipped(name)))
    dataset.Rows = dataset.Rows // 2
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(InvalidArgument, match="not of the size"):
        decode_dicom(stream.getvalue(), KEY)


def test_a_compression_without_decoder_is_named_with_a_remedy() -> None:
    with pytest.raises(InvalidArgument, match="JPEG Extended of 12 bits") as caught:
        decode_dicom(shipped("JPGExtended.dcm"), KEY)
    assert "Decompress" in caught.value.remedy


@pytest.mark.parametrize(("center", "width"), [("nan", "400"), ("inf", "400"), ("100", "inf"), ("100", "nan")])
def test_a_window_that_is_no_number_is_not_applied(center: str, width: str) -> None:
    image = decoded(WindowCenter=float(center), WindowWidth=float(width))
    assert image.window == Window("minmax", 511.5, 1023.0)


@pytest.mark.parametrize(("slope", "intercept"), [("nan", 0), ("inf", 0), (3e305, -1e308)])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 40, "WindowWidth": 400}])
def test_a_rescale_that_gives_no_numbers_is_refused(slope: str, intercept: float, window: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decoded(RescaleSlope=float(slope), RescaleIntercept=float(intercept), **window)
    assert refused.value.message == "The rescale of the DICOM file gives no numbers."


@pytest.mark.parametrize(
    ("name", "message"),
    [("DICOMDIR", "is a DICOMDIR"), ("reportsi.dcm", "structured report"), ("rtplan.dcm", "holds no pixels")],
)
def test_what_an_archive_exports_beside_images_is_told_by_kind(name: str, message: str) -> None:
    path = Path(str(pydicom.data.get_testdata_file(name, download=False)))
    with pytest.raises(InvalidArgument, match=message):
        decode_dicom(path.read_bytes(), KEY)
