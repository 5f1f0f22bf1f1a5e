"""What annotation needs from outside: who proposes, and who reviews.

`shared.outside.call` says what becomes of what a call raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.questions import Proposal
from shared.outside.accounts import CallBook
from shared.outside.call import Prepared
from shared.rows.selection import Sample
from shared.spending import Spending

#: Names the oracle that is a program; no endpoint may be called so.
SIMULATED: Final = "simulated"


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

    def book(self, work_id: str, run_id: str, max_in_flight: int) -> CallBook:
        """Whose calls those of a work are, of which at most so many are in flight."""

    def prepare(self, sample: Sample, complaint: str = "") -> Prepared[Outcome]:
        """One call that asks for questions about a drawn sample, with answers; an answer is None where it does not know it.

        Args:
            sample: With the weakness that it was drawn for.
            complaint: The fault of what the oracle said before; "" where it is asked for the first time.

        Raises:
            NotFound, DataLoss, PermissionDenied: the image is lost or damaged, or may not leave.
        """


@dataclass(frozen=True)
class Reviews:
    """What became of review tasks, by decision id. A task is in one of the two.

    Attributes:
        decided: What the expert said.
        why_not: Why a task will not be decided: it was closed, or the budget ended.
        stopped: Why no further task was handed out; "" where all were.
    """

    decided: Mapping[str, Outcome] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""


class Reviewer(Protocol):
    """Who decides about the tasks in the queue."""

    is_simulated: bool

    def estimate(self, task: ReviewTask) -> Spending:
        """The time that a review of a proposed answer, or an annotation from scratch (no proposal), takes."""


class Expert(Reviewer, Protocol):
    """Somebody who decides at once. Safe to use from several threads."""

    def review(self, task: ReviewTask) -> Outcome:
        """Accept the proposal, edit it or reject the question; action "" where the expert does not know."""
