import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import DataLoss
from shared.objects.folder import FolderObjectStore
from shared.objects.images import read_image, thumbnail


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def test_grey_and_colour_come_back_as_rgb(tmp_path):
    objects = FolderObjectStore(tmp_path, synced=False)
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    np.testing.assert_array_equal(
        read_image(objects, objects.put_bytes(png(grey))), np.repeat(grey[..., None], 3, axis=2)
    )
    np.testing.assert_array_equal(read_image(objects, objects.put_bytes(png(colour))), colour)


WHOLE = png(np.zeros((40, 40), dtype=np.uint8))
HUGE = WHOLE[:16] + (60_000).to_bytes(4, "big") * 2 + WHOLE[24:]


@pytest.mark.parametrize("content", [b"text", WHOLE[:45], WHOLE.replace(b"IDAT", b"IDAX"), WHOLE[:30], HUGE, b""])
def test_what_is_no_whole_image_is_data_loss(tmp_path, content):
    objects = FolderObjectStore(tmp_path, synced=False)
    with pytest.raises(DataLoss):
        read_image(objects, objects.put_bytes(content))


@pytest.mark.parametrize("content", [b"text", WHOLE[:45], HUGE])
def test_no_small_picture_is_made_of_what_is_no_image_or_too_large(tmp_path, content):
    objects = FolderObjectStore(tmp_path, synced=False)
    with pytest.raises(DataLoss):
        thumbnail(objects, objects.put_bytes(content), 128)


def test_a_small_picture_keeps_proportions_and_grey(tmp_path):
    objects = FolderObjectStore(tmp_path, synced=False)
    grey, colour = np.full((400, 200), 7, dtype=np.uint8), np.full((20, 40, 3), 7, dtype=np.uint8)
    deep = np.full((30, 30), 0x8000, dtype=np.uint16)
    made = [
        Image.open(io.BytesIO(thumbnail(objects, objects.put_bytes(png(one)), 100))) for one in (grey, colour, deep)
    ]
    assert [(one.format, one.mode, one.size) for one in made] == [
        ("PNG", "L", (50, 100)),
        ("PNG", "RGB", (40, 20)),
        ("PNG", "L", (30, 30)),
    ]
    assert [one.getextrema() for one in made] == [(7, 7), ((7, 7),) * 3, (128, 128)]
