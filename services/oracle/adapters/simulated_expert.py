"""An expert who knows the answers and errs at a set rate. Times are the paper's averages, marked as simulated."""

from __future__ import annotations

from collections.abc import Callable

from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.known_answers import KnownAnswers, erring_answer
from services.oracle.domain.review import review_seconds
from services.oracle.ports import Outcome
from shared.objects.store import digest_of
from shared.quality_level import closing_level
from shared.spending import Spending


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

    def estimate(self, task: ReviewTask) -> Spending:
        """The paper's average; see the port."""
        return Spending(expert_seconds=review_seconds(task))

    def review(self, task: ReviewTask) -> Outcome:
        """Accept what they think is right, else edit; reject a known question of which no option is right.

        A description is accepted where it closes with the quality level of the one that they think is right.
        """
        self._take_time()
        asked, image_id = task.question, digest_of(task.question.image_uri)
        if not self._known.is_known(image_id, asked.question):
            return Outcome(None, "", Spending())
        right = self._known.right(image_id, asked.question, asked.options)
        if right is None:
            return Outcome(None, "reject", self.estimate(task))
        wrong = self._known.wrong(asked.question, asked.options, right)
        answer = erring_answer(right, wrong, self._accuracy, "simulated-expert", self._seed, asked.question_id)
        if task.proposal is not None and (answer == task.proposal or _is_as_good(task, answer)):
            return Outcome(task.proposal, "accept", self.estimate(task))
        return Outcome(answer, "edit", self.estimate(task))


def _is_as_good(task: ReviewTask, answer: str) -> bool:
    """Whether a proposed description says the level that another one says."""
    return not task.question.options and closing_level(task.proposal or "") == closing_level(answer) != ""
