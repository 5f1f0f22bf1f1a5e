"""Text as consoles burn it into images, planted on purpose: names, dates and numbers that are **invented**, in the fonts that
come with matplotlib and Pillow. One seed is one text: what it says, font, size, colour, place, opacity and compression.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

FONTS = (
    "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf",
    "STIXGeneral.ttf", "cmss10.ttf", "cmtt10.ttf", "",
)  # fmt: skip
"""Files of matplotlib; "" is the font inside Pillow. The weights of `shared.burned_in_text` were fitted on these."""

OTHER_FONTS = (
    "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf", "DejaVuSansMono-Oblique.ttf", "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-Italic.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "cmb10.ttf", "cmr10.ttf",
    "cmti10.ttf",
)  # fmt: skip
"""Further files of matplotlib, which no weight has seen."""

SMALLEST, TALLEST = 8, 32
"""Height of a capital letter in pixels."""

_COLOURS = {"white": (255, 255, 255), "grey": (200, 200, 200), "yellow": (255, 230, 40), "black": (0, 0, 0)}
_NAMES = ("MILLER", "GARCIA", "NOWAK", "ROSSI", "TANAKA", "OKAFOR", "LARSEN", "DUBOIS", "IVANOVA", "SINGH")
_GIVEN = ("ANNA", "JOHN", "MARIA", "PETER", "YUKI", "AMARA", "LENA", "PAUL", "OLGA", "RAVI")
_MOST_SHARE = 0.95  # of the width that a line may take


@dataclass(frozen=True)
class Planted:
    """An image with text: its pixels, where the text is (top, left, bottom, right), and what it looks like.

    Attributes:
        height: Of a capital letter, in pixels.
        colour: Its name.
        contrast: Mean difference in brightness between the letters and what was there before, in grey levels.
        font: Its file.
    """

    pixels: Pixels
    box: tuple[int, int, int, int]
    height: int
    colour: str
    contrast: float
    font: str


def plant(
    pixels: Pixels,
    rng: np.random.Generator,
    fonts: Sequence[str] = FONTS,
    heights: tuple[int, int] = (SMALLEST, TALLEST),
) -> Planted:
    """Draw one or two lines of text over an image.

    Args:
        pixels: (h, w, 3).
        rng: Decides all that varies; text that is too wide is made smaller, and shorter at the smallest size.
        fonts: Those that it chooses from.
        heights: The least and the most height of a capital letter.

    Returns: A copy with the text, compressed as JPEG in half of the cases.
    """
    height = int(rng.integers(heights[0], heights[1] + 1))
    name = fonts[int(rng.integers(len(fonts)))]
    lines = [_text(rng) for _ in range(1 + (rng.random() < 0.4))]
    font, lines = _fit(name, height, lines, pixels.shape[1])
    colour = list(_COLOURS)[rng.integers(len(_COLOURS))]
    mask = Image.new("L", (pixels.shape[1], pixels.shape[0]))
    draw = ImageDraw.Draw(mask)
    text = "\n".join(lines)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font)
    corner = rng.integers(4)
    free_x, free_y = pixels.shape[1] - (right - left), pixels.shape[0] - (bottom - top)
    near_x, near_y = (int(rng.uniform(0.01, 0.08) * size) for size in (pixels.shape[1], pixels.shape[0]))
    x = min(near_x, max(free_x - 1, 0)) if corner % 2 == 0 else max(free_x - near_x, 0)
    y = min(near_y, max(free_y - 1, 0)) if corner < 2 else max(free_y - near_y, 0)
    draw.multiline_text((x - left, y - top), text, fill=255, font=font)
    cover = np.asarray(mask, dtype=np.float64)[..., None] / 255.0 * rng.uniform(0.6, 1.0)
    ground = pixels.astype(np.float64)
    if colour == "black":  # where the ground is dark, a console puts a light bar behind black letters
        box = np.s_[max(0, int(y) - 3) : int(y + bottom - top) + 3, max(0, int(x) - 3) : int(x + right - left) + 3]
        if ground[box].mean() < 90:
            ground[box] = ground[box] * 0.2 + 0.8 * rng.uniform(150, 255)
    written = ground * (1.0 - cover) + cover * np.array(_COLOURS[colour])
    changed = np.abs(written - ground) @ np.array([0.299, 0.587, 0.114])
    contrast = float(changed[np.asarray(mask) > 127].mean())
    result = np.rint(written).astype(np.uint8)
    if rng.random() < 0.5:
        result = _as_jpeg(result, int(rng.integers(60, 95)))
    capital = font.getbbox("H")
    place = (int(y), int(x), int(y + bottom - top), int(x + right - left))
    return Planted(result, place, round(capital[3] - capital[1]), colour, contrast, name)


def _text(rng: np.random.Generator) -> str:
    name = f"{_NAMES[rng.integers(len(_NAMES))]}, {_GIVEN[rng.integers(len(_GIVEN))]}"
    date = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1930, 2020)}"
    number = f"ID {rng.integers(10_000, 10_000_000)}"
    day = f"{rng.integers(2000, 2026)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
    time = f"{day} {rng.integers(24):02d}:{rng.integers(60):02d}"
    kinds = (name, name.title(), f"{name} {date}", date, number, time, f"Pat: {name.title()}")
    return str(kinds[rng.integers(len(kinds))])


def _fit(name: str, height: int, lines: list[str], width: int) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """The font, and the lines, that fit into the width."""
    most = width * _MOST_SHARE
    for tall in range(height, min(height, SMALLEST) - 1, -1):
        font = _font(name, tall)
        if max(font.getlength(line) for line in lines) <= most:
            return font, lines
    while max(font.getlength(line) for line in lines) > most:
        lines = [line[:-1] if font.getlength(line) > most else line for line in lines]
    return font, lines


def _font(name: str, height: int) -> ImageFont.FreeTypeFont:
    """A font whose capitals are so tall, in pixels."""
    size = float(height) * 1.37
    for _ in range(3):
        font = _load(name, size)
        box = font.getbbox("H")
        size *= height / max(1.0, box[3] - box[1])
    return _load(name, size)


def _load(name: str, size: float) -> ImageFont.FreeTypeFont:
    if not name:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))
