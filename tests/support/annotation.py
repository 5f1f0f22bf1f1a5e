"""A small stored world for the oracle service, and the services that it calls."""

from __future__ import annotations

from collections import Counter
from concurrent import futures

import grpc
import sqlalchemy as sa

from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.database import create_engine, sqlite_url
from shared.errors import BudgetExhausted, FailedPrecondition
from shared.objects.dataset import publish, read_rows
from shared.rows.annotation import Generation, Question
from shared.rows.benchmark import Item
from shared.rows.selection import Sample
from shared.rpc.interceptors import ErrorInterceptor
from tests.support.evaluation import put_image, put_model
from tests.support.rows import build

QUESTIONS = {
    "Is it blurred?": ("yes_no", "blur", {"A": "Yes", "B": "No"}),
    "What is wrong?": ("what", "noise", {"A": "Noise", "B": "Blur", "C": "Nothing"}),
    "How good is it?": ("how", "", {"A": "Good", "B": "Usable", "C": "Reject"}),
}


def put_rows(objects, kind, **files):
    """A dataset of these JSONL files; its uri."""
    content = {f"{name}.jsonl": rows for name, rows in files.items()}
    return publish(objects, kind, content, counts={}, parents=[], configuration={})


def items(image_uris, modality="ct"):
    """Each question about each image; the right answer is the first option for even images, the second for odd ones."""
    return [
        build(
            Item,
            item_id=f"{number}-{question_type}",
            image_id=uri.removeprefix("sha256:"),
            image_uri=uri,
            question=question,
            options=options,
            answer="AB"[number % 2],
            question_type=question_type,
            attribute=attribute,
            modality=modality,
        )
        for number, uri in enumerate(image_uris)
        for question, (question_type, attribute, options) in QUESTIONS.items()
    ]


def samples(image_uris, modality="ct", capability="question_type:what"):
    """The rows of a selection of these images."""
    return [
        build(
            Sample,
            sample_id=f"sample-{number}",
            image_id=uri.removeprefix("sha256:"),
            image_uri=uri,
            modality=modality,
            capability=capability,
        )
        for number, uri in enumerate(image_uris)
    ]


class OracleWorld:
    """Pool images with known answers, a selection of them, and a dev benchmark with the same questions."""

    def __init__(self, objects, n_images=4):
        self.objects = objects
        self.image_uris = [put_image(objects, level) for level in range(n_images)]
        self.benchmark_uri = put_rows(objects, "benchmark", items=items(self.image_uris))
        dev = [put_image(objects, 200)]
        self.dev_uri = put_rows(objects, "benchmark", items=items(dev))
        self.selection_uri = put_rows(objects, "selection", samples=samples(self.image_uris))
        self.model_uri = put_model(objects)

    def truth(self, image_id, question):
        number = self.image_uris.index(f"sha256:{image_id}")
        options = QUESTIONS[question][2]
        return "AB"[number % 2] if len(options) > 1 else "A"


class FakeNeighbours(
    controller_pb2_grpc.ControllerServiceServicer,
    evaluation_pb2_grpc.EvaluationServiceServicer,
    operations_pb2_grpc.OperationsServiceServicer,
):
    """A ledger with a limit on the number of reservations, and a model that answers by a rule.

    Attributes:
        reserved: The keys of all reservations, in order.
        settled: What was settled, once for each key.
        released, unknown: The keys that were closed as that, in order.
        egress: What was about to leave, in order.
        targets: What a client of the controller is told of the other services.
        in_flight: The keys whose reservation is open.
        most_in_flight_of: How many were open at most, by kind of call.
    """

    def __init__(self, objects):
        self.objects = objects
        self.limit = 10**9
        self.fail_after = 10**9  # settled costs
        self.reserved, self.settled, self.in_flight, self.most_in_flight_of = [], [], set(), Counter()
        self.released, self.unknown, self.egress = [], [], []
        self._kinds = {}
        self.generated = []
        self.answer = lambda question: ("A", -0.01)
        self._results = {}
        self.targets = {}
        self._kinds = {}

    def GetEndpoints(self, request, context):
        return controller_pb2.GetEndpointsResponse(targets=self.targets)

    def ReserveCosts(self, request, context):
        if len(self.reserved) + len(request.costs) > self.limit:
            raise BudgetExhausted("The budget is spent.")
        keys = [cost.key for cost in request.costs]
        unknown = [key for key in keys if key in self.in_flight]
        self.reserved += keys
        self.in_flight |= set(keys)
        self._kinds |= {cost.key: cost.kind for cost in request.costs}
        for kind, n in Counter(self._kinds[key] for key in self.in_flight).items():
            self.most_in_flight_of[kind] = max(self.most_in_flight_of[kind], n)
        return controller_pb2.ReserveCostsResponse(unknown_keys=unknown)

    def SettleCosts(self, request, context):
        if len(self.settled) >= self.fail_after:
            raise FailedPrecondition("The ledger is closed.")
        self.settled += [cost for cost in request.costs if cost not in self.settled]
        self.in_flight -= {cost.key for cost in request.costs}
        return controller_pb2.SettleCostsResponse()

    def ReleaseCosts(self, request, context):
        self.released += request.keys
        self.unknown += request.unknown_keys
        self.in_flight -= {*request.keys, *request.unknown_keys}
        return controller_pb2.ReleaseCostsResponse()

    def RecordEgress(self, request, context):
        self.egress += request.egress
        return controller_pb2.RecordEgressResponse()

    def StartGenerate(self, request, context):
        if request.operation_id in self._results:
            return evaluation_pb2.StartGenerateResponse(operation_id=request.operation_id)
        self.generated.append(request)
        rows = []
        for question in read_rows(self.objects, request.questions_uri, Question):
            choice, logprob = self.answer(question)
            rows.append(
                build(
                    Generation,
                    question_id=question.question_id,
                    answer=str(choice),
                    choice=choice,
                    token_logprobs=(logprob, logprob),
                    answer_logprobs=(logprob,),
                )
            )
        self._results[request.operation_id] = put_rows(self.objects, "generations", generations=rows)
        return evaluation_pb2.StartGenerateResponse(operation_id=request.operation_id)

    def WaitOperation(self, request, context):
        operation = operations_pb2.Operation(
            operation_id=request.operation_id,
            state=operations_pb2.OPERATION_STATE_SUCCEEDED,
            revision=2,
            result_uri=self._results[request.operation_id],
        )
        return operations_pb2.WaitOperationResponse(operation=operation)

    def serve(self, folder):
        """Start a server; returns it and the targets of the services that it stands for."""
        server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[ErrorInterceptor("fake")])
        controller_pb2_grpc.add_ControllerServiceServicer_to_server(self, server)
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(self, server)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(self, server)
        target = f"unix:{folder}/fake.sock"
        server.add_insecure_port(target)
        server.start()
        return server, {"controller": target, "evaluation": target}


def leave_unfinished(database, operation_id):
    """Take back that an operation ended, as if its process had been killed before it wrote so."""
    engine = create_engine(sqlite_url(database))
    with engine.begin() as connection:
        statement = sa.text("UPDATE operations SET state = 'running', failure = '' WHERE operation_id = :id")
        connection.execute(statement, {"id": operation_id})
    engine.dispose()
