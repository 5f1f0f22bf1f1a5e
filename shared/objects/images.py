"""Stored images as pixels."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from shared.errors import DataLoss, NotFound
from shared.objects.store import ObjectStore


def read_image(objects: ObjectStore, image_uri: str) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, RGB, of a stored PNG.

    Raises:
        NotFound, DataLoss: see `ObjectStore.read_bytes`; DataLoss too where the object cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(objects.read_bytes(image_uri))) as image:
            return np.asarray(image.convert("RGB"))
    except NotFound as error:
        raise NotFound(
            "The image is not in the object store.",
            field="image_uri",
            value=image_uri,
            remedy=error.remedy or "Ingest the image again.",
        ) from None
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ):  # as Pillow has them
        raise DataLoss(
            "The stored object is not an image.", field="image_uri", value=image_uri, remedy="Ingest the image again."
        ) from None
