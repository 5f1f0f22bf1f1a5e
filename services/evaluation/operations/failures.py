"""From the answers of an evaluation to what the model fails at (section 2.2 of the paper)."""

from __future__ import annotations

from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.anchors import anchors
from services.evaluation.domain.capabilities import cells
from services.evaluation.domain.clustering import cluster_failures
from services.evaluation.domain.features import joint_features
from services.evaluation.domain.merging import merge_small
from services.evaluation.domain.outcomes import Outcome, capability_rows, failure_rows, outcomes_of
from services.evaluation.domain.prototypes import prototypes
from services.evaluation.work.vectors import encoder_of, failure_vectors, image_vectors
from shared.errors import InvalidArgument
from shared.objects.dataset import publish, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import ClusteringRow
from shared.rpc.channels import Channels

_HOW_TO_MINE = ("gamma", "visual_weight", "max_clusters", "n_runs", "min_cell_items", "min_prototype_size")


class FailureOperations:
    """Mines failures.

    Args:
        objects: Where datasets lie.
        channels: Where `embedding` is found.
    """

    def __init__(self, objects: ObjectStore, channels: Channels) -> None:
        self._objects = objects
        self._channels = channels

    def mine_failures(self, context: OperationContext, request: pb.StartMineFailuresRequest) -> str:
        """Make a dataset `failures`: failures, e_k (Eq. 1), prototypes, anchors. Without a failure it has no prototype.

        Raises:
            NotFound: one of the datasets is not there.
            InvalidArgument: a dataset is of another kind, or does not belong to the others.
            Unavailable: the embedding service does not answer.
        """
        outcomes = self._outcomes(request)
        failed = [outcome for outcome in outcomes if outcome.is_failure]
        embedding = EmbeddingServiceStub(self._channels["embedding"])
        visual, text = failure_vectors(context, self._objects, embedding, request.image_set_uri, failed)
        features = joint_features(visual, text, request.visual_weight)
        clustering = cluster_failures(features, max_clusters=request.max_clusters)
        merged = merge_small(clustering, features, request.min_prototype_size)
        found, centroids = prototypes(merged, visual, [one.item for one in failed], [one.cell for one in failed])
        evaluated = anchors(outcomes)
        evaluated_ids = [anchor.image_id for anchor in evaluated]
        return publish(
            self._objects,
            "failures",
            {
                "failures.jsonl": failure_rows(failed, found),
                "capabilities.jsonl": capability_rows(outcomes),
                "prototypes.jsonl": found,
                "prototypes.npy": centroids,
                "anchors.jsonl": evaluated,
                "anchors.npy": image_vectors(self._objects, request.image_set_uri, evaluated_ids),
                "clustering.json": ClusteringRow(
                    n_clusters=clustering.n_clusters,
                    silhouettes={str(k): value for k, value in clustering.silhouettes.items()},
                ),
            },
            counts={
                "items": len(outcomes),
                "failures": len(failed),
                "unscored": sum(outcome.is_failure is None for outcome in outcomes),
                "prototypes": len(found),
                "merged": clustering.n_clusters - merged.n_clusters,
            },
            parents=[request.evaluation_uri, request.benchmark_uri, request.image_set_uri],
            configuration={
                **{name: getattr(request, name) for name in _HOW_TO_MINE},
                "axes": list(request.axes),
                "encoder_id": encoder_of(self._objects, request.image_set_uri),
            },
        )

    def _outcomes(self, request: pb.StartMineFailuresRequest) -> list[Outcome]:
        evaluation = read_manifest(self._objects, request.evaluation_uri, "evaluation")
        if request.benchmark_uri not in evaluation.parents:
            raise InvalidArgument(
                "The evaluation is of another benchmark.",
                field="benchmark_uri",
                value=request.benchmark_uri,
                remedy="Name the benchmark that was evaluated; it is a parent of the evaluation.",
            )
        items = read_rows(self._objects, request.benchmark_uri, Item)
        answers = read_rows(self._objects, request.evaluation_uri, Answer)
        cell_of = cells(items, tuple(request.axes), request.min_cell_items)
        return outcomes_of(items, answers, cell_of, gamma=request.gamma, n_runs=request.n_runs)
