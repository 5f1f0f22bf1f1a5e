"""The servicer of `medq.oracle.v1.OracleService`: checks a request, then notes it as an operation."""

from __future__ import annotations

import re

import grpc
from google.protobuf.descriptor import EnumDescriptor
from msgspec import to_builtins

from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1 import oracle_pb2_grpc as pb_grpc
from services.oracle.domain.bank import Bank, Modality
from services.oracle.domain.measures import MOST_CALIBRATION_TASKS
from services.oracle.ports import SIMULATED
from shared.errors import InvalidArgument
from shared.limits import NAME
from shared.operations import Operations
from shared.prompts import DESCRIPTION_QUESTION
from shared.rpc.checks import require_between, require_round, require_uri, require_uris
from shared.rpc.choices import choices

#: Most questions about one image.
MAX_QUESTIONS_PER_IMAGE = 100
#: Longest names, so that the keys of the ledger hold them, and the id of the self-annotation.
_MOST_CHARACTERS = {"run_id": 100, "arm": 80, "operation_id": 195}
#: Most outside calls at a time: what the ledger reserves at once.
MAX_IN_FLIGHT = 1000
#: Longest description in tokens.
MOST_DESCRIPTION_TOKENS = 4096
#: Largest threshold of the entropy per token: no vocabulary has as many as e**100 tokens.
MOST_NATS = 100.0


class Oracle(pb_grpc.OracleServiceServicer):
    """Starts the operations of annotation, and shows the bank of questions.

    Args:
        operations: The service's operations.
        bank: What may be asked.
    """

    def __init__(self, operations: Operations, bank: Bank) -> None:
        self._operations = operations
        self._bank = bank

    def GetQuestionBank(
        self, request: pb.GetQuestionBankRequest, context: grpc.ServicerContext
    ) -> pb.GetQuestionBankResponse:
        """See the proto."""
        common = self._bank.common
        return pb.GetQuestionBankResponse(
            version=common.version,
            forms=pb.QuestionForms(**to_builtins(common.forms), description=DESCRIPTION_QUESTION),
            modalities=[_modality(one) for _, one in sorted(self._bank.modalities.items())],
        )

    def StartAnnotate(
        self, request: pb.StartAnnotateRequest, context: grpc.ServicerContext
    ) -> pb.StartAnnotateResponse:
        """See the proto."""
        policy = request.policy
        is_simulated = policy.oracle == SIMULATED or policy.expert == pb.EXPERT_KIND_SIMULATED
        for field in ("selection_uri", *(["known_answers_uri"] if is_simulated else []), "benchmark_uri", "model_uri"):
            require_uri(field, getattr(request, field))
        require_uris("calibration_uris", request.calibration_uris)
        for field, most in _MOST_CHARACTERS.items():
            _require_at_most(field, getattr(request, field), most)
        require_round(request.round)
        _check_policy(policy)
        return pb.StartAnnotateResponse(operation_id=self._operations.start(request))

    def StartImportKnownAnswers(
        self, request: pb.StartImportKnownAnswersRequest, context: grpc.ServicerContext
    ) -> pb.StartImportKnownAnswersResponse:
        """See the proto."""
        require_uri("benchmark_uri", request.benchmark_uri)
        return pb.StartImportKnownAnswersResponse(operation_id=self._operations.start(request))


def _require_at_most(field: str, name: str, n_characters: int) -> None:
    if len(name) > n_characters:
        raise InvalidArgument(
            "The name is too long.", field=field, value=name, remedy=f"At most {n_characters} characters."
        )


def _check_policy(policy: pb.AnnotationPolicy) -> None:
    for name in ("tau_entropy", "tau_entropy_description"):
        require_between(f"policy.{name}", getattr(policy, name), 0, MOST_NATS)
    shares = ("tau_agreement", "tau_text", "audit_share", "target_error_rate", "target_error_rate_description")
    for name in (*shares, "simulated_oracle_accuracy", "simulated_expert_accuracy"):
        require_between(f"policy.{name}", getattr(policy, name), 0, 1)
    for name in ("overlap_share", "blind_share", "planted_share"):
        require_between(f"policy.review.{name}", getattr(policy.review, name), 0, 1)
    require_between("policy.review.calibration_tasks", policy.review.calibration_tasks, 0, MOST_CALIBRATION_TASKS)
    require_between("policy.questions_per_image", policy.questions_per_image, 1, MAX_QUESTIONS_PER_IMAGE)
    require_between("policy.description_tokens", policy.description_tokens, 1, MOST_DESCRIPTION_TOKENS)
    require_between("policy.max_in_flight", policy.max_in_flight, 1, MAX_IN_FLIGHT)
    if not re.fullmatch(NAME, policy.oracle):
        raise InvalidArgument(
            "The oracle has no name.",
            field="policy.oracle",
            value=policy.oracle,
            remedy=f"Use {SIMULATED}, or the name of an endpoint of the site.",
        )
    _require_chosen("policy.question_mode", policy.question_mode, pb.QuestionMode.DESCRIPTOR)
    _require_chosen("policy.expert", policy.expert, pb.ExpertKind.DESCRIPTOR)


def _require_chosen(field: str, value: int, enum: EnumDescriptor) -> None:
    names = choices(enum)
    if value not in names.values():
        remedy = f"Use one of {', '.join(names)}."
        raise InvalidArgument("This must be set.", field=field, value=value, remedy=remedy)


def _modality(one: Modality) -> pb.BankModality:
    attributes = [
        pb.BankAttribute(name=name, words=attribute.words[0], scope=attribute.scope)
        for name, attribute in sorted(one.attributes.items())
    ]
    return pb.BankModality(modality=one.modality, attributes=attributes)
