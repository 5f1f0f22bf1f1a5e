"""What annotation needs from outside: who proposes, and who reviews.

What a call raises says what became of it:

| raised | it means |
|---|---|
| `InvalidArgument`, `NotFound` | refused, and nothing was spent: this question stays unanswered, the work goes on |
| `Unavailable`, `PermissionDenied`, `Unauthenticated`, `FailedPrecondition`, `BudgetExhausted` | nothing was spent |
| anything else (`DeadlineExceeded` above all, and what is no `MedqError`) | nobody knows whether it was spent |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from services.oracle.domain.questions import Proposal
from shared.rows.annotation import Question
from shared.rows.selection import Sample

#: Names the oracle that is a program; no endpoint may be called so.
SIMULATED: Final = "simulated"


@dataclass(frozen=True)
class Spending:
    """What a call costs: US dollars, tokens in and out, seconds of an expert's active time. All at least 0."""

    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    expert_seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a call brought.

    Attributes:
        answer: Of an expert the letter of an option, or a description; None where there is none. Of the oracle None.
        action: Of an expert "accept", "edit" or "reject", "" where the question is not known; of the oracle always "".
        spending: What it cost.
        proposals: Of the oracle: the questions that it proposes, with its answers.
        fault: Of the oracle: why what it said is of no use, a sentence that it may be shown; "" where it is.
        is_without_choice: Of the oracle: it knows no more questions about the image than it was asked for.
    """

    answer: str | None
    action: str
    spending: Spending
    proposals: tuple[Proposal, ...] = ()
    fault: str = ""
    is_without_choice: bool = False


class AnnotationOracle(Protocol):
    """A model outside the loop that pre-annotates: it proposes questions about an image, with answers.

    Safe to use from several threads.

    Attributes:
        name: "simulated", or the endpoint's in the site's settings.
        is_simulated: Whether it is a program that knows the answers.
    """

    name: str
    is_simulated: bool

    def estimate(self, sample: Sample, complaint: str = "") -> Spending:
        """The most that a proposal may cost."""

    def propose(self, sample: Sample, complaint: str = "") -> Outcome:
        """Questions about a drawn sample, with answers, in one call; an answer is None where the oracle does not know it.

        Args:
            sample: With the weakness that it was drawn for.
            complaint: The fault of what the oracle said before; "" where it is asked for the first time.
        """


class Expert(Protocol):
    """Somebody who decides, and can be asked at any time: the program at the queue. Safe to use from several threads."""

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept a proposed answer, edit it or reject the question; action "" where the expert does not know."""
