"""Who annotates a work, by the names that its request gives: the one place that tells simulated from real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import review
from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.domain.known_questions import KnownQuestions
from services.oracle.domain.questions import Asking
from services.oracle.ports import SIMULATED, AnnotationOracle
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.rows.annotation import KnownAnswer
from shared.rows.benchmark import Item
from shared.rpc.choices import name_of


@dataclass(frozen=True)
class Makers:
    """How annotators are made.

    Attributes:
        simulated_oracle: From what it can ask, what it knows, which questions, and its accuracy.
        endpoint_oracle: From the name of an endpoint and which questions; raises where the site does not allow it.
        bank: The version of the bank of questions and of the prompts, as a real oracle uses them.
    """

    simulated_oracle: Callable[[KnownQuestions, KnownAnswers, Asking, float], AnnotationOracle]
    endpoint_oracle: Callable[[str, Asking], AnnotationOracle]
    bank: str


@dataclass(frozen=True)
class Annotators:
    """Who annotates a work.

    Attributes:
        oracle: Who pre-annotates.
        expert: Who reviews: `review.PEOPLE`, `SIMULATED` or `NOBODY`.
        parents: The datasets that they know things from.
        bank: The version of the bank that is asked from; "" where questions are known ones.
    """

    oracle: AnnotationOracle
    expert: str
    parents: tuple[str, ...]
    bank: str

    @property
    def simulated_parts(self) -> list[str]:
        """Which of them are simulated: "oracle", "expert"."""
        parts = {"oracle": self.oracle.is_simulated, "expert": self.expert == review.SIMULATED}
        return [name for name, is_simulated in parts.items() if is_simulated]

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
    parents = [request.known_answers_uri] if is_oracle_simulated or policy.expert == pb.EXPERT_KIND_SIMULATED else []
    parents += [request.benchmark_uri] if is_oracle_simulated else []
    rows = read_rows(objects, request.known_answers_uri, KnownAnswer) if parents else []
    known = KnownAnswers(rows)
    asking = Asking(policy.questions_per_image, policy.question_mode == pb.QUESTION_MODE_SEED_RULE, request.seed)
    if is_oracle_simulated:
        questions = KnownQuestions(rows, read_rows(objects, request.benchmark_uri, Item))
        oracle = makers.simulated_oracle(questions, known, asking, policy.simulated_oracle_accuracy)
    else:
        oracle = makers.endpoint_oracle(policy.oracle, asking)
    expert = name_of(pb.ExpertKind.DESCRIPTOR, policy.expert, review.NOBODY)
    return Annotators(oracle, expert, tuple(parents), "" if is_oracle_simulated else makers.bank)
