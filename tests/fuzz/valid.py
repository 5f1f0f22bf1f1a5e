"""A request of each method that can work: what the others are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from medq.controller.v1 import controller_pb2 as controller
from medq.embedding.v1 import embedding_pb2 as embedding
from medq.evaluation.v1 import evaluation_pb2 as evaluation
from medq.operations.v1 import operations_pb2 as operations
from medq.oracle.v1 import oracle_pb2 as oracle
from medq.oracle.v1 import review_pb2 as review
from medq.retrieval.v1 import retrieval_pb2 as retrieval
from medq.training.v1 import training_pb2 as training
from tests.fuzz.texts import YAML_SEED
from tests.fuzz.world import World

_RUN = {"run_id": "valid", "arm": "arm"}


def first_requests(world: World) -> list[tuple[str, str, Message]]:
    """Service, name of the result and request of the operations that the others build on, in their order."""
    pool, dev = world.inputs / "pool", world.inputs / "dev"
    ingest, index = embedding.StartIngestRequest, retrieval.StartIndexImagesRequest
    return [
        ("embedding", "pool", ingest(operation_id="first/pool", source_uri=str(pool), split="pool", run_id="valid")),
        ("embedding", "dev", ingest(operation_id="first/dev", source_uri=str(dev), split="dev", run_id="valid")),
        ("retrieval", "", index(operation_id="first/index-pool", image_set_uri="{pool}")),
        ("retrieval", "", index(operation_id="first/index-dev", image_set_uri="{dev}")),
        ("evaluation", "bench", _import_benchmark(world, "first/bench", "{dev}")),
        ("oracle", "known", oracle.StartImportKnownAnswersRequest(operation_id="first/known", benchmark_uri="{bench}")),
    ]


def valid_requests(world: World) -> dict[str, Message]:
    """Method name to a request; every method that a server answers has one."""
    uri = world.uris
    made = [
        embedding.StartIngestRequest(
            operation_id="v/ingest",
            source_uri=str(world.inputs / "pool"),
            split="pool",
            default_modality="ct",
            **_run_id,
        ),
        embedding.StartReembedRequest(
            operation_id="v/reembed", image_set_uri=uri["pool"], encoder="statistics", **_run_id
        ),
        embedding.GetImageRequest(image_id=uri["image"].removeprefix("sha256:")),
        embedding.GetGreyLevelsRequest(image_id=uri["image"].removeprefix("sha256:")),
        embedding.GetThumbnailRequest(image_id=uri["image"].removeprefix("sha256:"), side=64),
        embedding.EmbedTextsRequest(texts=["noise", "blur"], encoder="statistics"),
        embedding.GetEncoderRequest(encoder="statistics"),
        *_retrieval(uri),
        *_evaluation(world),
        *_oracle(uri),
        *_reviews(),
        *_training(world),
        *_controller(world),
        operations.GetOperationRequest(operation_id="first/pool"),
        operations.WaitOperationRequest(operation_id="first/pool", seen_revision=0, wait=Duration(seconds=1)),
        operations.CancelOperationRequest(operation_id="v/ingest"),
        operations.DownloadDatasetRequest(uri=uri["pool"], file_names=["images.jsonl"]),
        operations.ListOperationsRequest(id_prefix="first", page_size=10),
    ]
    requests: dict[str, Message] = {type(message).__name__.removesuffix("Request"): message for message in made}
    health = health_pb2.HealthCheckRequest(service="")
    reflected = reflection_pb2.ServerReflectionRequest(host="", list_services="")
    return {
        **requests,
        "Check": health,
        "Watch": health,
        "List": health_pb2.HealthListRequest(),
        "ServerReflectionInfo": reflected,
    }


_run_id = {"run_id": "valid"}


def _retrieval(uri: Mapping[str, str]) -> Sequence[Message]:
    return (
        retrieval.StartIndexImagesRequest(operation_id="v/index", image_set_uri=uri["pool"]),
        retrieval.StartSelectSamplesRequest(
            operation_id="v/select", round=1, failures_uri=uri["failures"], budget=2, tau_sim=0.3, alpha=1.0,
            strategy=retrieval.STRATEGY_RANDOM, seed=3, guard_uris=[uri["dev"]], pool_uris=[uri["pool"]], phash_distance=4,
            neighbours=5, twin_similarity=0.98, **_RUN,
        ),
        retrieval.SearchSimilarRequest(vector=[0.1] * 8, limit=3, modality="ct", split="pool"),
        retrieval.CheckLeakageRequest(
            image_set_uris=[uri["pool"]], guard_uris=[uri["dev"]], phash_distance=4, twin_similarity=0.98
        ),
        retrieval.GetPoolRequest(),
        retrieval.SwitchEncoderRequest(encoder_id="statistics-0123456789abcdef", is_smaller_allowed=True),
    )  # fmt: skip


def _import_benchmark(world: World, operation_id: str, image_set: str) -> Message:
    table = str(world.inputs / "dev.tsv")
    return evaluation.StartImportBenchmarkRequest(
        operation_id=operation_id, items_uri=table, image_set_uri=image_set, split="dev"
    )


def _evaluation(world: World) -> Sequence[Message]:
    uri = world.uris
    sampling = evaluation.Sampling(temperature=1.0, top_p=1.0, max_new_tokens=2, seed=1)
    how = {"sampling": sampling, "extractor": evaluation.EXTRACTOR_STRICT}
    reply = evaluation.StoredReply(options={"A": "Yes", "B": "No"}, answer="A", prediction="The answer is A.")
    return (
        _import_benchmark(world, "v/benchmark", uri["dev"]),
        evaluation.StartEvaluateRequest(
            operation_id="v/evaluate", round=1, model_uri=uri["model"], benchmark_uri=uri["bench"], n_runs=2, **_RUN, **how
        ),
        evaluation.StartMineFailuresRequest(
            operation_id="v/mine", evaluation_uri=uri["evaluation"], benchmark_uri=uri["bench"], image_set_uri=uri["dev"],
            gamma=0.6, visual_weight=0.5, max_clusters=4, n_runs=2, axes=["modality"], min_cell_items=1, min_prototype_size=1,
        ),
        evaluation.StartGenerateRequest(
            operation_id="v/generate", model_uri=uri["model"], questions_uri=uri["questions"], **how
        ),
        evaluation.ScoreRepliesRequest(replies=[reply] * 3),
    )  # fmt: skip


def _oracle(uri: Mapping[str, str]) -> Sequence[Message]:
    policy = oracle.AnnotationPolicy(
        tau_entropy=0.5, tau_agreement=0.5, is_cold_start=True, audit_share=0.1, questions_per_image=1, max_in_flight=2,
        question_mode=oracle.QUESTION_MODE_SEED_RULE, simulated_oracle_accuracy=0.9, simulated_expert_accuracy=1.0,
        target_error_rate=0.05, oracle="simulated", expert=oracle.EXPERT_KIND_SIMULATED, tau_text=0.5, description_tokens=8,
    )  # fmt: skip
    return (
        oracle.GetQuestionBankRequest(),
        oracle.StartAnnotateRequest(
            operation_id="v/annotate", round=1, selection_uri=uri["selection"], model_uri=uri["model"],
            known_answers_uri=uri["known"], benchmark_uri=uri["bench"], policy=policy, seed=1,
            extractor=evaluation.EXTRACTOR_STRICT, **_RUN,
        ),
        oracle.StartImportKnownAnswersRequest(operation_id="v/known", benchmark_uri=uri["bench"]),
    )  # fmt: skip


def _reviews() -> Sequence[Message]:
    task = {"task_id": "0" * 32}
    return (
        review.ListTasksRequest(run_id="valid", state=review.TASK_STATE_OPEN, page_size=5),
        review.GetTaskRequest(**task),
        review.GetTaskImageRequest(**task),
        review.CountTasksRequest(run_id="valid"),
        review.LeaseTasksRequest(reviewer="ann", count=2, seconds=1),
        review.DecideTaskRequest(
            revision=1,
            action=review.REVIEW_ACTION_EDIT,
            answer="A",
            reason="r",
            active_seconds=1.5,
            reviewer="ann",
            **task,
        ),
        review.ReleaseTaskRequest(reviewer="ann", **task),
        review.UndoDecisionRequest(revision=1, reviewer="ann", seconds=1, **task),
        review.ReopenTaskRequest(revision=1, reason="r", **task),
        review.CloseTasksRequest(run_id="nobody"),
        review.AssignTasksRequest(run_id="valid", task_ids=["0" * 32], reviewer="ann"),
        review.PrioritizeTasksRequest(run_id="valid", task_ids=["0" * 32], priority=3),
        review.GetReviewStatisticsRequest(run_id="valid"),
        review.VerifyReviewLogRequest(noted_sequence=1, noted_hash="0" * 64),
    )


def _training(world: World) -> Sequence[Message]:
    uri = world.uris
    return (
        training.StartImportModelRequest(operation_id="v/model", folder_uri=str(world.inputs / "run" / "model")),
        training.StartBuildDatasetRequest(
            operation_id="v/build", round=1, decisions_uri=uri["decisions"], replay_ratio=0.5, image_set_uris=[uri["pool"]],
            guard_uris=[uri["dev"]], phash_distance=4, tfidf_threshold=0.9, seed=1, twin_similarity=0.98, **_RUN,
        ),
        training.StartTrainRequest(
            operation_id="v/train", model_uri=uri["model"], dataset_uri=uri["dataset"], learning_rate=1e-4, epochs=1,
            batch_size=2, gradient_accumulation=1, loss=training.LOSS_REDUCTION_TOKEN_MEAN, warmup_ratio=0.1, round=1, **_RUN,
        ),
    )  # fmt: skip


def _controller(world: World) -> Sequence[Message]:
    base = str(world.inputs / "run")
    cost = controller.Cost(key="k", kind="oracle", usd=0.01, tokens=10)
    egress = controller.Egress(
        endpoint="gpt-4o",
        host="api.example.org",
        model="gpt-4o",
        purpose="judge",
        key="k",
        text_sha256="0" * 64,
        n_bytes=9,
    )
    return (
        controller.ValidateRunRequest(config_yaml=world.run_yaml, base_folder=base),
        controller.StartRunRequest(run_id="valid-run", config_yaml=YAML_SEED, base_folder=base),
        controller.GetRunRequest(run_id="valid-run"),
        controller.ListRunsRequest(page_size=10),
        controller.GetReportRequest(run_id="valid-run"),
        controller.EstimateRunRequest(config_yaml=world.run_yaml, base_folder=base),
        controller.GetLineageRequest(run_id="valid-run", sample_id="s"),
        controller.GetLineageRequest(run_id="valid-run", item_id="1"),
        controller.ListDrawnRequest(run_id="valid-run", arm="a", searches=["p000"], page_size=5),
        controller.ListDevItemsRequest(run_id="valid-run", arm="a", modality="ct", page_size=5),
        controller.ReserveCostsRequest(run_id="costs", costs=[cost], request_id="reserve"),
        controller.SettleCostsRequest(run_id="costs", costs=[cost]),
        controller.ReleaseCostsRequest(run_id="costs", request_id="reserve", keys=["k"]),
        controller.ListCostsRequest(run_id="costs", page_size=5),
        controller.RecordEgressRequest(run_id="costs", egress=[egress], request_id="leaving"),
        controller.ListEgressRequest(run_id="costs", page_size=5),
        controller.GetEndpointsRequest(),
    )
