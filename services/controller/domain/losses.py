"""What a run lost, and what it left out on purpose: the block `losses` of the report, and the share that may be lost.

A loss is what somebody should mend: a file or a row that could not be taken in, an image that nobody asked anything about, a
question that nobody could answer, an answer that we could not evaluate. What is left out on purpose is counted too, and is no
loss: a repeated picture, a row of another split, an image that the draw may not take or does not want, an image or a question
that the budget does not cover, a question that the expert rejects, a sample that quality assurance or the leakage gate takes
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from services.controller.domain.round_facts import ArmFacts, RoundFacts
from shared.errors import FailedPrecondition
from shared.left_out import SetFacts
from shared.rows.annotation import REJECTED_BY_EXPERT, Summary

Json = dict[str, Any]


def losses(sets: Sequence[SetFacts], arms: Iterable[ArmFacts]) -> Json:
    """The block of the report.

    Args:
        sets: What was brought in.
        arms: With what is known of their rounds.

    Returns: `is_partial` (something was lost), `sets` with what each kept, and `entries`: a count for each place and reason.
    """
    entries = [
        *_of_sets(sets),
        *(entry for arm in arms for facts in arm.rounds for entry in _of_round(arm.name, facts)),
    ]
    return {
        "is_partial": any(entry["is_loss"] for entry in entries),
        "sets": [
            {
                "name": one.name,
                "unit": one.unit,
                "n": one.n,
                "kept": one.n - one.lost,
                "lost": one.lost,
                "lost_share": one.lost_share,
            }
            for one in sets
        ],
        "entries": entries,
    }


def require_kept(sets: Iterable[SetFacts], max_lost_share: float) -> None:
    """Refuse to go on with a set that lost too much.

    Args:
        sets: What was brought in.
        max_lost_share: A set may lose this share, 0..1, and no more.

    Raises:
        FailedPrecondition: A set lost more; the message names each such set with its counts by reason.
    """
    worst = [one for one in sets if one.lost_share > max_lost_share]
    if not worst:
        return
    raise FailedPrecondition(
        f"Too much was lost, so nothing is spent: {'; '.join(map(_told, worst))}.",
        field="data.max_lost_share",
        value=max_lost_share,
        remedy="Mend the files or rows, or raise the share; then start a run under another name, or in another folder.",
    )


def _told(one: SetFacts) -> str:
    reasons = ", ".join(f"{left.n} {left.outcome} ({left.reason.rstrip('.')})" for left in one.left_out if left.is_loss)
    return f"{one.name} lost {one.lost} of {one.n} {one.unit}: {reasons}"


def _of_sets(sets: Iterable[SetFacts]) -> Iterator[Json]:
    for one in sets:
        for left in one.left_out:
            yield {
                "arm": None, "round": None, "place": one.name, "unit": one.unit, "is_loss": left.is_loss, **asdict(left),
            }  # fmt: skip


def _of_round(arm: str, facts: RoundFacts) -> Iterator[Json]:
    def entries(
        place: str, unit: str, outcome: str, counts: Mapping[str, int], choices: Iterable[str] = (), remedy: str = ""
    ) -> Iterator[Json]:
        for reason, n in sorted(counts.items()):
            if n:
                yield {
                    "arm": arm, "round": facts.round, "place": place, "unit": unit, "is_loss": reason not in choices,
                    "outcome": outcome, "reason": reason, "remedy": remedy, "n": n,
                }  # fmt: skip

    for split, rows in facts.unscored.items():
        for (reason, remedy), n in sorted(Counter((row.reason, row.remedy) for row in rows).items()):
            yield from entries(split, "answers", "not_evaluated", {reason: n}, remedy=remedy)
    if facts.selection:
        excluded = facts.selection.excluded
        yield from entries("selection", "images", "excluded", excluded, choices=excluded)
    if facts.summary:
        summary, choices = facts.summary, _by_choice(facts.summary)
        without = summary.images_without_question
        yield from entries("annotation", "images", "without_question", without, choices=choices)
        yield from entries("annotation", "questions", "unanswered", summary.unanswered, choices=choices)
    dropped = Counter(row.reason for row in facts.dropped)
    yield from entries("dataset", "samples", "dropped", dropped, choices=dropped)


def _by_choice(summary: Summary) -> set[str]:
    """Reasons for which a question is unanswered, or not asked, on purpose: the expert rejects it, or the budget ends."""
    return {REJECTED_BY_EXPERT, *summary.stopped.values()}
