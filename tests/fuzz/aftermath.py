"""What the services hold once all requests were answered: their operations, their memory, their log, and all that is stored."""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.operations.v1 import operations_pb2 as pb
from shared.errors import MedqError
from shared.objects.dataset import read_manifest
from shared.settings import SERVICES
from tests.fuzz.findings import OF_THE_ROUND, Finding
from tests.fuzz.limits import MARKER, MIB, MOST_GROWTH_BYTES, MOST_MORE_DESCRIPTORS, MOST_MORE_THREADS, SETTLE_SECONDS
from tests.fuzz.services import Services, stop
from tests.fuzz.world import World

#: Reasons of a failure that say that it was no fault of a request.
_BAD_REASONS = ("INTERNAL", "UNSPECIFIED", "", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED")
_RAISED = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Exit|Interrupt)\b")
_PNG_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class Measured:
    """Bytes, threads and open files of the services, and the names of all objects."""

    memory: int
    threads: int
    descriptors: int
    objects: frozenset[str]


def measured(services: Services, world: World) -> Measured:
    """How they are now."""
    names = frozenset(path.name for path in object_files(world))
    return Measured(services.memory(), services.n_threads(), services.n_descriptors(), names)


def object_files(world: World) -> list[Path]:
    """Every stored object."""
    return [path for path in (world.state / "objects" / "objects").rglob("*") if path.is_file()]


def what_is_wrong(
    services: Services, world: World, before: Measured, started: Mapping[tuple[str, str], int], figures: dict[str, str]
) -> list[Finding]:
    """Everything that should not be.

    Args:
        services: Still running.
        world: What they were given.
        before: What was measured after the warm-up.
        started: Operation to the case that began it.
        figures: Filled with what was measured.
    """
    found = list(_operations(services, started))
    deadline = time.monotonic() + SETTLE_SECONDS  # what ended a moment ago is let go of
    while (grown := list(_growth(services, before, figures))) and time.monotonic() < deadline:
        time.sleep(0.5)
    found += [_of_round(text) for text in grown]
    found += [_of_round(text) for text in _health(services)]
    found += [_of_round(text) for text in _log(services)]
    found += [_of_round(text) for text in _stored(services, world, before.objects, figures)]
    if not stop(services.process):
        found.append(_of_round("the services do not stop at SIGTERM"))
    return found


def _of_round(text: str) -> Finding:
    return Finding("request", OF_THE_ROUND, text)


def _operations(services: Services, started: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    """Every operation ends, or does once it is called off; none ends with a failure that nobody can act on."""
    _settle(services)
    for service, operation_id in services.unfinished():
        request = pb.CancelOperationRequest(operation_id=operation_id)
        services.operations(service).CancelOperation(request, timeout=30)
    _settle(services)
    for service, operation in services.all_operations():
        failure, wrong = operation.failure, ""
        if operation.state in (pb.OPERATION_STATE_PENDING, pb.OPERATION_STATE_RUNNING):
            wrong = "the operation does not end, nor when it is called off"
        elif operation.state == pb.OPERATION_STATE_FAILED and failure.reason in _BAD_REASONS:
            wrong = f"the operation ended with {failure.reason}: {failure.message[:200]}"
        elif MARKER in str(failure):
            wrong = f"the failure holds what nobody may see: {str(failure)[:300]}"
        if wrong:
            number = started.get((service, operation.operation_id), OF_THE_ROUND)
            where = "" if number >= 0 else f" ({service} {operation.operation_id})"
            yield Finding("request", number, wrong + where, f"{service} {operation.kind.rpartition('.')[2]}")


def _settle(services: Services) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while services.unfinished() and time.monotonic() < deadline:
        time.sleep(0.5)


def _growth(services: Services, before: Measured, figures: dict[str, str]) -> Iterator[str]:
    memory, threads, descriptors = services.memory(), services.n_threads(), services.n_descriptors()
    figures["memory"] = f"{before.memory // MIB} to {memory // MIB} MiB"
    figures["threads"] = f"{before.threads} to {threads}"
    figures["open files"] = f"{before.descriptors} to {descriptors}"
    if memory - before.memory > MOST_GROWTH_BYTES:
        yield f"the services grew from {before.memory // MIB} to {memory // MIB} MiB"
    if threads - before.threads > MOST_MORE_THREADS:
        yield f"the services had {before.threads} threads and have {threads}"
    if descriptors - before.descriptors > MOST_MORE_DESCRIPTORS:
        yield f"the services had {before.descriptors} files open and have {descriptors}"


def _health(services: Services) -> Iterator[str]:
    for name in SERVICES:
        try:
            stub = health_pb2_grpc.HealthStub(services.channels[name])
            status = stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status
        except grpc.RpcError as error:
            yield f"health of {name} does not answer: {error.code()}"  # type: ignore[attr-defined]
        else:
            if status != health_pb2.HealthCheckResponse.SERVING:
                yield f"health of {name} is {status}"


def _log(services: Services) -> Iterator[str]:
    """What was not foreseen, each once, by the last line of what was raised."""
    counts = Counter(
        f"{line['event']} {line['method']}: {_last_line(line['exception'])}" for line in services.complaints()
    )
    for text, n in counts.items():
        yield f"the log has {n} x {text}"


def _last_line(exception: str) -> str:
    """What was raised: the last line that begins with the name of a class."""
    lines = [line for line in exception.splitlines() if _RAISED.match(line)]
    return lines[-1][:200] if lines else exception[:200]


def _stored(services: Services, world: World, first: frozenset[str], figures: dict[str, str]) -> Iterator[str]:
    """Nothing holds what nobody may see; each object was there before, belongs to a result, or is a picture of pixels alone."""
    named = set(world.uris.values())
    objects = world.objects()
    results = [operation.result_uri for _, operation in services.all_operations() if operation.result_uri]
    results += list(_reports(services))
    for uri in {*results, *named}:
        try:
            manifest = read_manifest(objects, uri)
        except MedqError:
            continue
        named |= {uri, *(f"sha256:{entry.sha256}" for entry in manifest.files.values())}
    n_objects = 0
    for path in object_files(world):
        n_objects += 1
        if path.name not in first and f"sha256:{path.name}" not in named and not is_bare_picture(path):
            yield f"the object {path.name} belongs to no result; it begins with {path.read_bytes()[:80]!r}"
    figures["objects"] = str(n_objects)
    for path in (*world.state.rglob("*"), services.log):
        if path.is_file() and not path.is_symlink() and MARKER.encode() in path.read_bytes():
            yield f"{path.relative_to(world.folder)} holds what nobody may see"


def _reports(services: Services) -> Iterator[str]:
    """The reports of all runs, those of failed ones among them, which are results of no operation."""
    stub = controller_pb2_grpc.ControllerServiceStub(services.channels["controller"])
    for service, operation in services.all_operations():
        if service == "controller":
            try:
                request = controller_pb2.GetReportRequest(run_id=operation.operation_id)
                yield stub.GetReport(request, timeout=10).report_uri
            except grpc.RpcError:
                continue  # it has none


def is_bare_picture(path: Path) -> bool:
    """Whether a file is a PNG of at least 16 pixels a side without any text: what an ingest that failed later may leave."""
    data, at = path.read_bytes(), 8
    if not data.startswith(b"\x89PNG"):
        return False
    while at < len(data):
        if data[at + 4 : at + 8] not in _PNG_CHUNKS:
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    with Image.open(io.BytesIO(data)) as image:
        return min(image.size) >= 16
