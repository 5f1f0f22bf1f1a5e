"""Composition root of the evaluation service."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from google.protobuf.message import Message

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from services.evaluation.adapters.benchmark_table import read_table
from services.evaluation.adapters.model_server import InProcessModelServer, LoadModel
from services.evaluation.migrations import SCHEMA
from services.evaluation.operations.answers import AnswerOperations
from services.evaluation.operations.benchmarks import BenchmarkOperations
from services.evaluation.operations.failures import FailureOperations
from services.evaluation.ports import ModelServer, OpenJudge, VisionLanguageModel
from services.evaluation.service import Evaluation
from services.evaluation.settings import EvaluationSettings
from services.evaluation.store import AnswerStore, JudgeReplyStore, VerdictStore
from services.evaluation.work.answering import Answering
from services.evaluation.work.describing import DescriptionReader
from services.evaluation.work.judge_calls import SiteJudges
from services.evaluation.work.reading import ReplyReader
from shared.chat.endpoints import read_endpoints
from shared.events.bus import EventBus
from shared.objects.images import read_image
from shared.objects.store import ObjectStore
from shared.operation_context import OperationFunction
from shared.operations import Operations
from shared.outside.endpoint import SiteEndpoints
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.input_roots import roots_of
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(
    settings: EvaluationSettings,
    channels: Channels,
    bus: EventBus,
    objects: ObjectStore,
    load_model: LoadModel | None = None,
    open_judge: OpenJudge | None = None,
) -> Service:
    """Put the service together.

    Args:
        settings: Its settings.
        channels: Where `embedding` and `retrieval` are found, and `controller`, which keeps the accounts of judges.
        bus: Unused: the service neither publishes nor listens.
        objects: Where datasets and models lie.
        load_model: Makes a model from a checkpoint folder, in this process; None: as the settings say, by transformers
            here or on an OpenAI-compatible server.
        open_judge: Finds a judge; None: among the endpoints of the site.
    """
    engine = open_database(settings, SCHEMA)
    models = _model_server(settings, objects, load_model)
    answering = Answering(partial(read_image, objects), AnswerStore(engine), models, settings.batch_answers)
    # Judges are sent texts alone, so nobody looks for text in images: none may leave.
    site = SiteEndpoints(read_endpoints(settings.endpoints))
    find_judge = open_judge or SiteJudges(site, JudgeReplyStore(engine), channels)
    verdicts = VerdictStore(engine)
    describer = DescriptionReader(find_judge, verdicts)
    answers = AnswerOperations(objects, answering, ReplyReader(verdicts), describer, find_judge)
    operations = Operations(
        "evaluation",
        engine,
        _long_work(settings, channels, objects, answers),
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
        n_workers=_n_at_once(settings),
    )
    servicer = Evaluation(operations, roots_of(settings))

    def close() -> None:
        models.close()
        site.close()
        engine.dispose()

    return Service(
        name="evaluation",
        full_name="medq.evaluation.v1.EvaluationService",
        register=partial(pb_grpc.add_EvaluationServiceServicer_to_server, servicer),
        operations=operations,
        objects=objects,
        close=close,
    )


def main() -> None:
    """Serve until SIGTERM."""
    serve("evaluation", EvaluationSettings(), build)


def _long_work(
    settings: EvaluationSettings, channels: Channels, objects: ObjectStore, answers: AnswerOperations
) -> dict[type[Message], OperationFunction]:
    """Who does what is asked."""
    benchmarks = BenchmarkOperations(objects, channels, read_table, roots_of(settings))
    failures = FailureOperations(objects, channels)
    return {
        pb.StartImportBenchmarkRequest: benchmarks.import_benchmark,
        pb.StartEvaluateRequest: answers.evaluate,
        pb.StartGenerateRequest: answers.generate,
        pb.StartMineFailuresRequest: failures.mine_failures,
    }


def _model_server(settings: EvaluationSettings, objects: ObjectStore, load_model: LoadModel | None) -> ModelServer:
    """Who answers."""
    if load_model is None and settings.vllm.base_url:
        from services.evaluation.adapters.vllm_model_server import vllm_model_server

        return vllm_model_server(objects, settings.vllm)
    load = load_model or partial(_load_transformers, settings)
    return InProcessModelServer(objects, settings.state_folder / "cache", load, _n_at_once(settings))


def _n_at_once(settings: EvaluationSettings) -> int:
    """Operations at the same time; a server apart has one model, which two would swap at each batch."""
    return 1 if settings.vllm.base_url else settings.operation_workers


def _load_transformers(settings: EvaluationSettings, folder: Path) -> VisionLanguageModel:
    import torch
    from transformers.utils import logging

    from services.evaluation.adapters.transformers_model import TransformersModel

    logging.disable_progress_bar()
    torch.set_num_threads(settings.n_torch_threads)
    return TransformersModel(folder, settings.device, settings.batch_size)
