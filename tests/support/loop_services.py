"""The five services that the controller calls, as one small server: each operation ends at once with a tiny dataset.

A model is known by how often it was trained; each training makes it better on every second item. `hold` keeps an operation
at work until `release`; `failing` makes a step end with a typed failure; `empty` makes its dataset hold no rows; `files` says
what the files of a step hold instead. What is held, left to people or failing is a step of all arms, or one operation by its id.
"""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace
from PIL import Image

from medq.embedding.v1 import embedding_pb2_grpc
from medq.embedding.v1.embedding_pb2 import GetEncoderResponse, GetThumbnailResponse
from medq.evaluation.v1 import evaluation_pb2_grpc
from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc
from medq.oracle.v1 import oracle_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2_grpc
from medq.training.v1 import training_pb2_grpc
from shared.errors import NotFound
from shared.objects.dataset import publish, read_object, read_rows
from shared.objects.images import thumbnail
from shared.rows.annotation import Decision, Generation, KnownAnswer, Question, Summary
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Score, Scores
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.images import Image as ImageRow
from shared.rows.selection import Sample, Selection
from shared.rows.training import Conversation, Dropped, Training
from shared.rpc.interceptors import ErrorInterceptor
from shared.statistics import bootstrap_mean
from tests.support.rows import build

SERVICES = ("embedding", "retrieval", "evaluation", "oracle", "training")
N_ITEMS = 8
MODALITIES = ("ct", "mri")
_BASES = (
    embedding_pb2_grpc.EmbeddingServiceServicer,
    retrieval_pb2_grpc.RetrievalServiceServicer,
    evaluation_pb2_grpc.EvaluationServiceServicer,
    oracle_pb2_grpc.OracleServiceServicer,
    training_pb2_grpc.TrainingServiceServicer,
    operations_pb2_grpc.OperationsServiceServicer,
)
_REGISTER = (
    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server,
    retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server,
    evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server,
    oracle_pb2_grpc.add_OracleServiceServicer_to_server,
    training_pb2_grpc.add_TrainingServiceServicer_to_server,
    operations_pb2_grpc.add_OperationsServiceServicer_to_server,
)


class LoopServices(*_BASES):
    """The servicer of all of them."""

    def __init__(self, objects):
        self.objects = objects
        self.requests = {}
        self.starts = []
        self.held = set()
        self.left_to_people = set()
        self.cancelled = set()
        self.failing = {}
        self.failing_field, self.failing_message = "", "It broke."
        self.stopped = ""
        self.failed = {}
        self.empty = set()
        self.files = {}
        self.is_learning = True
        self.n_items = N_ITEMS
        self.is_right = lambda item, trained: item < 2 + 3 * trained
        self.silent = set()
        self.lost = set()
        self._changed = threading.Condition()

    def GetEncoder(self, request, context):
        """Statistics, and one with weights."""
        if request.encoder not in ("", "statistics", "biomedclip"):
            raise NotFound(
                "No encoder of this site has this name.",
                field="encoder",
                value=request.encoder,
                remedy="Use one of biomedclip, statistics.",
            )
        return GetEncoderResponse(encoder_id=f"{request.encoder}-1", dimension=4)

    def GetThumbnail(self, request, context):
        """Of any object that is an image."""
        png = thumbnail(self.objects, f"sha256:{request.image_id}", request.side or 128)
        return GetThumbnailResponse(png=png)

    def hold(self, step):
        with self._changed:
            self.held.add(step)

    def leave_to_people(self, step):
        """Have a step wait for people, until it is released."""
        self.left_to_people.add(step)
        self.hold(step)

    def release(self, step):
        with self._changed:
            self.left_to_people.discard(step)
            self.held.discard(step)
            self._changed.notify_all()

    def await_request(self, operation_id):
        """Wait until an operation has been asked for."""
        with self._changed:
            if not self._changed.wait_for(lambda: operation_id in self.requests, 20):
                raise TimeoutError(operation_id)

    def WaitOperation(self, request, context):
        with self._changed:
            operation_id = request.operation_id
            self._changed.wait_for(
                lambda: not self._is_held(operation_id) or not context.is_active(),
                request.wait.ToTimedelta().total_seconds(),
            )
            return pb.WaitOperationResponse(operation=self._operation(operation_id))

    def GetOperation(self, request, context):
        with self._changed:
            if request.operation_id not in self.requests:
                raise NotFound("No such operation here.")
            return pb.GetOperationResponse(operation=self._operation(request.operation_id))

    def CancelOperation(self, request, context):
        with self._changed:
            self.cancelled.add(request.operation_id)
            self._changed.notify_all()
        return pb.CancelOperationResponse()

    def _is_held(self, operation_id):
        return bool(self._names(operation_id) & self.held) and operation_id not in self.cancelled

    @staticmethod
    def _names(operation_id):
        return {operation_id, operation_id.split("/")[3]}

    def _operation(self, operation_id):
        if operation_id not in self.requests:
            raise NotFound("No such operation here.")
        step, names = operation_id.split("/")[3], self._names(operation_id)
        if operation_id in self.cancelled:
            return pb.Operation(operation_id=operation_id, revision=9, state=pb.OPERATION_STATE_CANCELLED)
        if names & self.left_to_people:
            told = pb.Progress(done=12, total=40, unit="reviews", message="waiting for reviews: 12 of 40")
            state = pb.OPERATION_STATE_WAITING
            return pb.Operation(operation_id=operation_id, revision=1, state=state, progress=told)
        if names & self.held:
            return pb.Operation(operation_id=operation_id, revision=1, state=pb.OPERATION_STATE_RUNNING)
        if operation_id in self.failed or names & self.failing.keys():
            self.failed.setdefault(
                operation_id, next((self.failing[name] for name in names & self.failing.keys()), None)
            )
            told = {"remedy": "Mend it.", "field": self.failing_field}
            failure = pb.Failure(reason=self.failed[operation_id], message=self.failing_message, metadata=told)
            return pb.Operation(operation_id=operation_id, revision=2, state=pb.OPERATION_STATE_FAILED, failure=failure)
        return pb.Operation(
            operation_id=operation_id, revision=2, state=pb.OPERATION_STATE_SUCCEEDED, worked_seconds=1.5,
            attempts=1, create_time=Timestamp(seconds=1000),
            update_time=Timestamp(seconds=1002), result_uri=self._make(step, self.requests[operation_id]),
        )  # fmt: skip

    def _make(self, step, request):
        if step == "index_images" or getattr(request, "n_shards", 0) > 1:
            return ""
        name = step.split("_")[0] if step.startswith(("ingest", "evaluate")) else step
        if step.startswith("import_") and step not in ("import_known_answers", "import_model"):
            name = "benchmark"
        kind, files = getattr(self, f"_{name}")(request)
        files |= self.files.get(step, {})
        if step in self.empty:
            files = {file: [] if file.endswith(".jsonl") else content for file, content in files.items()}
        counts = {"items": N_ITEMS, "failures": 1, "unscored": 0}
        seed = getattr(request, "round", 0)
        return publish(self.objects, kind, files, counts=counts, parents=[], configuration={}, seed=seed)

    def _ingest(self, request):
        return "image-set", {"images.jsonl": [build(ImageRow, split=request.split)], "report.jsonl": []}

    def _benchmark(self, request):
        return "benchmark", {"items.jsonl": [build(Item, split=request.split)], "report.jsonl": []}

    def _import_known_answers(self, request):
        return "known-answers", {"answers.jsonl": [build(KnownAnswer, item_id=request.benchmark_uri)]}

    def _import_model(self, request):
        return "model", {"training.json": build(Training, n_steps=0)}

    def _evaluate(self, request):
        trained = self._n_trained(request.model_uri) if self.is_learning else 0
        rows = [
            build(
                Answer, arm=request.arm, round=request.round, seed=request.sampling.seed, item_id=f"i{item}",
                source_id=f"s{item}", modality=MODALITIES[item % 2], run=run, model=request.model_uri,
                split="dev" if request.n_runs > 1 else "test", **self._reply(item, trained),
            )
            for item in range(self.n_items)
            for run in range(request.n_runs)
        ]  # fmt: skip
        groups = {name: score([row for row in rows if row.modality == name]) for name in MODALITIES}
        perception = replace(build(Scores).perception, overall=score(rows), by_modality=groups)
        scores = build(Scores, perception=perception)
        return "evaluation", {"answers.jsonl": rows, "scores.json": scores, "unscored.jsonl": []}

    def _reply(self, item, trained):
        """What a model that was trained so often says; from the first training on some modalities may be silent, others lost."""
        modality = MODALITIES[item % 2]
        if trained and modality in self.silent | self.lost:
            return {"choice": None, "scored": False, "correct": None, "evaluated": modality not in self.lost}
        return {"scored": True, "correct": self.is_right(item, trained)}

    def _mine_failures(self, request):
        image = put_image(self.objects).removeprefix("sha256:")
        return "failures", {
            "failures.jsonl": [build(Failure)],
            "capabilities.jsonl": [
                build(CapabilityErrorRate, capability="modality:mri", n_items=4, error_rate=0.75),
                build(
                    CapabilityErrorRate,
                    capability="question_type:what",
                    n_items=8,
                    error_rate=0.375,
                    is_drawn_for=False,
                ),
            ],
            "prototypes.jsonl": [build(PrototypeRow, image_ids=(image,))],
        }

    def _ask_about_pool(self, request):
        questions = read_rows(self.objects, request.questions_uri, Question)
        return "generations", {
            "generations.jsonl": [build(Generation, question_id=row.question_id) for row in questions]
        }

    def _select_samples(self, request):
        detail = build(Selection, requested=request.budget, selected=1)
        return "selection", {"samples.jsonl": [build(Sample)], "selection.json": detail}

    def _annotate(self, request):
        seen = {"route": "review", "expert_action": "accept"}
        unseen = {"route": "self", "expert_action": ""}
        told = seen if request.policy.is_cold_start else unseen
        summary = build(Summary, stopped={"oracle": self.stopped, "expert": ""})
        return "decisions", {
            "decisions.jsonl": [build(Decision, decision_id=f"d{n}", **told) for n in range(3)],
            "unanswered.jsonl": [],
            "summary.json": summary,
        }

    def _build_dataset(self, request):
        samples = [build(Conversation, id=name) for name in ("a", "b")]
        return "dataset", {"train.jsonl": samples, "dropped.jsonl": [build(Dropped)], "lineage.jsonl": []}

    def _train(self, request):
        settings = {"arm": request.arm, "seed": request.seed}
        n_trained = self._n_trained(request.model_uri) + 1
        return "model", {"training.json": build(Training, n_steps=n_trained, settings=settings)}

    def _n_trained(self, model_uri):
        return read_object(self.objects, model_uri, Training).n_steps


def _starter(name):
    response = getattr(__import__("importlib").import_module(_MODULES[name]), f"{name}Response")

    def start(self, request, context):
        with self._changed:
            self.requests[request.operation_id] = request
            self.starts.append(request.operation_id)
            self._changed.notify_all()
        return response(operation_id=request.operation_id)

    return start


_MODULES = {
    **dict.fromkeys(("StartIngest",), "medq.embedding.v1.embedding_pb2"),
    **dict.fromkeys(("StartIndexImages", "StartSelectSamples"), "medq.retrieval.v1.retrieval_pb2"),
    **dict.fromkeys(
        ("StartImportBenchmark", "StartEvaluate", "StartGenerate", "StartMineFailures"),
        "medq.evaluation.v1.evaluation_pb2",
    ),
    **dict.fromkeys(("StartAnnotate", "StartImportKnownAnswers"), "medq.oracle.v1.oracle_pb2"),
    **dict.fromkeys(("StartImportModel", "StartBuildDataset", "StartTrain"), "medq.training.v1.training_pb2"),
}
for _name in _MODULES:
    setattr(LoopServices, _name, _starter(_name))


def serve(services, folder):
    """Serve them on one socket; gives the server and the targets."""
    server = grpc.server(ThreadPoolExecutor(16), interceptors=(ErrorInterceptor("fake"),))
    for register in _REGISTER:
        register(services, server)
    target = f"unix:{folder}/services.sock"
    server.add_insecure_port(target)
    server.start()
    return server, dict.fromkeys(SERVICES, target)


def put_image(objects):
    """A stored grey PNG; its URI."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 99, dtype=np.uint8)).save(buffer, format="PNG")
    return objects.put_bytes(buffer.getvalue())


def score(rows):
    """The score of answer rows."""
    evaluated = [row for row in rows if row.evaluated]
    right, readable = [row.correct is True for row in evaluated], [row.scored for row in evaluated]
    found = bootstrap_mean(right, [row.source_id for row in evaluated], np.random.default_rng(0), n_resamples=50)
    return Score(
        value=found.value, low=found.low, high=found.high, n=found.n, unscored=len(rows) - len(evaluated),
        scored=sum(right) / sum(readable) if any(readable) else None,
        coverage=sum(readable) / len(readable) if readable else None,
    )  # fmt: skip
