"""Images as they stand in a report: small, inside the page."""

from __future__ import annotations

import base64
import io

from shared.errors import DataLoss, NotFound
from shared.objects.store import ObjectStore, uri_of

_PIXELS = 128


def thumbnail(objects: ObjectStore, image_id: str) -> str:
    """An image as a data URI, small; "" where it cannot be shown."""
    from PIL import Image, UnidentifiedImageError

    try:
        image: Image.Image = Image.open(io.BytesIO(objects.read_bytes(uri_of(image_id))))
        if image.mode.startswith("I"):  # 16 bits
            image = image.point(lambda value: value / 256)
        image = image.convert("L" if image.mode == "L" else "RGB")
    except (NotFound, DataLoss, UnidentifiedImageError):
        return ""
    image.thumbnail((_PIXELS, _PIXELS))
    target = io.BytesIO()
    image.save(target, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()
