"""The operation that turns an evaluation into failures and failure prototypes (section 2.2 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.adapters.dataset_files import publish
from services.evaluation.domain.capabilities import capability_labels
from services.evaluation.domain.clustering import Clustering, cluster_failures
from services.evaluation.domain.failure_text import failure_text
from services.evaluation.domain.failures import capability_error_rates, error_rate, is_failure
from services.evaluation.domain.features import joint_features
from services.evaluation.domain.prototypes import Prototype, prototypes
from shared.errors import InvalidArgument
from shared.objects.dataset import JsonObject, read_array, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.operations import OperationContext
from shared.rpc.channels import Channels

_TEXTS_PER_CALL = 512


@dataclass(frozen=True)
class _Outcome:
    """An item with the answers it got, in the order of the runs, and whether it is a failure (None: UNSCORED)."""

    item: JsonObject
    answers: list[JsonObject]
    is_failure: bool | None

    @property
    def correct(self) -> list[bool | None]:
        return [answer["correct"] for answer in self.answers]


def mine_failures(
    objects: ObjectStore, channels: Channels, context: OperationContext, request: pb.StartMineFailuresRequest
) -> str:
    """Make a dataset `failures`: failures, e_k (Eq. 1) and prototypes. Without a failure it has no prototype.

    Raises:
        NotFound: one of the datasets is not there.
        InvalidArgument: a dataset is of another kind, or does not belong to the others.
        Unavailable: the embedding service does not answer.
    """
    outcomes = _outcomes(objects, request)
    failures = [outcome for outcome in outcomes if outcome.is_failure]
    context.progress(0, len(failures), "failures", "embedding")
    visual, image_ids = _visual(objects, request.image_set_uri, failures)
    stub = embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"])
    text = _embed_texts(
        stub,
        [_text(failure) for failure in failures],
        lambda n: context.progress(n, len(failures), "failures"),
    )
    features = joint_features(visual, text, request.visual_weight)
    context.progress(len(failures), len(failures), "failures", "clustering")
    clustering = cluster_failures(features, max_clusters=request.max_clusters)
    labels = [capability_labels(failure.item) for failure in failures]
    item_ids = [failure.item["item_id"] for failure in failures]
    found = prototypes(clustering, visual, item_ids, image_ids, labels)
    return _publish(objects, request, outcomes, clustering, found, visual.shape[1])


def _outcomes(objects: ObjectStore, request: pb.StartMineFailuresRequest) -> list[_Outcome]:
    """Every item of the benchmark, sorted by item_id."""
    evaluation = read_manifest(objects, request.evaluation_uri, "evaluation")
    read_manifest(objects, request.benchmark_uri, "benchmark")
    if request.benchmark_uri not in evaluation.parents:
        raise InvalidArgument(
            "The evaluation is of another benchmark.",
            field="benchmark_uri",
            value=request.benchmark_uri,
            remedy="Name the benchmark that was evaluated; it is a parent of the evaluation.",
        )
    items = read_rows(objects, request.benchmark_uri, "items.jsonl")
    answers: dict[str, list[JsonObject]] = {item["item_id"]: [] for item in items}
    rows = read_rows(objects, request.evaluation_uri, "answers.jsonl")
    for row in sorted(rows, key=lambda row: (row["item_id"], row["run"])):
        answers[row["item_id"]].append(row)
    outcomes = []
    for item in sorted(items, key=lambda item: str(item["item_id"])):
        given = answers[item["item_id"]]
        correct = [row["correct"] for row in given]
        failed = is_failure(correct, gamma=request.gamma, n_runs=request.n_runs)
        outcomes.append(_Outcome(item, given, failed))
    return outcomes


def _visual(
    objects: ObjectStore, image_set_uri: str, failures: Sequence[_Outcome]
) -> tuple[NDArray[np.float32], list[str]]:
    """(n, d) vectors of the failures' images, and the images' ids."""
    read_manifest(objects, image_set_uri, "image-set")
    images = read_rows(objects, image_set_uri, "images.jsonl")
    vectors = read_array(objects, image_set_uri, "vectors.npy")
    row_of = {image["image_id"]: row for row, image in enumerate(images)}
    image_ids = [str(failure.item["image_id"]) for failure in failures]
    unknown = [image_id for image_id in image_ids if image_id not in row_of]
    if unknown or vectors.ndim != 2 or len(vectors) != len(images):
        raise InvalidArgument(
            "The image set is not that of the benchmark, or lacks vectors.",
            field="image_set_uri",
            value=image_set_uri,
            remedy="Name the image set that the benchmark was made from; it is a parent of the benchmark.",
        )
    rows = np.array([row_of[image_id] for image_id in image_ids], dtype=np.int64)
    return vectors[rows].astype(np.float32), image_ids


def _text(failure: _Outcome) -> str:
    wrong = [answer["choice"] for answer in failure.answers if answer["correct"] is False]
    return failure_text(failure.item["question"], failure.item["options"], wrong)


def _embed_texts(
    stub: embedding_pb2_grpc.EmbeddingServiceStub, texts: Sequence[str], report: Callable[[int], None]
) -> NDArray[np.float32]:
    """(n, d) vectors of the texts; (0, 0) without texts."""
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        report(start)
        chunk = texts[start : start + _TEXTS_PER_CALL]
        answer = stub.EmbedTexts(embedding_pb2.EmbedTextsRequest(texts=chunk))
        parts.append(np.frombuffer(answer.vectors, dtype="<f4").reshape(len(chunk), answer.dimension))
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, 0), dtype=np.float32)


def _publish(
    objects: ObjectStore,
    request: pb.StartMineFailuresRequest,
    outcomes: Sequence[_Outcome],
    clustering: Clustering,
    found: Sequence[Prototype],
    dimension: int,
) -> str:
    """Store what was found."""
    prototype_of = {member: prototype.prototype_id for prototype in found for member in prototype.members}
    labels = {outcome.item["item_id"]: capability_labels(outcome.item) for outcome in outcomes}
    failures = [
        {
            "item_id": outcome.item["item_id"],
            "error_rate": error_rate(outcome.correct),
            "n_scored": sum(correct is not None for correct in outcome.correct),
            "capabilities": labels[outcome.item["item_id"]],
            "prototype_id": prototype_of[outcome.item["item_id"]],
        }
        for outcome in outcomes
        if outcome.is_failure
    ]
    rates = capability_error_rates((labels[o.item["item_id"]], o.is_failure) for o in outcomes)
    rows = [
        {key: value for key, value in asdict(prototype).items() if key != "visual"}
        | {"size": len(prototype.members)}
        for prototype in found
    ]
    silhouettes = {str(k): value for k, value in clustering.silhouettes.items()}
    return publish(
        objects,
        "failures",
        {
            "failures.jsonl": failures,
            "capabilities.jsonl": map(asdict, rates),
            "prototypes.jsonl": rows,
            "prototypes.npy": np.array([p.visual for p in found], dtype=np.float32).reshape(-1, dimension),
            "clustering.json": {"n_clusters": clustering.n_clusters, "silhouettes": silhouettes},
        },
        counts={
            "items": len(outcomes),
            "failures": len(failures),
            "unscored": sum(outcome.is_failure is None for outcome in outcomes),
            "prototypes": len(found),
        },
        parents=[request.evaluation_uri, request.benchmark_uri, request.image_set_uri],
        configuration={
            "gamma": request.gamma,
            "visual_weight": request.visual_weight,
            "max_clusters": request.max_clusters,
            "n_runs": request.n_runs,
        },
    )
