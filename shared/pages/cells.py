"""Charts of cells and bars as SVG: a heat map with its numbers in the cells, and one bar cut into shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from shared.pages.charts import svg
from shared.pages.words import count, percent

_CELL, _ROW, _SPACE = 42, 28, 3  # units of the drawing
_LETTER = 7.8  # width of a letter of a name, at most about
_SLANT = 40  # degrees
#: Above these a number in a cell changes its colour, so that it can be read on any share of red.
_MIDDLE, _HIGH = 0.63, 0.80
_PALEST = 0.06
_BAR_WIDTH, _BAR_HEIGHT, _SHORTEST = 1040, 36, 46


@dataclass(frozen=True)
class Cell:
    """A share (0..1) of `n` things in a row and a column; None where there is nothing. `href` is where it leads; "" nowhere."""

    row: str
    column: str
    share: float | None
    n: int
    href: str = ""


@dataclass(frozen=True)
class Part:
    """A share (0..1) of a bar."""

    name: str
    share: float
    role: Literal["good", "ours", "attention"]


def heat_map(title: str, cells: Sequence[Cell], rows: Sequence[str], columns: Sequence[str]) -> Markup:
    """Shares by row and column in per cent: the redder the larger, on a scale that is the same for each, 0 to 100 %.

    Args:
        title: What is seen, in a sentence.
        cells: Those that are known; each is in `rows` and `columns`.
        rows: Their names, from above.
        columns: Their names, from the left.
    """
    left = _LETTER * max(map(len, rows), default=0) + 12
    top = 0.64 * _LETTER * max(map(len, columns), default=0) + 16
    right = 0.77 * _LETTER * max(map(len, columns), default=0)
    place = {(cell.row, cell.column): cell for cell in cells if cell.share is not None}
    parts = [
        Markup('<text transform="translate({:.1f} {:.1f}) rotate(-{})">{}</text>').format(
            left + j * (_CELL + _SPACE) + _CELL / 2 - 2, top - 6, _SLANT, column
        )
        for j, column in enumerate(columns)
    ]
    for i, row in enumerate(rows):
        y = top + i * (_ROW + _SPACE)
        parts.append(Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(left - 8, y + 19, row))
        parts += [
            _cell(left + j * (_CELL + _SPACE), y, row, column, place.get((row, column)))
            for j, column in enumerate(columns)
        ]
    width = left + len(columns) * (_CELL + _SPACE) + right
    role = "group" if any(cell.href for cell in place.values()) else "img"  # what is in an img cannot be reached
    return svg(title, width, top + len(rows) * (_ROW + _SPACE), parts, role)


def _cell(x: float, y: float, row: str, column: str, cell: Cell | None) -> Markup:
    box = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="4" fill-opacity="{:.3f}">{}</rect>')
    if cell is None or cell.share is None:
        return box.format("cell empty", x, y, _CELL, _ROW, 1, Markup("<title>{}, {}: none</title>").format(row, column))
    title = Markup("<title>{}, {}: {} of {}</title>").format(row, column, percent(cell.share), count(cell.n))
    number = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.0f}</text>')
    opacity = _PALEST + (1 - _PALEST) * cell.share
    step = "low" if opacity <= _MIDDLE else "middle" if opacity <= _HIGH else "high"
    drawn = box.format("cell", x, y, _CELL, _ROW, opacity, title) + number.format(
        step, x + _CELL / 2, y + 19, 100 * cell.share
    )
    if not cell.href:
        return drawn
    name = f"{row}, {column}: {percent(cell.share)} of {count(cell.n)}"
    return Markup('<a href="{}" aria-label="{}">{}</a>').format(cell.href, name, drawn)


def shares(title: str, parts: Sequence[Part]) -> Markup:
    """One bar cut into shares, with the share written on each part that has room for it.

    Args:
        title: What is seen, in a sentence.
        parts: Their shares sum to 1.
    """
    drawn, x = [], 0.0
    for part in parts:
        width = part.share * _BAR_WIDTH
        drawn.append(
            Markup(
                '<rect class="part {}" x="{:.1f}" y="0" width="{:.1f}" height="{}" rx="4"><title>{}: {}</title></rect>'
            ).format(part.role, x, max(width - _SPACE, 0.5), _BAR_HEIGHT, part.name, percent(part.share))
        )
        if width >= _SHORTEST:
            text = Markup('<text class="on-part" x="{:.1f}" y="23">{:.0f} %</text>')
            drawn.append(text.format(x + 10, 100 * part.share))
        x += width
    return svg(title, _BAR_WIDTH, _BAR_HEIGHT, drawn)
