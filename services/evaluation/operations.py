"""The long work of the service: benchmarks, evaluations, free answers, failures (section 2.2 of the paper).

Each method may be run again from its beginning at any time: answers are kept by what they depend on, and what is written
is the same set of bytes, hence the same URI.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.anchors import anchors
from services.evaluation.domain.capabilities import cells
from services.evaluation.domain.clustering import cluster_failures
from services.evaluation.domain.features import joint_features
from services.evaluation.domain.image_join import join_images
from services.evaluation.domain.merging import merge_small
from services.evaluation.domain.outcomes import Outcome, capability_rows, failure_rows, outcomes_of
from services.evaluation.domain.prototypes import prototypes
from services.evaluation.ports import ReadTable, Sampling
from services.evaluation.work.answering import Answering, Query
from services.evaluation.work.generations import generation_row
from services.evaluation.work.guarding import keep_apart
from services.evaluation.work.judging import judge
from services.evaluation.work.reading import Asked, ReplyReader, candidates, way_of
from services.evaluation.work.vectors import failure_vectors, image_vectors
from shared.errors import FailedPrecondition, InvalidArgument
from shared.objects.dataset import publish, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.operations import OperationContext
from shared.paths import local_path
from shared.prompts import AnswerForm, multiple_choice_prompt
from shared.rows import annotation
from shared.rows.benchmark import Item, Rejection
from shared.rows.evaluation import Answer
from shared.rows.failures import ClusteringRow
from shared.rows.fields import Options, Split
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels

_HOW_TO_MINE = ("gamma", "visual_weight", "max_clusters", "n_runs", "min_cell_items", "min_prototype_size")


class EvaluationOperations:
    """The long operations of the evaluation service.

    Args:
        objects: Where datasets lie.
        answering: Answers of models.
        reader: Reads their replies.
        channels: Where `embedding` and `retrieval` are found.
        read_table: Reads the table of a benchmark.
        input_roots: Folders in one of which a table must lie; none: anywhere.
    """

    def __init__(
        self,
        objects: ObjectStore,
        answering: Answering,
        reader: ReplyReader,
        channels: Channels,
        read_table: ReadTable,
        input_roots: Sequence[Path],
    ) -> None:
        self._objects = objects
        self._answering = answering
        self._reader = reader
        self._channels = channels
        self._read_table = read_table
        self._input_roots = input_roots

    def import_benchmark(self, context: OperationContext, request: pb.StartImportBenchmarkRequest) -> str:
        """Make a dataset `benchmark` of a MedQ-Bench TSV and its image set; a row that is no item is in `report.jsonl`.

        Raises:
            NotFound: no such table or image set.
            InvalidArgument: the table cannot be read, lacks a column, or repeats an index.
            PermissionDenied: the table lies outside the folders that may be read.
            FailedPrecondition: no row is an item, or none of them is free of the guarded sets.
            Unavailable: there are guarded sets, and retrieval does not answer.
        """
        path = local_path(request.items_uri, "items_uri", self._input_roots)
        table = self._read_table(path)
        context.progress(0, len(table), "rows")
        images = read_rows(self._objects, request.image_set_uri, Image)
        inputs = read_rows(self._objects, request.image_set_uri, Input)
        items, rejections = join_images(table, images, inputs, cast(Split, request.split))
        items, leaking = keep_apart(self._channels, request, items)
        rejections = sorted([*rejections, *leaking], key=lambda row: row.name)
        if not items:
            raise _nothing_left(rejections, request.items_uri)
        return publish(
            self._objects,
            "benchmark",
            {"items.jsonl": items, "report.jsonl": rejections},
            counts={"items": len(items), "rejected": len(rejections)},
            parents=[request.image_set_uri, *request.guard_uris],
            configuration={
                "phash_distance": request.phash_distance,
                "split": request.split,
                "table_sha256": _sha256(path),
                "twin_similarity": request.twin_similarity,
            },
        )

    def evaluate(self, context: OperationContext, request: pb.StartEvaluateRequest) -> str:
        """Have a model answer a benchmark `n_runs` times and score it; make a dataset `evaluation`.

        Returns: Its URI; "" of a shard, whose answers are kept for the whole evaluation to find.

        Raises:
            NotFound, InvalidArgument, DataLoss: the benchmark or the model is not there, not one, or damaged.
            FailedPrecondition: no item could be evaluated, since every image is lost.
        """
        items = read_rows(self._objects, request.benchmark_uri, Item)
        sampling = _sampling_of(request.sampling)
        extractor, form = way_of(request)
        judge_name = self._reader.judge_of(extractor)
        queries = [
            Query(item.item_id, item.image_uri, *_asked(item.question, item.options, extractor, form)) for item in items
        ]
        shard = (request.shard, max(1, request.n_shards))
        replies = self._answering.answer(context, request.model_uri, queries, request.n_runs, sampling, shard)
        if request.n_shards > 1:
            return ""
        answers, scores, unscored = judge(
            request,
            items,
            replies,
            self._reader,
            lambda done, total: context.progress(done, total, "replies", "judging"),
        )
        n_scored = sum(answer.scored for answer in answers)
        return publish(
            self._objects,
            "evaluation",
            {"answers.jsonl": answers, "scores.json": scores, "unscored.jsonl": unscored},
            counts={
                "answers": len(answers),
                "items": len(items),
                "unreadable": len(answers) - n_scored - len(unscored),
                "unscored": len(unscored),
            },
            parents=[request.model_uri, request.benchmark_uri],
            configuration={
                "arm": request.arm,
                "round": request.round,
                "n_runs": request.n_runs,
                "extractor": extractor,
                "answer_form": form,
                "judge": judge_name,
                "sampling": asdict(sampling),
            },
            seed=sampling.seed,
        )

    def generate(self, context: OperationContext, request: pb.StartGenerateRequest) -> str:
        """Have a model answer free questions once each; make a dataset `generations`.

        Raises:
            NotFound, InvalidArgument, DataLoss: the questions, an image or the model is not there, not one, or damaged;
                a question occurs twice.
        """
        questions = read_rows(self._objects, request.questions_uri, annotation.Question)
        options = {row.question_id: row.options or {} for row in questions}
        if len(options) < len(questions):
            raise InvalidArgument(
                "A question occurs twice.",
                field="questions_uri",
                value=f"{len(questions) - len(options)} repeated ids",
                remedy="Give each question an id of its own.",
            )
        sampling = _sampling_of(request.sampling)
        extractor, form = way_of(request)
        if extractor == "official":  # its faults are for comparing published figures, not for labels
            extractor = "strict"
        text_of = {row.question_id: row.question for row in questions}
        queries = [
            Query(row.question_id, row.image_uri, *_asked(row.question, row.options or {}, extractor, form))
            for row in questions
        ]
        replies = self._answering.answer(context, request.model_uri, queries, 1, sampling)
        if replies.lost:  # a question without an answer has no row here, and would be routed as if it had one
            raise replies.lost[min(replies.lost)]
        keys = sorted(replies.answers)
        asked = [Asked(text_of[key[0]], options[key[0]], replies.answers[key].text) for key in keys]
        readings = self._reader.read(
            asked, extractor, form, lambda done, total: context.progress(done, total, "replies", "judging")
        )
        generations = [
            generation_row(key[0], options[key[0]], replies.answers[key], reading.choice)
            for key, reading in zip(keys, readings, strict=True)
        ]
        n_unscored = sum(row.choice is None for row in generations)
        n_faulty = sum(bool(row.logprobs_fault) for row in generations)
        return publish(
            self._objects,
            "generations",
            {"generations.jsonl": generations},
            counts={"questions": len(generations), "unscored": n_unscored, "faulty_logprobs": n_faulty},
            parents=[request.model_uri, request.questions_uri],
            configuration={"sampling": asdict(sampling)},
            seed=sampling.seed,
        )

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
            configuration={name: getattr(request, name) for name in _HOW_TO_MINE} | {"axes": list(request.axes)},
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


def _sampling_of(message: pb.Sampling) -> Sampling:
    """Decode how answers are drawn."""
    return Sampling(message.seed, message.temperature, message.top_p, message.max_new_tokens)


def _asked(question: str, options: Options, extractor: str, form: AnswerForm) -> tuple[str, tuple[str, ...]]:
    """What the model is asked, and what it may reply; a question without options is asked as it stands."""
    return multiple_choice_prompt(question, options, form), candidates(options, extractor, form) if options else ()


def _nothing_left(rejections: Sequence[Rejection], items_uri: str) -> FailedPrecondition:
    reasons = sorted({rejection.reason for rejection in rejections})
    return FailedPrecondition(
        f"No row of the table is an item; {len(rejections)} were refused: {'; '.join(reasons[:3]) or 'it is empty'}.",
        field="items_uri",
        value=items_uri,
        remedy=rejections[0].remedy if rejections else "Add rows to the table.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
