"""An encoder that a run names, asked of an embedding service that answers late, wrongly, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from services.controller.loop.encoders import encoder_problems, require_encoder
from services.controller.main import build
from services.controller.settings import ControllerSettings
from shared.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.status import from_rpc_error
from tests.support.run_files import write_run_files
from tests.support.servers import running, short_folder


class Embedding(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Answers each question about an encoder with an error, or with yes."""

    def __init__(self, error: MedqError | None = None) -> None:
        self.error = error

    def GetEncoder(
        self, request: embedding_pb2.GetEncoderRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.GetEncoderResponse:
        if self.error is not None:
            raise self.error
        return embedding_pb2.GetEncoderResponse(encoder_id="biomedclip-1", dimension=4)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture
def channels(folder: Path) -> Iterator[Channels]:
    """To an embedding service whose socket nobody has made, until `serve` does."""
    with Channels({"embedding": f"unix:{folder}/e.sock"}) as channels:
        yield channels


@pytest.fixture
def embedding(folder: Path) -> Iterator[Embedding]:
    servicer = Embedding()
    server = grpc.server(futures.ThreadPoolExecutor(1), interceptors=[ErrorInterceptor("embedding")])
    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{folder}/e.sock")
    server.start()
    yield servicer
    server.stop(0).wait()


def test_a_service_that_does_not_answer_is_no_yes(channels: Channels):
    with pytest.raises(Unavailable, match="embedding service could not be asked") as caught:
        require_encoder(channels, "biomedclip")
    assert (caught.value.field, caught.value.value) == ("encoder", "biomedclip")


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (DeadlineExceeded("It took too long."), DeadlineExceeded),
        (Unavailable("It drains."), Unavailable),
        (PermissionDenied("No right."), PermissionDenied),
        (Internal("An internal error."), Internal),
    ],
)
def test_an_answer_that_is_neither_yes_nor_no_is_an_error_that_names_the_service(
    channels: Channels, embedding: Embedding, answered: MedqError, kind: type[MedqError]
):
    embedding.error = answered
    with pytest.raises(kind, match="embedding service"):
        list(encoder_problems(channels, "biomedclip"))


def test_a_no_is_a_problem_and_a_yes_is_none(channels: Channels, embedding: Embedding):
    assert list(encoder_problems(channels, "biomedclip")) == []
    embedding.error = NotFound("No encoder has this name.", field="encoder", remedy="Use statistics.")
    assert [one.remedy for one in encoder_problems(channels, "biomedclip")] == ["Use statistics."]
    with pytest.raises(InvalidArgument):
        require_encoder(channels, "biomedclip")


def test_the_encoder_without_weights_needs_nobody(channels: Channels):
    assert list(encoder_problems(channels, "statistics")) == []


def test_a_run_neither_starts_nor_passes_while_its_encoder_cannot_be_checked(folder: Path, channels: Channels):
    settings = ControllerSettings(state_folder=folder / "state", listen=f"unix:{folder}/c.sock")
    bus = SqliteEventBus(folder / "events.sqlite")
    config, base = write_run_files(folder / "files", encoder="biomedclip"), str(folder / "files")
    with ExitStack() as stack:
        stack.callback(bus.close)
        service = build(settings, channels, bus, FolderObjectStore(folder / "objects"))
        stack.enter_context(running(service, bus, settings))
        # Without the product's own retries, so that the answer is that of one call.
        plain = grpc.insecure_channel(settings.listen, options=[("grpc.enable_retries", 0)])
        stub = ControllerServiceStub(stack.enter_context(plain))
        for call, request in (
            (stub.ValidateRun, pb.ValidateRunRequest(config_yaml=config, base_folder=base)),
            (stub.StartRun, pb.StartRunRequest(run_id="r1", config_yaml=config, base_folder=base)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            error = from_rpc_error(caught.value)
            assert isinstance(error, Unavailable)
            assert "embedding service" in error.message
        assert not stub.ListRuns(pb.ListRunsRequest()).runs
