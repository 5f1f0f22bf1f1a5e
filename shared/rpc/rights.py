"""Which role may call what. A method that does not stand here is denied to everybody; a test holds table and protos together.

| role | for |
|---|---|
| reader | people and programs that look: states, reports, results |
| reviewer | experts who decide about the tasks in their queue, and look |
| operator | people who start and call off work |
| service | the services of one another |
| admin | everything |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may be."""

    READER = "reader"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    SERVICE = "service"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Somebody who is known.

    Attributes:
        name: Of the token's entry, the JWT's subject, or the certificate's common name; at most 200 characters.
        roles: What they are.
        known_by: "token", "jwt" or "certificate".
    """

    name: str
    roles: frozenset[Role]
    known_by: str


_READ = frozenset(Role)
_WORK = frozenset({Role.OPERATOR, Role.SERVICE, Role.ADMIN})
_RUN = frozenset({Role.OPERATOR, Role.ADMIN})
_LEDGER = frozenset({Role.SERVICE, Role.ADMIN})
_REVIEW = frozenset({Role.REVIEWER, Role.OPERATOR, Role.ADMIN})

#: Open to everybody: probes cannot show who they are.
OPEN_SERVICES = frozenset({"grpc.health.v1.Health"})
#: They change nothing, but annotations or images leave the system by them: each call is in the audit log.
_AUDITED_READS = frozenset(
    {
        "/medq.operations.v1.OperationsService/DownloadDataset",
        "/medq.embedding.v1.EmbeddingService/GetGreyLevels",
        "/medq.embedding.v1.EmbeddingService/GetThumbnail",
        "/medq.controller.v1.ControllerService/GetReport",
        "/medq.controller.v1.ControllerService/GetLineage",
        "/medq.controller.v1.ControllerService/ListDrawn",
        "/medq.controller.v1.ControllerService/ListDevItems",
        "/medq.oracle.v1.ReviewService/ListTasks",
        "/medq.oracle.v1.ReviewService/GetTask",
        "/medq.oracle.v1.ReviewService/GetTaskImage",
    }
)

#: Service to method to the roles that may call it.
RIGHTS: Mapping[str, Mapping[str, frozenset[Role]]] = {
    "medq.operations.v1.OperationsService": {
        "GetOperation": _READ,
        "WaitOperation": _READ,
        "ListOperations": _READ,
        "DownloadDataset": _READ,
        "CancelOperation": _WORK,
    },
    "medq.controller.v1.ControllerService": {
        "ValidateRun": _READ,
        "EstimateRun": _READ,
        "GetRun": _READ,
        "ListRuns": _READ,
        "GetReport": _READ,
        "GetLineage": _READ,
        "ListDrawn": _READ,
        "ListDevItems": _READ,
        "ListCosts": _READ,
        "ListEgress": _READ,
        "GetEndpoints": _READ,
        "StartRun": _RUN,
        "PauseRun": _RUN,
        "ResumeRun": _RUN,
        "ReserveCosts": _LEDGER,
        "SettleCosts": _LEDGER,
        "ReleaseCosts": _LEDGER,
        "RecordEgress": _LEDGER,
    },
    "medq.embedding.v1.EmbeddingService": {
        "GetImage": _READ,
        "GetGreyLevels": _READ,
        "GetThumbnail": _READ,
        "GetEncoder": _READ,
        "EmbedTexts": _READ,
        "StartIngest": _WORK,
        "StartReembed": _WORK,
    },
    "medq.retrieval.v1.RetrievalService": {
        "SearchSimilar": _READ,
        "CheckLeakage": _READ,
        "GetPool": _READ,
        "StartIndexImages": _WORK,
        "SwitchEncoder": _WORK,
        "StartSelectSamples": _WORK,
    },
    "medq.evaluation.v1.EvaluationService": {
        "ScoreReplies": _READ,
        "StartImportBenchmark": _WORK,
        "StartEvaluate": _WORK,
        "StartMineFailures": _WORK,
        "StartGenerate": _WORK,
    },
    "medq.oracle.v1.OracleService": {
        "GetQuestionBank": _READ,
        "StartAnnotate": _WORK,
        "StartImportKnownAnswers": _WORK,
    },
    "medq.oracle.v1.ReviewService": {
        "ListTasks": _READ,
        "GetTask": _READ,
        "GetTaskImage": _READ,
        "CountTasks": _READ,
        "VerifyReviewLog": _READ,
        "GetReviewStatistics": _READ,
        "LeaseTasks": _REVIEW,
        "DecideTask": _REVIEW,
        "ReleaseTask": _REVIEW,
        "UndoDecision": _REVIEW,
        "ReopenTask": _RUN,
        "CloseTasks": _RUN,
        "AssignTasks": _RUN,
        "PrioritizeTasks": _RUN,
    },
    "medq.training.v1.TrainingService": {"StartImportModel": _WORK, "StartBuildDataset": _WORK, "StartTrain": _WORK},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _READ},
}


#: They may download what names inputs (`shared.rows.kinds.names_inputs`): those who bring data in and mend it.
NAMES_READERS = _WORK
#: They may enter what another reviewer decided: who brings decisions back from a file.
REVIEWERS_FOR_OTHERS = _RUN


def roles_of(method: str) -> frozenset[Role]:
    """The roles that may call a method, named as on the wire: `/medq.oracle.v1.OracleService/StartAnnotate`; none if unknown."""
    service, _, name = method.removeprefix("/").partition("/")
    return RIGHTS.get(service, {}).get(name, frozenset())


def is_audited(method: str) -> bool:
    """True if each allowed call of a method is in the audit log too: it changes something, or gives data away."""
    return roles_of(method) != _READ or method in _AUDITED_READS
