"""A chart of shares with their intervals: a group of rows for each value, a row for each model, in the same order everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from shared.pages.charts import Point, Role, svg
from shared.pages.words import percent

_WIDTH, _ROW, _HEAD = 400, 20, 26  # units of the drawing
_LETTER = 7.2  # width of a letter of a name, at most about
_VALUE = 62  # room for a share in per cent
_LONGEST_NAME = 18  # letters
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_BOTTOM = 24


@dataclass(frozen=True)
class Dot:
    """The share of a model in a group; `point.x` says nothing here."""

    name: str
    role: Role
    point: Point


@dataclass(frozen=True)
class Group:
    """What several models are compared on."""

    name: str
    dots: Sequence[Dot]


def dots(title: str, groups: Sequence[Group]) -> Markup:
    """Shares from 0 to 100 % on one scale, each with its interval, its model and its number.

    Args:
        title: What is seen, in a sentence.
        groups: From above.
    """
    names = [_short(dot.name) for group in groups for dot in group.dots]
    left, right = _LETTER * max(map(len, names), default=0) + 14, _WIDTH - _VALUE
    height = sum(_HEAD + _ROW * len(group.dots) for group in groups)

    def place(share: float) -> float:
        return left + share * (right - left)

    parts = [_tick(place(share), share, height) for share in _TICKS]
    y = 0.0
    for group in groups:
        parts.append(Markup('<text class="group" x="0" y="{:.1f}">{}</text>').format(y + 18, group.name))
        y += _HEAD
        for dot in group.dots:
            limits = [None if share is None else place(share) for share in (dot.point.low, dot.point.high)]
            parts.append(_dot(dot, y + _ROW / 2, left, place(dot.point.value), limits))
            y += _ROW
    return svg(title, _WIDTH, height + _BOTTOM, parts, kind="narrow")


def _tick(x: float, share: float, height: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:.1f}"/>'
        '<text x="{0:.1f}" y="{2:.1f}" text-anchor="middle">{3:.0f}</text>'
    ).format(x, height, height + 16, 100 * share)


def _dot(dot: Dot, y: float, left: float, x: float, limits: Sequence[float | None]) -> Markup:
    low, high = limits
    line = Markup('<line class="limits {}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
    return Markup(
        '<text x="{0:.1f}" y="{1:.1f}" text-anchor="end">{2}</text>{3}<circle class="dot {4}" cx="{5:.1f}" cy="{6:.1f}" r="5"/>'
        '<text class="name {4}" x="{7}" y="{1:.1f}" text-anchor="end">{8}</text>'
    ).format(
        left - 8, y + 4, _short(dot.name), "" if low is None or high is None else line.format(dot.role, low, high, y, y),
        dot.role, x, y, _WIDTH - 4, percent(dot.point.value),
    )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
