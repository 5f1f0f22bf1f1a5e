"""The small pictures of a page, inside it, and no more of them than keep it small."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import cache

from shared.errors import DataLoss, NotFound
from shared.objects.images import thumbnail
from shared.objects.store import ObjectStore, uri_of

#: Of all pictures of a page together; with its texts it stays below 1.5 MB.
MOST_CHARACTERS = 950_000
_SIDE_PIXELS = 128
NOT_STORED, NO_ROOM = "not in the store", "left out to keep the page small"


class Pictures:
    """Pictures of images, in the order in which they are asked for, until there is no more room.

    Args:
        objects: Where the images lie.
        first: Ids of images that have room before all others.
        most_characters: Room for all of them.

    Attributes:
        missing: Why a picture that was asked for last is not there.
    """

    def __init__(self, objects: ObjectStore, first: Iterable[str], most_characters: int = MOST_CHARACTERS) -> None:
        self._uri = cache(lambda image_id: _data_uri(objects, image_id))
        self._room = most_characters
        self.missing = NOT_STORED
        self._first: dict[str, str] = {}
        self._first = {image_id: self(image_id) for image_id in first}

    @property
    def is_full(self) -> bool:
        """Whether a picture had no room; then none has any more."""
        return self._room < 0

    def __call__(self, image_id: str) -> str:
        """The picture as a data URI; "" where there is none, and `missing` says why."""
        if image_id in self._first:
            return self._first[image_id]
        uri = self._uri(image_id)
        self.missing = NO_ROOM if uri else NOT_STORED
        self._room -= 0 if self.is_full else len(uri)
        return "" if self.is_full else uri


def _data_uri(objects: ObjectStore, image_id: str) -> str:
    """A small picture of an image; "" where it cannot be shown."""
    try:
        png = thumbnail(objects, uri_of(image_id), _SIDE_PIXELS)
    except (NotFound, DataLoss):
        return ""
    return "data:image/png;base64," + base64.b64encode(png).decode()
