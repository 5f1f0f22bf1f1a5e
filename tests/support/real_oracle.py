"""An oracle service whose oracle is behind an endpoint: a server that misbehaves as it is told."""

from __future__ import annotations

from contextlib import contextmanager

from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from services.oracle.main import build
from services.oracle.settings import OracleSettings
from shared.chat.endpoints import Endpoint
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.outside.endpoint import SiteEndpoints
from shared.rows.annotation import Decision, Generation, Question, Summary, Unanswered
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from tests.support.annotation import FakeNeighbours, OracleWorld, put_rows
from tests.support.chat_server import says
from tests.support.oracle_answers import answer_to_task
from tests.support.rows import build as row_of
from tests.support.servers import running

N_IMAGES = 4
#: What a well-behaved oracle proposes for an image: three questions with options, and a description.
N_EACH = 4


def well(body):
    """What an oracle says that does what it is asked."""
    return answer_to_task(body["messages"][-1]["content"][-1]["text"], body["response_format"]["json_schema"]["schema"])


class Neighbours(FakeNeighbours):
    """A model that is sure, of letters by the first option, and of descriptions by one sentence."""

    description = "It looks well. Overall, the quality of this image is good."

    def StartGenerate(self, request, context):
        described = [one for one in read_rows(self.objects, request.questions_uri, Question) if not one.options]
        if not described:
            return super().StartGenerate(request, context)
        self.generated.append(request)
        rows = [
            row_of(
                Generation, question_id=one.question_id, answer=self.description, choice=None,
                token_logprobs=(-0.1, -0.3), answer_logprobs=(-0.1,),
            )
            for one in described
        ]  # fmt: skip
        self._results[request.operation_id] = put_rows(self.objects, "generations", generations=rows)
        return evaluation_pb2.StartGenerateResponse(operation_id=request.operation_id)


class House:
    """An oracle service that may ask one endpoint."""

    def __init__(self, folder, chat, n_images=N_IMAGES):
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.world, self.neighbours = OracleWorld(self.objects, n_images), Neighbours(self.objects)
        self.fake_server, self.targets = self.neighbours.serve(folder)
        self.bus = SqliteEventBus(folder / "events.sqlite")
        self.settings = OracleSettings(state_folder=folder / "state", listen=f"unix:{folder}/o.sock")
        self.chat, self.doubt = chat, 0.0
        chat.otherwise = says(well, usage=(1000, 200))

    @contextmanager
    def server(self, **changes):
        values = {
            "base_url": self.chat.base_url, "model": "gpt-4o", "usd_per_million": {"in": 2.5, "out": 10.0},
            "prices_of": "2026-11-01", "may_receive": "images", "tries": 1, **changes,
        }  # fmt: skip
        site = SiteEndpoints({"gpt-4o": Endpoint.model_validate(values)}, lambda pixels: self.doubt, 0.5)
        with Channels(self.targets) as channels:
            service = build(self.settings, channels, self.bus, self.objects, site)
            with running(service, self.bus, self.settings) as channel:
                yield channel

    def annotate(self, channel, operation_id="op", **changes):
        policy = {
            "oracle": "gpt-4o", "expert": pb.EXPERT_KIND_NONE, "is_cold_start": True, "questions_per_image": 3,
            "question_mode": pb.QUESTION_MODE_CAPABILITY_DRIVEN, "max_in_flight": 2, "description_tokens": 64,
            "tau_entropy": 0.5, "tau_entropy_description": 0.5, "tau_agreement": 0.5, "tau_text": 0.5,
        }  # fmt: skip
        fields = {"selection_uri": self.world.selection_uri, "round": 0, "seed": 7}
        for name, value in changes.items():
            (policy if name in policy else fields)[name] = value
        request = pb.StartAnnotateRequest(
            operation_id=operation_id, run_id="run", arm="arm", model_uri=self.world.model_uri,
            benchmark_uri=self.world.dev_uri, policy=pb.AnnotationPolicy(**policy), **fields,
        )  # fmt: skip
        OracleServiceStub(channel).StartAnnotate(request)
        self.uri = await_operation(channel, operation_id).result_uri
        rows = read_rows(self.objects, self.uri, Decision)
        return rows, read_rows(self.objects, self.uri, Unanswered), read_object(self.objects, self.uri, Summary)
