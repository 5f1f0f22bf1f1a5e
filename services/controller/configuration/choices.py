"""What may be chosen in the file of a run, by name: the values of enums of the protos, and the modalities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from medq.training.v1 import training_pb2
from shared.rows.vocabulary import AXES, MODALITIES, UNKNOWN
from shared.rpc.choices import choices

STRATEGIES = choices(retrieval_pb2.Strategy.DESCRIPTOR)
#: Compare the pool with what the model was trained on, which is what is replayed.
NEED_REPLAY = ("novelty", "k_centre")
#: Asks the model about the pool before it draws.
UNCERTAINTY = "uncertainty"
QUESTION_MODES = choices(oracle_pb2.QuestionMode.DESCRIPTOR)
EXPERTS = choices(oracle_pb2.ExpertKind.DESCRIPTOR)
#: Stands where an oracle or an expert is a program that knows the answers, in place of the name of an endpoint.
SIMULATED = "simulated"
EXTRACTORS = choices(evaluation_pb2.Extractor.DESCRIPTOR)
ANSWER_FORMS = choices(evaluation_pb2.AnswerForm.DESCRIPTOR)
LOSSES = choices(training_pb2.LossReduction.DESCRIPTOR)


@dataclass(frozen=True)
class _OneOf:
    """Marks a text that is one of these names."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


Strategy = Annotated[str, _OneOf(tuple(STRATEGIES))]
Questions = Annotated[str, _OneOf(tuple(QUESTION_MODES))]
Expert = Annotated[str, _OneOf(tuple(EXPERTS))]
Extractor = Annotated[str, _OneOf(tuple(EXTRACTORS))]
AnswerForm = Annotated[str, _OneOf(tuple(ANSWER_FORMS))]
Loss = Annotated[str, _OneOf(tuple(LOSSES))]
Axis = Annotated[str, _OneOf(AXES)]
Modality = Annotated[str, _OneOf(("", *MODALITIES, UNKNOWN))]
