"""Grey levels in the object store, and what a row of the images table says of them."""

from __future__ import annotations

import msgspec

from services.embedding.domain.depth import DepthForm
from services.embedding.ports import ImageFormats, Levels
from services.embedding.store.tables import ImageRow
from shared.errors import NotFound
from shared.objects.store import ObjectStore
from shared.rows.images import Window


class StoredDepth(msgspec.Struct, frozen=True):
    """Where the grey levels of an image lie, and what is known of them.

    Attributes:
        uri: Of the PNG of 16-bit grey.
        low, step, is_inverted, unit, window: As in `domain.depth.DepthForm`.
    """

    uri: str
    low: float
    step: float
    is_inverted: bool
    unit: str
    window: Window | None


def keep_depth(objects: ObjectStore, form: DepthForm | None) -> str:
    """Store grey levels, where there are any; gives `ImageRow.depth`."""
    if form is None:
        return ""
    uri = objects.put_bytes(form.png)
    stored = StoredDepth(uri, form.low, form.step, form.is_inverted, form.unit, form.window)
    return msgspec.json.encode(stored).decode()


class Depths:
    """Gives grey levels out.

    Args:
        objects: Where they lie.
        formats: Reads their stored form.
    """

    def __init__(self, objects: ObjectStore, formats: ImageFormats) -> None:
        self._objects = objects
        self._formats = formats

    def read(self, image: ImageRow) -> tuple[StoredDepth, Levels]:
        """The grey levels of an image, (h, w), and what they are worth.

        Raises:
            NotFound: Only 8 bits of it are known.
            NotFound, DataLoss: As `ObjectStore.read_bytes`.
        """
        if not image.depth:
            raise NotFound(
                "Only 8 bits of this image are known.",
                field="image_id",
                value=image.image_id,
                remedy="If its file has more, ingest it again with is_depth_kept (MEDQ_EMBEDDING_IS_DEPTH_KEPT).",
            )
        stored = msgspec.json.decode(image.depth, type=StoredDepth)
        return stored, self._formats.load_levels(self._objects.read_bytes(stored.uri))
