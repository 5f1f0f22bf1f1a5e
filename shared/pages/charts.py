"""Charts as SVG, made from numbers: no scripts, no fonts, colours from the style sheet, and a title for who cannot see them.

Beside each stands the same as a table (macro `chart`): a screen reader reads that. Texts are escaped by `Markup.format`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from shared.pages.words import count, percent, whole_percent

Role = Literal["ours", "random", "other"]
_WIDTH, _HEIGHT = 1000, 340  # of a curve, in units of the drawing; the style sheet says how large that is
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 210, 18, 58
_UNITS_PER_REM = 15  # so that letters are as large as those beside the drawing
_NAME_GAP = 18  # between two names at the ends of curves
_LONGEST_NAME = 18  # letters
_TICK_GAP = 34  # between two figures on the horizontal axis
_MOST_TICKS = 8
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Point:
    """A share `value` (0..1) with its limits (None: none) at `x`."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A curve: `name` stands at its end, `role` is its colour, `points` go from left to right."""

    name: str
    role: Role
    points: Sequence[Point]


def svg(title: str, width: float, height: float, parts: Sequence[Markup], role: str = "img", kind: str = "") -> Markup:
    """A drawing that says what it shows; its role is `group` where there is something in it to follow, `kind` a class."""
    return Markup(
        '<svg class="{6}" role="{5}" aria-label="{0}" width="{4:.1f}rem" viewBox="0 0 {1:.0f} {2:.0f}">'
        "<title>{0}</title>{3}</svg>"
    ).format(title, width, height, Markup("").join(parts), width / _UNITS_PER_REM, role, f"chart {kind}".strip())


def curve(
    title: str,
    lines: Sequence[Line],
    *,
    x_name: str,
    x_text: Callable[[float], str] = count,
    level: float | None = None,
    level_name: str = "",
) -> Markup:
    """Shares against a number, with bands for intervals, and the name of each curve at its end.

    Args:
        title: What is seen, in a sentence.
        lines: At least one point in all.
        x_name: Of the horizontal axis.
        x_text: How its numbers are written.
        level: A share that is always in sight, such as that of guessing; None: the axis begins at zero, so as not to flatter.
        level_name: Its name.
    """
    scale = _Scale.of(lines, level)
    drawn = [line for line in lines if line.points]
    parts = [*_axes(scale, drawn, x_name, x_text)]
    named: list[tuple[str, str, float, float]] = [
        (line.role, line.name, line.points[-1].x, line.points[-1].value) for line in drawn
    ]
    if level is not None:
        parts.append(_level(scale, level))
        named.append(("level", level_name, scale.x_most, level))
    for line in reversed(drawn):  # the first lies on top
        parts += _band(scale, line)
    for line in reversed(drawn):
        parts += _stroke(scale, line, x_text)
    return svg(title, _WIDTH, _HEIGHT, [*parts, *_names(scale, named)])


@dataclass(frozen=True)
class _Scale:
    """Places on the drawing; `ticks` are shares."""

    x_most: float
    ticks: Sequence[float]

    @staticmethod
    def of(lines: Sequence[Line], level: float | None) -> _Scale:
        points = [point for line in lines for point in line.points]
        shares = [share for one in points for share in (one.value, one.low, one.high) if share is not None]
        shares.append(0.0 if level is None else level)
        low, high = min(shares), max(shares)
        step = next((one for one in _STEPS if (high - low) / one <= _MOST_TICKS - 2), _STEPS[-1])
        first, last = math.floor(low / step + 1e-9), max(math.ceil(high / step - 1e-9), math.floor(low / step) + 2)
        return _Scale(
            max((point.x for point in points), default=0.0) or 1.0, [step * one for one in range(first, last + 1)]
        )

    def x(self, value: float) -> float:
        return _LEFT + 14 + value / self.x_most * (_WIDTH - _LEFT - _RIGHT - 14)

    def y(self, share: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return _TOP + (high - share) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale, lines: Sequence[Line], x_name: str, x_text: Callable[[float], str]) -> list[Markup]:
    right = _WIDTH - _RIGHT
    row = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    parts = [
        row.format(_LEFT, right, scale.y(one), _LEFT - 8, scale.y(one) + 4, whole_percent(one)) for one in scale.ticks
    ]
    tick, last = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>'), -math.inf
    for x in sorted({point.x for line in lines for point in line.points}):
        if scale.x(x) - last >= _TICK_GAP:
            last = scale.x(x)
            parts.append(tick.format(last, _HEIGHT - _BOTTOM + 22, x_text(x)))
    parts.append(tick.format((_LEFT + right) / 2, _HEIGHT - 10, x_name))
    return parts


def _level(scale: _Scale, level: float) -> Markup:
    return Markup('<line class="level" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>').format(
        _LEFT, _WIDTH - _RIGHT, scale.y(level)
    )


def _band(scale: _Scale, line: Line) -> list[Markup]:
    known = [
        (scale.x(one.x), scale.y(one.low), scale.y(one.high))
        for one in line.points
        if one.low is not None and one.high is not None
    ]
    if len(known) == 1:
        x, low, high = known[0]
        return [
            Markup('<line class="limits {0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/>').format(
                line.role, x, low, high
            )
        ]
    corners = [(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)]
    return [Markup('<polygon class="band {}" points="{}"/>').format(line.role, _path(corners))] if known else []


def _stroke(scale: _Scale, line: Line, x_text: Callable[[float], str]) -> list[Markup]:
    places = [(scale.x(one.x), scale.y(one.value)) for one in line.points]
    dots = [
        Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}: {} at {}{}</title></circle>').format(
            line.role, x, y, line.name, percent(one.value), x_text(one.x), _limits(one)
        )
        for (x, y), one in zip(places, line.points, strict=True)
    ]
    return [Markup('<polyline class="curve {}" points="{}"/>').format(line.role, _path(places)), *dots]


def _names(scale: _Scale, named: Sequence[tuple[str, str, float, float]]) -> list[Markup]:
    """Each name with its share beside the end of its line; those that would overlap stand below each other."""
    parts, last = [], -math.inf
    text = Markup('<text class="name {}" x="{:.1f}" y="{:.1f}">{} {}</text>')
    for role, name, x, share in sorted(named, key=lambda one: -one[3]):
        last = max(scale.y(share) + 4, last + _NAME_GAP)
        short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        parts.append(text.format(role, scale.x(x) + 12, last, short, percent(share)))
    return parts


def _limits(point: Point) -> str:
    return (
        ""
        if point.low is None or point.high is None
        else f", 95 % interval {percent(point.low)} to {percent(point.high)}"
    )


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
