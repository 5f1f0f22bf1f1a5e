"""Who annotates a work, by the names that its request gives: the one place that tells simulated from real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.domain.known_questions import KnownQuestions
from services.oracle.domain.questions import Asking
from services.oracle.domain.review import review_seconds
from services.oracle.ports import SIMULATED, AnnotationOracle, Expert, Reviewer
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import KnownAnswer
from shared.rows.benchmark import Item
from shared.spending import Spending


@dataclass(frozen=True)
class Makers:
    """How annotators are made.

    Attributes:
        simulated_oracle: From what it can ask, what it knows, which questions, and its accuracy.
        simulated_expert: From what they know, their accuracy and a seed.
        endpoint_oracle: From the name of an endpoint and which questions; raises where the site does not allow it.
        bank: The version of the bank of questions and of the prompts, as a real oracle uses them.
    """

    simulated_oracle: Callable[[KnownQuestions, KnownAnswers, Asking, float], AnnotationOracle]
    simulated_expert: Callable[[KnownAnswers, float, int], Expert]
    endpoint_oracle: Callable[[str, Asking], AnnotationOracle]
    bank: str


class People:
    """Experts, who take tasks from the queue; until they have decided, the paper's averages are reserved."""

    is_simulated = False

    def estimate(self, task: ReviewTask) -> Spending:
        """See the port."""
        return Spending(expert_seconds=review_seconds(task))


@dataclass(frozen=True)
class Annotators:
    """Who annotates a work.

    Attributes:
        oracle: Who pre-annotates.
        expert: Who reviews, at the queue; None: nobody.
        parents: The datasets that they know things from.
        bank: The version of the bank that is asked from; "" where questions are known ones.
    """

    oracle: AnnotationOracle
    expert: Reviewer | None
    parents: tuple[str, ...]
    bank: str

    @property
    def simulated_parts(self) -> list[str]:
        """Which of them are simulated: "oracle", "expert"."""
        parts = {"oracle": self.oracle, "expert": self.expert}
        return [name for name, one in parts.items() if one is not None and one.is_simulated]

    @property
    def is_simulated(self) -> bool:
        """Whether one of them is."""
        return bool(self.simulated_parts)


def annotators_of(objects: ObjectStore, request: pb.StartAnnotateRequest, makers: Makers) -> Annotators:
    """The oracle and the expert of a request.

    Raises:
        NotFound, PermissionDenied, FailedPrecondition: The site has no such endpoint, or does not let it see images.
    """
    policy = request.policy
    is_oracle_simulated = policy.oracle == SIMULATED
    is_expert_simulated = policy.expert == pb.EXPERT_KIND_SIMULATED
    parents = [request.known_answers_uri] if is_oracle_simulated or is_expert_simulated else []
    parents += [request.benchmark_uri] if is_oracle_simulated else []
    rows = read_rows(objects, request.known_answers_uri, KnownAnswer) if parents else []
    known = KnownAnswers(rows)
    asking = Asking(policy.questions_per_image, policy.question_mode == pb.QUESTION_MODE_SEED_RULE, request.seed)
    if is_oracle_simulated:
        questions = KnownQuestions(rows, read_rows(objects, request.benchmark_uri, Item))
        oracle = makers.simulated_oracle(questions, known, asking, policy.simulated_oracle_accuracy)
    else:
        oracle = makers.endpoint_oracle(policy.oracle, asking)
    expert: Reviewer | None = None
    if is_expert_simulated:
        expert = makers.simulated_expert(known, policy.simulated_expert_accuracy, request.seed)
    elif policy.expert == pb.EXPERT_KIND_REVIEW:
        expert = People()
    return Annotators(oracle, expert, tuple(parents), "" if is_oracle_simulated else makers.bank)
