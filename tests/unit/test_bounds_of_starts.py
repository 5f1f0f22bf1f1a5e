"""Every number and text of every request that starts work: one that makes no sense is INVALID_ARGUMENT, and none is a defect."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from medq.embedding.v1 import embedding_pb2
from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from medq.training.v1 import training_pb2
from services.embedding.adapters.encoders import SiteEncoders
from services.embedding.service import Embedding
from services.evaluation.service import Evaluation
from services.oracle.service import Oracle
from services.retrieval.service import Retrieval
from services.training.service import Training
from shared.errors import InvalidArgument, NotFound, PermissionDenied
from shared.operation_table import METADATA
from shared.operations import Operations
from shared.rpc.messages import read_message
from tests.support.databases import sqlite_database

URI = "sha256:" + "0" * 64
LABELS = {"run_id": "r", "arm": "a", "round": 1}
_SAMPLING = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 16}
_POLICY = {
    "question_mode": oracle_pb2.QUESTION_MODE_SEED_RULE,
    "questions_per_image": 3,
    "max_in_flight": 8,
    "tau_entropy": 1.0,
    "tau_agreement": 0.5,
    "oracle": "simulated",
    "expert": oracle_pb2.EXPERT_KIND_SIMULATED,
    "description_tokens": 64,
}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_UINT32: 2**32 - 1,
    FieldDescriptor.CPPTYPE_UINT64: 2**64 - 1,
    FieldDescriptor.CPPTYPE_ENUM: 2**31 - 1,
}
#: One request of each method that starts work, as it is right.
REQUESTS: list[Message] = [
    embedding_pb2.StartIngestRequest(source_uri="/nothing", split="pool"),
    embedding_pb2.StartReembedRequest(image_set_uri=URI),
    retrieval_pb2.StartIndexImagesRequest(image_set_uri=URI),
    retrieval_pb2.StartSelectSamplesRequest(
        **LABELS, failures_uri=URI, budget=10, tau_sim=0.5, strategy=2, pool_uris=[URI], guard_uris=[URI]
    ),
    evaluation_pb2.StartImportBenchmarkRequest(
        items_uri="/nothing", image_set_uri=URI, split="dev", guard_uris=[URI], phash_distance=2
    ),
    evaluation_pb2.StartEvaluateRequest(
        **LABELS, model_uri=URI, benchmark_uri=URI, n_runs=2, extractor=1, sampling=_SAMPLING
    ),
    evaluation_pb2.StartMineFailuresRequest(
        evaluation_uri=URI, benchmark_uri=URI, image_set_uri=URI, max_clusters=8, n_runs=2, axes=["modality"],
        min_cell_items=1, min_prototype_size=1,
    ),
    evaluation_pb2.StartGenerateRequest(model_uri=URI, questions_uri=URI, sampling=_SAMPLING),
    oracle_pb2.StartAnnotateRequest(
        **LABELS, selection_uri=URI, model_uri=URI, known_answers_uri=URI, benchmark_uri=URI, policy=_POLICY,
        calibration_uris=[URI],
    ),
    oracle_pb2.StartImportKnownAnswersRequest(benchmark_uri=URI),
    training_pb2.StartImportModelRequest(folder_uri="/nothing"),
    training_pb2.StartBuildDatasetRequest(
        **LABELS, decisions_uri=URI, image_set_uris=[URI], guard_uris=[URI], tfidf_threshold=0.9, earlier_uris=[URI]
    ),
    training_pb2.StartTrainRequest(
        **LABELS, model_uri=URI, dataset_uri=URI, learning_rate=1e-5, epochs=1, batch_size=1,
        gradient_accumulation=1, loss=1,
    ),
]  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Message], Any]]:
    """Calls the method of a request, which comes over the wire; what it notes is not worked on."""
    with sqlite_database(tmp_path) as database:
        operations = Operations("part", database.engine(METADATA), {}, owner="one", lease_seconds=30)
        operations.drain()
        nothing: Any = None
        services = [
            Embedding(nothing, SiteEncoders({}), operations, nothing, [tmp_path], nothing),
            Retrieval(nothing, nothing, operations),
            Evaluation(operations, [tmp_path]),
            Oracle(operations, nothing),
            Training(operations, [tmp_path]),
        ]

        def call(request: Message) -> Any:
            name = type(request).__name__.removesuffix("Request")
            (service,) = [service for service in services if hasattr(service, name)]
            message = read_message(request.SerializeToString(), type(request).FromString)
            return getattr(service, name)(message, nothing)

        yield call


def _copies(request: Message, wanted: Callable[[FieldDescriptor], list[Any]]) -> Iterator[tuple[Message, str, Any]]:
    """The request with each of the wanted values in each field, those of its parts among them, one at a time."""

    def places(message: Message, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
        for field in message.DESCRIPTOR.fields:
            if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                yield from places(getattr(message, field.name), (*path, field.name))
            else:
                yield (*path, field.name), field

    for path, field in places(request, ()):
        for value in wanted(field):
            copy = type(request)()
            copy.CopyFrom(request)
            part: Any = copy
            for name in path[:-1]:
                part = getattr(part, name)
            if isinstance(value, list):
                getattr(part, path[-1])[:] = value
            else:
                setattr(part, path[-1], value)
            yield copy, ".".join(path), value


def _numbers(field: FieldDescriptor) -> list[Any]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return [0.0, -0.0, -1.0, 5e-324, 1e308, math.nan, math.inf, -math.inf]
    most = _INTEGERS.get(field.cpp_type)
    return [] if most is None else [0, 1, most // 2, most]


def _texts(field: FieldDescriptor) -> list[Any]:
    if field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
        return []
    texts = ["", "\0", "a\0b", "x" * 5000, "//[", "file://[", "sha256:", "ä", "../..", "%", "\n", "\x1b[2J"]
    return [*([text] for text in texts), [URI, URI], [URI] * 1001] if field.is_repeated else texts


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_right_request_is_noted(start: Callable[[Message], Any], request_: Message) -> None:
    request_.operation_id = "op"  # type: ignore[attr-defined]
    if hasattr(request_, "source_uri") or hasattr(request_, "folder_uri") or hasattr(request_, "items_uri"):
        return  # it names a file that is not there
    assert start(request_).operation_id == "op"


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_no_number_and_no_text_is_more_than_a_callers_fault(start: Callable[[Message], Any], request_: Message) -> None:
    n_refused = 0
    for wanted in (_numbers, _texts):
        for n, (copy, name, value) in enumerate(_copies(request_, wanted)):
            if name != "operation_id":
                copy.operation_id = f"{wanted.__name__}/{n}"  # type: ignore[attr-defined]
            try:
                start(copy)
            except (InvalidArgument, NotFound, PermissionDenied):
                n_refused += 1
            except Exception as error:
                raise AssertionError(f"{name}={value!r:.80} is a defect") from error
            else:
                is_number = isinstance(value, float)
                assert not (is_number and not math.isfinite(value) and name != "policy.tau_entropy"), (name, value)
                assert "\0" not in str(value), (name, value)
    assert n_refused > 5
