"""An expert who knows the answers and errs at a set rate. Times are the paper's averages, marked as simulated."""

from __future__ import annotations

from collections.abc import Callable

from services.oracle.domain.known_answers import KnownAnswers, erring_letter
from services.oracle.ports import Outcome
from shared.objects.store import digest_of
from shared.rows.annotation import Question
from shared.spending import Spending

#: Average time of a review and of an annotation from scratch (Table 3 of the paper: 0.5 and 5.1 minutes).
REVIEW_SECONDS = 30.0
FROM_SCRATCH_SECONDS = 306.0


class SimulatedExpert:
    """An `Expert` over known answers.

    Args:
        known: What they know.
        accuracy: Chance that a known question is judged right, 0..1.
        seed: Of their errors; the same seed and question id give the same judgement.
        take_time: Called once in each call, for as long as the call shall take.
    """

    is_simulated = True

    def __init__(
        self, known: KnownAnswers, accuracy: float, seed: int, take_time: Callable[[], None] = lambda: None
    ) -> None:
        self._known = known
        self._accuracy = accuracy
        self._seed = seed
        self._take_time = take_time

    def estimate(self, proposal: str | None) -> Spending:
        """The paper's average; see the port."""
        return Spending(expert_seconds=FROM_SCRATCH_SECONDS if proposal is None else REVIEW_SECONDS)

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept what they think is right, else edit; reject a known question of which no option is right."""
        self._take_time()
        image_id = digest_of(question.image_uri)
        if not self._known.is_known(image_id, question.question):
            return Outcome(None, "", Spending())
        right = self._known.letter(image_id, question.question, question.options)
        if right is None:
            return Outcome(None, "reject", self.estimate(proposal))
        letter = erring_letter(
            right, question.options, self._accuracy, "simulated-expert", self._seed, question.question_id
        )
        return Outcome(letter, "accept" if letter == proposal else "edit", self.estimate(proposal))
