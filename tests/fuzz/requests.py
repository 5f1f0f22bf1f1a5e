"""Requests, each decided by seed and number: valid ones changed, random ones, and bytes that are no message."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from medq.operations.v1 import operations_pb2
from shared.settings import SERVICES
from tests.fuzz.messages import changed_message, random_message
from tests.fuzz.mutations import Rng, below, mutated
from tests.fuzz.texts import yaml_case
from tests.fuzz.world import World

#: What starts a process or loads a model when it is right: it comes less often, and not in the slice that tests send.
HEAVY = frozenset({"StartTrain", "StartEvaluate", "StartGenerate", "StartRun", "StartAnnotate"})
_UNKNOWN_METHODS = (
    "/medq.embedding.v1.EmbeddingService/Nothing",
    "/nothing",
    "/a.B/C",
    "//",
    "/%00/x",
    "/" + "a" * 5000,
)
#: Groups and messages within each other without end, a length above what follows, a text that is none, a field that nobody knows.
_BODIES = (
    b"\x0b" * 10_000, b"\x0a\xff\xff\xff\x7f", b"\x0a\x02\xff\xfe", b"\x0a\x03\xed\xa0\x80", b"\xf8\xff\xff\xff\x0f\x01" * 1000,
    b"\xff" * 11, b"\x00", b"\x0a\x00" * 100_000, b"\xfa\x07\x80\x80\xc0\x02" + b"x" * 5 * 2**20,
)  # fmt: skip
_METADATA: tuple[tuple[tuple[str, str | bytes], ...], ...] = (
    (("authorization", "Bearer x"),), (("authorization", ""),), (("authorization", "Basic " + "A" * 2000),),
    (("traceparent", "00-" + "f" * 32 + "-" + "f" * 16 + "-01"),), (("traceparent", "zz"), ("tracestate", "=,=")),
    (("baggage", "a=b," * 500),), (("x-bin", b"\0\xff" * 50),), (("x-long", "y" * 3000),), (("x-huge", "y" * 20_000),),
    tuple((f"k{n}", "v") for n in range(100)), (("grpc-previous-rpc-attempts", "99"),), (("content-language", "%zz"),),
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A call as it goes over the wire.

    Attributes:
        service: Which of the six is called.
        path: "/package.Service/Method".
        body: The request.
        metadata: Sent with it.
        is_request_stream, is_response_stream: The shape of the method.
        how: How it was made.
    """

    service: str
    path: str
    body: bytes
    how: str
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    is_request_stream: bool = False
    is_response_stream: bool = False

    @property
    def method(self) -> str:
        return self.path.rpartition("/")[2]


def call_of(seed: int, number: int, world: World, valid: Mapping[str, Message]) -> Call:
    """The call of a case; the same for the same seed, number and world."""
    rng = np.random.default_rng([seed, number])
    service, method = _method(rng)
    # A method that has no example yet is called all the same.
    request, kind = valid.get(method.name) or GetMessageClass(method.input_type)(), rng.random()
    if kind < 0.5:
        message, how = changed_message(request, rng, names_of(world)), "changed"
    else:
        message, how = random_message(method.input_type, rng, names_of(world)), "random"
    _name_afresh(message, number, rng)
    if "config_yaml" in message.DESCRIPTOR.fields_by_name and rng.random() < 0.7:
        message.config_yaml = yaml_case(rng).replace("\ud800", "?")  # type: ignore[attr-defined]
    body, path = message.SerializeToString(deterministic=True), f"/{method.containing_service.full_name}/{method.name}"
    if kind > 0.95:
        path, how = _UNKNOWN_METHODS[below(rng, len(_UNKNOWN_METHODS))], "unknown method"
    elif kind > 0.88:
        body, how = rng.bytes(below(rng, 300)) if rng.random() < 0.8 else _BODIES[below(rng, len(_BODIES))], "garbage"
    elif kind > 0.8:
        body, how = mutated(request.SerializeToString(deterministic=True), rng), "torn"
    metadata = _METADATA[below(rng, len(_METADATA))] if rng.random() < 0.06 else ()
    is_streaming = method.name == "ServerReflectionInfo"
    streams = is_streaming or method.name in ("Watch", "DownloadDataset")
    return Call(service, path, body, how, metadata, is_streaming, streams)


@cache
def methods_of(
    service: str,
) -> tuple[tuple[MethodDescriptor, ...], tuple[MethodDescriptor, ...], tuple[MethodDescriptor, ...]]:
    """The methods of a service's own, those of operations, those of health and reflection."""
    own = importlib.import_module(f"medq.{service}.v1.{service}_pb2").DESCRIPTOR
    shared = (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
    beside = tuple(method for file in shared for found in file.services_by_name.values() for method in found.methods)
    return _methods(own), _methods(operations_pb2.DESCRIPTOR), beside


def _methods(file: ServiceDescriptor) -> tuple[MethodDescriptor, ...]:
    return tuple(method for service in file.services_by_name.values() for method in service.methods)


def _method(rng: Rng) -> tuple[str, MethodDescriptor]:
    while True:
        group = below(rng, 20)
        own = [(name, method) for name in SERVICES for method in methods_of(name)[0]]
        if group < 13:
            service, method = own[below(rng, len(own))]
        else:
            service = SERVICES[below(rng, len(SERVICES))]
            found = methods_of(service)[1 if group < 19 else 2]
            method = found[below(rng, len(found))]
        if method.name not in HEAVY or rng.random() < 0.4:
            return service, method


def _name_afresh(message: Message, number: int, rng: Rng) -> None:
    """Most operations have an id that was never used, so that they begin."""
    name = type(message).__name__
    field = "run_id" if name == "StartRunRequest" else "operation_id"
    if name.startswith("Start") and rng.random() < 0.8:
        setattr(message, field, f"fuzz{'-' if field == 'run_id' else '/'}{number}")


_PLACES = (
    "", "pool", "dev", "dev.tsv", "worklist.csv", "worklist.tsv", "odd", "pipe.tsv", "token.tsv", "secrets/token", "run",
    "secrets", "run/model", "linked-model", "odd/pipe.png", "odd/zero.png", "nowhere", "../secrets/token", "../secrets",
    "pool/notes.txt",
)  # fmt: skip
_ABROAD = (
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/dev/zero",
    "/dev/stdin",
    "/etc/passwd",
    "/",
    "/" + "a/" * 3000,
    "/" + "a" * 300,
)


def names_of(world: World) -> dict[str, Sequence[str]]:
    """Texts that mean something, by the end of the name of a field; the longest that fits comes first."""
    paths = [str(world.inputs / place) for place in _PLACES] + list(_ABROAD)
    ids = ["first/pool", "v/ingest", "v/train", "valid-run", "first/known"]
    uris = sorted(world.uris.values())
    return {
        "source_uri": [*paths, *(f"file://{path}" for path in paths), *uris], "items_uri": [*paths, *uris[:5]],
        "folder_uri": paths, "base_folder": paths, "_uri": uris, "_uris": uris, "uri": uris,
        "image_id": [uri.removeprefix("sha256:") for uri in uris], "image_ids": [uri.removeprefix("sha256:") for uri in uris],
        "operation_id": ids, "run_id": ["valid", "valid-run", "costs"], "id_prefix": ["first", "v/", "fuzz/"],
        "split": ["pool", "dev", "test", ""], "default_modality": ["ct", "mri", "unknown", ""], "axes": ["modality", "attribute"],
        "file_names": ["images.jsonl", "report.jsonl", "vectors.npy", "../x"], "kind": ["oracle", "expert", "compute"],
        "config_yaml": [world.run_yaml], "page_token": ["0", "1", "5", "999999999999999999"],
        "keys": ["k"], "request_id": ["reserve"], "service": ["", "medq.embedding.v1.EmbeddingService"],
    }  # fmt: skip
