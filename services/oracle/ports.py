"""What annotation needs from outside: who proposes, and who reviews.

`shared.outside.calls` says what becomes of what a call raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from services.oracle.domain.questions import Proposal
from shared.outside.accounts import CallBook
from shared.outside.call import Prepared
from shared.rows.annotation import Question
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


class Expert(Protocol):
    """Somebody who decides, and can be asked at any time: the program at the queue. Safe to use from several threads."""

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept a proposed answer, edit it or reject the question; action "" where the expert does not know."""
