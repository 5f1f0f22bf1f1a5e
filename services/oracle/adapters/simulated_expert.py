"""An expert who knows the answers and errs at a set rate. Times are the paper's averages, marked as simulated."""

from __future__ import annotations

from collections.abc import Callable

from services.oracle.domain.known_answers import KnownAnswers, erring_answer
from services.oracle.domain.review import estimate_seconds
from services.oracle.ports import Outcome
from shared.objects.store import digest_of
from shared.quality_level import closing_level
from shared.rows.annotation import Question
from shared.spending import Spending


class SimulatedExpert:
    """An `Expert` over known answers.

    Args:
        known: What they know.
        accuracy: Chance that a known question is judged right, 0..1.
        seed: Of their errors; the same seed and question id give the same judgement.
        take_time: Called once in each call, for as long as the call shall take.
    """

    def __init__(
        self, known: KnownAnswers, accuracy: float, seed: int, take_time: Callable[[], None] = lambda: None
    ) -> None:
        self._known = known
        self._accuracy = accuracy
        self._seed = seed
        self._take_time = take_time

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept what they think is right, else edit; reject a known question of which no option is right.

        A description is accepted where it closes with the quality level of the one that they think is right.
        """
        self._take_time()
        image_id = digest_of(question.image_uri)
        if not self._known.is_known(image_id, question.question):
            return Outcome(None, "", Spending())
        spending = Spending(expert_seconds=estimate_seconds(proposal))
        right = self._known.right(image_id, question.question, question.options)
        if right is None:
            return Outcome(None, "reject", spending)
        wrong = self._known.wrong(question.question, question.options, right)
        answer = erring_answer(right, wrong, self._accuracy, "simulated-expert", self._seed, question.question_id)
        if proposal is not None and (answer == proposal or _is_as_good(question, proposal, answer)):
            return Outcome(proposal, "accept", spending)
        return Outcome(answer, "edit", spending)


def _is_as_good(question: Question, proposal: str, answer: str) -> bool:
    """Whether a proposed description says the level that another one says."""
    return not question.options and closing_level(proposal) == closing_level(answer) != ""
