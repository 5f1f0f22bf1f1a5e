"""The page of a report: one HTML file that needs nothing beside it. It shows what `report.json` says and invents nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from shared.errors import DataLoss, NotFound
from shared.objects.store import ObjectStore, uri_of
from shared.statistics import FEW_SOURCES
from shared.stop_reasons import told

Json = dict[str, Any]
_Point = tuple[int, float, float, float]  # round, value, lower and upper limit
#: Okabe and Ito's palette, which the colour-blind can tell apart; its yellow is too light on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "osD^vP*"
_PROTOTYPES_PER_ROUND = 12
_IMAGES_PER_PROTOTYPE = 6
_THUMBNAIL_PIXELS = 96
_ROUTES = {
    "self": "the model's: it is sure and agrees with the oracle",
    "reference": "the oracle's: the model is unsure",
    "expert": "the expert's: the model is sure and disagrees, or its reply cannot be used",
    "review": "the expert's: in the first round experts see all",
}
_UNSCORED_SHOWN = 50


def render(report: Json, objects: ObjectStore) -> str:
    """The page.

    Args:
        report: `report.json`.
        objects: Where the images of the prototypes lie; one that is not there is left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("services.controller.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent,
        interval=_interval,
        grades=_grades,
        gained=_gained,
        came_out=_came_out,
        place=_place,
        words=_words,
        why=told,
    )
    return environment.get_template("report.html").render(
        report=report,
        curves={split: _curve(report, split) for split in ("test", "dev")},
        thumbnail=partial(_thumbnail, objects),
        described=_described(report),
        unscored=_unscored(report),
        n_unscored=_UNSCORED_SHOWN,
        n_prototypes=_PROTOTYPES_PER_ROUND,
        n_images=_IMAGES_PER_PROTOTYPE,
        route_words=_ROUTES,
    )


def _unscored(report: Json) -> list[tuple[str, int, Json]]:
    """Arm, round and item of each thing that could not be evaluated."""
    rounds = [(name, facts) for name, arm in report["arms"].items() for facts in arm["rounds"]]
    return [(name, facts["round"], one) for name, facts in rounds for one in facts["unscored"]]


def _described(report: Json) -> list[tuple[str, int, str, Json]]:
    """Arm, round, split and scores of each evaluation in which something was described."""
    rounds = [(name, facts) for name, arm in report["arms"].items() for facts in arm["rounds"]]
    return [
        (name, facts["round"], split, facts[split]["description"])
        for name, facts in rounds
        for split in ("test", "dev")
        if facts[split] and facts[split]["description"]
    ]


def _curve(report: Json, split: str) -> str:
    """Accuracy by round with intervals, a line an arm, as SVG; "" where nothing was scored."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context({"svg.hashsalt": "medq", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        lines = {name: list(_points(arm, split)) for name, arm in report["arms"].items()}
        for place, (name, points) in enumerate(lines.items()):
            if points:
                _draw(axes, place, name, points)
        if not any(lines.values()):
            return ""
        axes.set_xlabel("round (0 = base model)")
        axes.set_ylabel(f"accuracy on {split}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def _draw(axes: Any, place: int, name: str, points: list[_Point]) -> None:
    """One arm's line; arms stand a little aside of each other so that their intervals can be told apart."""
    rounds, values, lows, highs = zip(*points, strict=True)
    below = [value - low for value, low in zip(values, lows, strict=True)]
    above = [high - value for value, high in zip(values, highs, strict=True)]
    axes.errorbar(
        [number + 0.03 * place for number in rounds],
        values,
        yerr=[below, above],
        label=name,
        color=PALETTE[place % len(PALETTE)],
        marker=_MARKERS[place % len(_MARKERS)],
        capsize=3,
        linewidth=1.5,
    )


def _points(arm: Json, split: str) -> Iterator[_Point]:
    for facts in arm["rounds"]:
        score: Json = facts[split]["perception"]["overall"] if facts[split] else {"value": None}
        if score["value"] is not None:
            value = score["value"]
            limits = (value, value) if score["low"] is None else (score["low"], score["high"])
            yield facts["round"], value, *limits  # without an interval the bar has no length


def _thumbnail(objects: ObjectStore, image_id: str) -> str:
    """An image as a data URI, small; "" where it cannot be shown."""
    from PIL import Image, UnidentifiedImageError

    try:
        image: Image.Image = Image.open(io.BytesIO(objects.read_bytes(uri_of(image_id))))
        if image.mode.startswith("I"):  # 16 bits
            image = image.point(lambda value: value / 256)
        image = image.convert("RGB")
    except (NotFound, DataLoss, UnidentifiedImageError):
        return ""
    image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
    target = io.BytesIO()
    image.save(target, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _interval(score: Json | None) -> str:
    """Value and limits of a score or a gain, for a table."""
    if score is None or score["value"] is None:
        return "–"
    n_sources = score.get("n_sources")
    few = f" (few sources: {n_sources})" if n_sources and n_sources < FEW_SOURCES else ""
    if score["low"] is None:
        return _percent(score["value"]) + few
    return f"{100 * score['value']:.1f} % [{100 * score['low']:.1f}, {100 * score['high']:.1f}]{few}"


def _grades(mean: Json | None) -> str:
    """A mean of grades and its limits, for a table."""
    if mean is None or mean["value"] is None:
        return "–"
    n_sources = mean["n_sources"]
    few = f" (few sources: {n_sources})" if n_sources and n_sources < FEW_SOURCES else ""
    limits = "" if mean["low"] is None else f" [{mean['low']:.2f}, {mean['high']:.2f}]"
    return f"{mean['value']:.2f}{limits}{few}"


def _gained(arm: Json) -> Json | None:
    """What the model that comes out of an arm gained on test over the base model; None for the base model itself."""
    number = arm["promoted"]["round"] if arm["promoted"] else 0
    gains = (facts["test_gain"] for facts in arm["rounds"] if facts["round"] == number and facts["test_gain"])
    return next((gain["over_base"] for gain in gains), None)


def _came_out(promoted: Json | None) -> str:
    if promoted is None:
        return "–"
    return f"the model of round {promoted['round']}" if promoted["round"] else "the base model"


def _place(entry: Json) -> str:
    """Where something was left out: a set, or a step of a round of an arm."""
    return entry["place"] if entry["arm"] is None else f"{entry['arm']}, round {entry['round']}, {entry['place']}"


def _words(name: str) -> str:
    return name.replace("_", " ")
