import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import DataLoss
from shared.objects.folder import FolderObjectStore
from shared.objects.images import read_image


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
