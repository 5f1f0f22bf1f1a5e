"""How numbers are said on pages: a share in per cent, a gain in points, each with its interval or how much it stands on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from shared.statistics import FEW_SOURCES

Json = Mapping[str, Any]
NOTHING = "–"
#: What a gain is called whose interval holds zero.
NO_GAIN = "not told apart from no gain"
_SECONDS_PER_HOUR = 3600
_ABBREVIATIONS = frozenset({"ct", "mri"})
#: What is to be said of a draw in which failures did not ask for the images, by the strategy.
_DRAWN_HOW = {
    "random": "Its images were drawn at random: nothing was looked for.",
    "novelty": "Its images lie farthest from what the model was trained on: no failure asked for them.",
    "k_centre": "Its images cover best what the model was not trained on: no failure asked for them.",
    "uncertainty": "Its images are those about which the model was least sure: no failure asked for them.",
    "shuffled_failures": "A control: chance said which dev images count as failed; the failures shown did not ask for these.",
}


def percent(share: float | None) -> str:
    """A share, 0..1, as `58.8 %`."""
    return NOTHING if share is None else f"{100 * share:.1f} %"


def whole_percent(share: float | None) -> str:
    """A share, 0..1, as `59 %`."""
    return NOTHING if share is None else f"{100 * share:.0f} %"


def points(gain: float | None) -> str:
    """A difference of shares, -1..1, in points with its sign: `+11.4`."""
    return NOTHING if gain is None else f"{100 * gain:+.1f}".replace("-", "−")


def limits(estimate: Json | None) -> str:
    """The limits of an estimate as `[7.9, 14.8]`; "" where it has none."""
    if estimate is None or estimate["low"] is None:
        return ""
    return f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]".replace("-", "−")


def holds_zero(gain: Json) -> bool:
    """Whether the interval of a gain holds zero: then chance alone may explain it."""
    return gain["low"] is not None and bool(gain["low"] <= 0 <= gain["high"])


def few(estimate: Json | None) -> str:
    """That an estimate stands on few sources; "" where it does not."""
    n_sources = estimate.get("n_sources") if estimate else None
    return f"few sources: {n_sources}" if n_sources and n_sources < FEW_SOURCES else ""


def interval(estimate: Json | None) -> str:
    """Value and limits of a score or a gain, for a table."""
    if estimate is None or estimate["value"] is None:
        return NOTHING
    told = f"{percent(estimate['value'])} {limits(estimate)}".strip()
    return f"{told} ({few(estimate)})" if few(estimate) else told


def grades(mean: Json | None) -> str:
    """A mean of grades and its limits, for a table."""
    if mean is None or mean["value"] is None:
        return NOTHING
    told = f"{mean['value']:.2f}" + ("" if mean["low"] is None else f" [{mean['low']:.2f}, {mean['high']:.2f}]")
    return f"{told} ({few(mean)})" if few(mean) else told


def label(name: str) -> str:
    """A label as words: `colour_shift` as `colour shift`."""
    return name.replace("_", " ")


def modality(name: str) -> str:
    """A modality as people write it: abbreviations in capitals, others as words."""
    return name.upper() if name in _ABBREVIATIONS else label(name)


def attribute(name: str) -> str:
    """A value of an axis as words; that no degradation is there has none of its own."""
    return {"none": "no degradation", "": "unnamed"}.get(name, label(name))


def drawn_how(strategy: str) -> str:
    """How images were drawn where failures did not ask for them, as a sentence; "" where they did."""
    return _DRAWN_HOW.get(strategy, "")


def cell(name: str) -> str:
    """A cell, `modality:ct+attribute:rings`, as `rings in CT`; anything else as it is."""
    labels = dict(part.split(":", 1) for part in name.split("+") if ":" in part)
    of = labels.pop("modality", "")
    others = ", ".join(map(attribute, labels.values()))
    return " in ".join(part for part in (others, modality(of)) if part) or name


def count(n: float) -> str:
    """A whole number with separators: `1,900`."""
    return f"{n:,.0f}"


def dollars(usd: float) -> str:
    """US dollars, with four decimals below ten cents."""
    return f"${usd:,.2f}" if usd == 0 or usd >= 0.1 else f"${usd:.4f}"


def hours(seconds: float) -> str:
    """Seconds as hours, or as minutes below one hour."""
    return f"{seconds / _SECONDS_PER_HOUR:,.1f} h" if seconds >= _SECONDS_PER_HOUR else f"{seconds / 60:.0f} min"


def duration(seconds: float) -> str:
    """Seconds as people say them, in their two largest units: `2 min 04 s`, `3 h 12 min`, `2 d 05 h`."""
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    units = ((3600, 60, 1, "min", "s"), (86_400, 3600, 60, "h", "min"), (math.inf, 86_400, 3600, "d", "h"))
    large, small, name, of = next(unit[1:] for unit in units if whole < unit[0])
    return f"{whole // large} {name} {whole % large // small:02d} {of}"


#: By the name that templates call them.
FILTERS: Mapping[str, Callable[..., str]] = {
    "percent": percent,
    "drawn_how": drawn_how,
    "whole_percent": whole_percent,
    "points": points,
    "limits": limits,
    "few": few,
    "interval": interval,
    "grades": grades,
    "words": label,
    "modality": modality,
    "attribute": attribute,
    "cell": cell,
    "count": count,
    "dollars": dollars,
    "hours": hours,
    "duration": duration,
}
