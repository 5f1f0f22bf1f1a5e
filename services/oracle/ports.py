"""What annotation needs from outside: who answers, and who reviews. A question's id names it: the same id is the same call.

`shared.outside.calls` says what becomes of what a call raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.rows.annotation import Question
from shared.spending import Spending


@dataclass(frozen=True)
class Outcome:
    """What a call brought.

    Attributes:
        letter: The chosen option; None where there is none.
        action: Of an expert "accept", "edit" or "reject", "" where the question is not known; of the oracle always "".
        spending: What it cost.
    """

    letter: str | None
    action: str
    spending: Spending


class AnnotationOracle(Protocol):
    """A model outside the loop that pre-annotates. Safe to use from several threads."""

    is_simulated: bool

    def estimate(self, question: Question) -> Spending:
        """The most that the answer may cost."""

    def answer(self, question: Question) -> Outcome:
        """Choose an option; letter None where the oracle does not know, never a guess in its place."""


class Expert(Protocol):
    """Somebody who decides. Safe to use from several threads."""

    is_simulated: bool

    def estimate(self, proposal: str | None) -> Spending:
        """The time that a review of a proposed letter, or an annotation from scratch (None), takes."""

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept a proposed letter, edit it or reject the question; action "" where the expert does not know."""
