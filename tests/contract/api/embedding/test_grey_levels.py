"""`GetGreyLevels`: the values of the file, piece by piece, and who is told that there are none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.store.tables import IMAGES
from shared.database import create_engine, sqlite_url
from shared.errors import NotFound
from shared.objects.dataset import read_rows
from shared.rows.images import Image
from tests.support.embedding_server import Server, refused_by
from tests.support.pictures import dicom, picture, png

LARGE = np.random.default_rng(0).integers(0, 4096, (700, 500)).astype(np.uint16)


def one_image(server: Server, folder: Path, data: bytes, operation_id: str = "ingest") -> Image:
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(data)
    (found,) = read_rows(server.objects, server.ingest(folder, operation_id), Image)
    return found


def received(server: Server, image_id: str) -> tuple[pb.GreyScale, NDArray[np.uint16], list[int]]:
    """The scale, the levels, and the sizes of the pieces."""
    first, *rest = server.stub.GetGreyLevels(pb.GetGreyLevelsRequest(image_id=image_id))
    assert first.HasField("scale")
    assert not first.chunk
    assert not any(message.HasField("scale") for message in rest)
    levels = np.frombuffer(b"".join(message.chunk for message in rest), "<u2")
    return first.scale, levels.reshape(first.scale.height, first.scale.width), [len(one.chunk) for one in rest]


def refusal(server: Server, image_id: str) -> NotFound:
    error = refused_by(
        lambda request: list(server.stub.GetGreyLevels(request)), pb.GetGreyLevelsRequest(image_id=image_id)
    )
    assert isinstance(error, NotFound)
    assert error.field == "image_id"
    assert error.remedy
    return error


def test_the_levels_of_a_dicom_file_are_its_values_in_pieces(server: Server, tmp_path: Path) -> None:
    tags = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": 40, "WindowWidth": 400}
    image = one_image(server, tmp_path / "in", dicom(LARGE, **tags))
    scale, levels, sizes = received(server, image.image_id)
    np.testing.assert_array_equal(scale.low + scale.step * levels, LARGE.astype(int) - 1024)
    assert (scale.step, scale.unit, scale.is_inverted) == (1.0, "HU", False)
    assert (scale.window_function, scale.window_center, scale.window_width) == ("linear", 40.0, 400.0)
    assert sizes == [256 * 1024, 256 * 1024, 2 * LARGE.size - 512 * 1024]


def test_the_levels_of_a_real_slice_are_what_pydicom_reads(server: Server, tmp_path: Path) -> None:
    data = Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    scale, levels, _ = received(server, one_image(server, tmp_path / "in", data).image_id)
    np.testing.assert_array_equal(scale.low + scale.step * levels, apply_modality_lut(dataset.pixel_array, dataset))


def test_the_levels_of_a_16_bit_png_are_its_pixels(server: Server, tmp_path: Path) -> None:
    scale, levels, _ = received(server, one_image(server, tmp_path / "in", png(LARGE * 16 + 5)).image_id)
    np.testing.assert_array_equal(scale.low + scale.step * levels, LARGE * 16 + 5)
    assert (scale.window_function, scale.unit) == ("minmax", "")


def test_where_only_8_bits_are_known_it_is_said_with_a_remedy(server: Server, tmp_path: Path) -> None:
    image = one_image(server, tmp_path / "in", png(picture(0)))
    assert refusal(server, image.image_id).message == "Only 8 bits of this image are known."
    assert refusal(server, "0" * 64).message == "No such image."


def test_an_image_of_a_release_without_levels_gets_them_when_it_is_taken_in_again(
    server: Server, tmp_path: Path
) -> None:
    image = one_image(server, tmp_path / "in", dicom(LARGE), "first")
    engine = create_engine(sqlite_url(server.folder / "embedding" / "embedding.sqlite"))
    with engine.begin() as connection:
        connection.execute(IMAGES.update().values(depth=""))
    engine.dispose()
    refusal(server, image.image_id)
    assert one_image(server, tmp_path / "in", dicom(LARGE), "again").image_id == image.image_id
    np.testing.assert_array_equal(received(server, image.image_id)[1] + received(server, image.image_id)[0].low, LARGE)


def test_of_the_same_pixels_the_levels_of_the_first_file_stay(server: Server, tmp_path: Path) -> None:
    shallow, first, second = LARGE % 256, LARGE % 256 * 16, LARGE % 256 * 4
    ids = [
        one_image(server, tmp_path / f"{number}", data, f"{number}").image_id
        for number, data in enumerate((png(shallow.astype(np.uint8)), png(first), png(second)))
    ]
    assert len(set(ids)) == 1
    np.testing.assert_array_equal(received(server, ids[0])[1], first)
