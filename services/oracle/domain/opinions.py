"""Two experts about one question, each without the other, and a third one where they disagree.

Which questions are asked twice is drawn by key. A description is not: no two are the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.oracle.domain.audit import is_drawn
from services.oracle.domain.review import FIRST, SECOND, THIRD, QueueEntry, Verdict

#: Why a question has no answer about which two experts disagree, and no third one has decided.
DISAGREED: Final = "two experts disagree, and no third one has decided"


def with_second_opinions(entries: Sequence[QueueEntry], share: float, seed: int) -> list[QueueEntry]:
    """Tasks with those that ask for a second opinion, which come last: where the budget ends, they go first."""
    first = [_drawn(entry, share, seed) for entry in entries]
    return [*first, *(_opinion(entry, SECOND) for entry in first if entry.is_overlapped)]


def third_opinions(entries: Iterable[QueueEntry], verdicts: Mapping[str, Mapping[int, Verdict]]) -> list[QueueEntry]:
    """Tasks for a third expert, who sees what the two have said, about the questions on which they disagree.

    Who sees this is not blind any more.

    Args:
        entries: First opinions, as they were queued.
        verdicts: By decision and opinion.
    """
    found = []
    for entry in entries:
        said = verdicts.get(entry.asked.decision_id, {})
        if FIRST in said and SECOND in said and said[FIRST].answer != said[SECOND].answer:
            found.append(replace(_opinion(entry, THIRD), is_blind=False, opinions=(said[FIRST], said[SECOND])))
    return found


def adopted(verdicts: Mapping[int, Verdict]) -> Verdict | None:
    """What counts of the opinions on a question: that of the third expert, else what the others agree on; None for nothing."""
    if THIRD in verdicts:
        return verdicts[THIRD]
    answers = {verdict.answer for verdict in verdicts.values()}
    return verdicts[min(verdicts)] if len(answers) == 1 else None


def _drawn(entry: QueueEntry, share: float, seed: int) -> QueueEntry:
    is_eligible = bool(entry.asked.question.options) and not entry.planted
    is_overlapped = is_eligible and is_drawn("overlap", seed, entry.asked.decision_id, share)
    return replace(entry, is_overlapped=True) if is_overlapped else entry


def _opinion(entry: QueueEntry, number: int) -> QueueEntry:
    return replace(entry, opinion=number, ledger_key=f"{entry.ledger_key}/opinion-{number}")
