"""The small curve of a run in the list: accuracy on test by round, a line an arm."""

from __future__ import annotations

from collections import defaultdict

from markupsafe import Markup

from medq.controller.v1.controller_pb2 import RoundScore, Run
from shared.pages.charts import svg
from shared.pages.report_charts import RANDOM
from shared.pages.words import label, percent

_WIDTH, _HEIGHT, _EDGE = 120, 34, 5  # units of the drawing


def spark(run: Run) -> Markup:
    """The curve; empty before anything was measured."""
    arms: dict[str, list[RoundScore]] = defaultdict(list)
    for score in run.scores:
        if score.split == "test" and score.HasField("value"):
            arms[score.arm].append(score)
    if not arms:
        return Markup("")
    last_round = max(max(score.round for score in scores) for scores in arms.values()) or 1
    values = [score.value for scores in arms.values() for score in scores]
    low, span = min(values), max(max(values) - min(values), 0.02)

    def place(score: RoundScore) -> tuple[float, float]:
        x = _EDGE + score.round / last_round * (_WIDTH - 2 * _EDGE)
        return x, _HEIGHT - _EDGE - (score.value - low) / span * (_HEIGHT - 2 * _EDGE)

    parts = [part for name, scores in reversed(arms.items()) for part in _line(name, [place(one) for one in scores])]
    told = "; ".join(
        f"{label(name)} from {percent(scores[0].value)} to {percent(scores[-1].value)}" for name, scores in arms.items()
    )
    return svg(f"Accuracy on test by round: {told}", _WIDTH, _HEIGHT, parts)


def latest(run: Run) -> RoundScore | None:
    """The score on test of the last round, of the arm that is no random one if there is such."""
    known = [score for score in run.scores if score.split == "test" and score.HasField("value")]
    ours = [score for score in known if score.arm != RANDOM] or known
    return ours[-1] if ours else None


def _line(name: str, places: list[tuple[float, float]]) -> list[Markup]:
    role = "random" if name == RANDOM else "ours"
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    return [
        Markup('<polyline class="curve {}" points="{}"/>').format(role, path),
        Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(role, x, y),
    ]
