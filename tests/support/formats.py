"""An `ImageFormats` in this process: what the child processes do, for tests that ask who reads what and when."""

from __future__ import annotations

from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_levels, read_png


class FormatsHere:
    """Reads one image at a time, without limits."""

    at_once = 1
    read = staticmethod(read_images)
    load = staticmethod(read_png)
    load_levels = staticmethod(read_levels)

    def prepare(self) -> None:
        """It is ready."""
