"""Where a path of a manifest leads: to a file, or to one image of a file that holds several."""

from __future__ import annotations

import os
from pathlib import Path

from shared.rows.images import entry_of, part_of, spelled_out


def locate(folder: Path, image_path: str) -> tuple[Path, str]:
    """The file that an image path names, and the part of it that is meant, as `#frame-0007`; "" for all that are taken.

    A file with that very name goes before a part of another.

    Args:
        folder: Of the manifest.
        image_path: Relative to it, such as `heart.dcm#frame-0007` or, as people write it, `heart.dcm#frame-7`.
    """
    named = spelled_out(image_path)
    if not part_of(named) or os.path.lexists(folder / image_path):
        return folder / image_path, ""
    return folder / entry_of(named), part_of(named)
