"""All degradations at both severities as one picture: `python -m studies.images.gallery FILE.png [--source 0]`.

A row is a degradation of a modality: the clean image, then mild, then severe. The sources are those of no study.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES, degrade
from studies.images.optics import to_bytes
from studies.images.phantoms import make_phantom
from studies.images.severities import FIRST_SEED

_SIDE, _GAP, _LINE = 96, 6, 20
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


def gallery(source: int) -> PilImage.Image:
    """The picture: a column of blocks for each modality, a block for each degradation.

    Args:
        source: Which phantom of each modality, from 0.
    """
    n_rows = max(len(names) for names in DEGRADATIONS.values()) - 1
    width, height = len(SEVERITIES) * (_SIDE + 2) + 3 * _GAP, _SIDE + _LINE + _GAP
    sheet = PilImage.new("RGB", (len(DEGRADATIONS) * width, (n_rows + 1) * height + _LINE), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, (modality, names) in enumerate(DEGRADATIONS.items()):
        left, clean = column * width + _GAP, make_phantom(modality, FIRST_SEED + source)
        draw.text((left, 2), f"{modality}: clean", _INK, font)
        sheet.paste(PilImage.fromarray(to_bytes(clean)).convert("RGB"), (left, _LINE))
        for row, name in enumerate([name for name in names if name != NONE], start=1):
            top = row * height
            draw.text((left, top + 2), f"{name}: {', '.join(SEVERITIES)}", _INK, font)
            for place, severity in enumerate(SEVERITIES):
                image = degrade(clean, modality, name, severity, np.random.default_rng(source))
                shown = PilImage.fromarray(to_bytes(image)).convert("RGB")
                sheet.paste(shown, (left + place * (_SIDE + 2), top + _LINE))
    return sheet


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", type=int, default=0, help="which phantom of each modality")
    arguments = parser.parse_args()
    gallery(arguments.source).save(arguments.file, optimize=True)


if __name__ == "__main__":
    main()
