"""What became of what was drawn: whether the questions about it were decided, and whether their answers were trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from services.controller.domain.lineage_facts import RoundRows
from shared.rows.annotation import REJECTED_BY_EXPERT, Decision, Unanswered

TRAINED_ON = "trained on"


class Fates:
    """The fates of one round.

    Args:
        rows: Of the round.
    """

    def __init__(self, rows: RoundRows) -> None:
        self._trained = {one.id for one in rows.trained}
        self._dropped = {one.id: one for one in reversed(rows.dropped)}
        self._decisions: dict[str, list[Decision]] = defaultdict(list)
        self._unanswered: dict[str, list[Unanswered]] = defaultdict(list)
        for decision in rows.decisions:
            self._decisions[decision.sample_id].append(decision)
        for question in rows.unanswered:
            self._unanswered[question.sample_id].append(question)

    def decisions(self, sample_id: str) -> list[Decision]:
        """The decisions about a drawn sample, those that the expert rejected among them."""
        return self._decisions.get(sample_id, [])

    def of_decision(self, row: Decision, *, is_detailed: bool = True) -> str:
        """Of a decision: `trained on`, `left out: ...`, that the expert rejected it; "" before there is a training set."""
        if row.answer is None:
            return REJECTED_BY_EXPERT
        if row.decision_id in self._trained:
            return TRAINED_ON
        left_out = self._dropped.get(row.decision_id)
        if left_out is None:
            return ""
        detail = f" ({left_out.detail})" if left_out.detail and is_detailed else ""
        return f"left out: {left_out.reason}{detail}"

    def of_undecided(self, sample_id: str) -> str:
        """Of a sample about which nothing was decided: why; "" before it was asked about."""
        mine = self._unanswered.get(sample_id, [])
        what = "not decided" if any(one.question for one in mine) else "left without a question"
        return f"{what}: {'; '.join(sorted({one.reason for one in mine}))}" if mine else ""

    def of_sample(self, sample_id: str) -> Mapping[str, int]:
        """Of the questions about a sample: each fate, without details, to the number of questions; empty before there is one."""
        fates = Counter(self.of_decision(row, is_detailed=False) for row in self.decisions(sample_id))
        if fates:
            for row in self._unanswered.get(sample_id, []):
                if row.reason != REJECTED_BY_EXPERT:  # which stands among the decisions
                    fates[f"not decided: {row.reason}"] += 1
        else:
            fates[self.of_undecided(sample_id)] = max(1, len(self._unanswered.get(sample_id, [])))
        return {fate: n for fate, n in sorted(fates.items()) if fate}
