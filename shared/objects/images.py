"""Stored images as pixels, and as the small pictures of pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from shared.errors import DataLoss, NotFound
from shared.limits import MOST_PIXELS
from shared.objects.store import ObjectStore


def read_image(objects: ObjectStore, image_uri: str) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, RGB, of a stored PNG.

    Raises:
        NotFound, DataLoss: see `ObjectStore.read_bytes`; DataLoss too where the object cannot be decoded, or says that it has
            more than `MOST_PIXELS`.
    """
    with _opened(objects, image_uri) as image:
        return np.asarray(image.convert("RGB"))


def thumbnail(objects: ObjectStore, image_uri: str, side: int) -> bytes:
    """A stored image as a small PNG of the same proportions: grey or RGB of 8 bits; 16 bits are divided by 256.

    Args:
        objects: Where it lies.
        image_uri: `sha256:<hex>`.
        side: Pixels of its longer side at most; a smaller image keeps its size.

    Raises:
        NotFound, DataLoss: As `read_image`.
    """
    with _opened(objects, image_uri) as image:
        shown: Image.Image = image.point(lambda value: value / 256) if image.mode.startswith("I") else image
        shown = shown.convert("L" if shown.mode == "L" or image.mode.startswith("I") else "RGB")
        shown.thumbnail((side, side))
    target = io.BytesIO()
    shown.save(target, format="PNG", optimize=True)
    return target.getvalue()


@contextmanager
def _opened(objects: ObjectStore, image_uri: str) -> Iterator[Image.Image]:
    """The image, not yet decoded; whatever Pillow raises while it is used is typed."""
    try:
        with Image.open(io.BytesIO(objects.read_bytes(image_uri))) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            yield image
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
