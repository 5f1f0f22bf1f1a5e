"""Requests, several at a time, to the services, and what they leave behind."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message

from medq.operations.v1 import operations_pb2 as pb
from tests.fuzz.aftermath import measured, what_is_wrong
from tests.fuzz.findings import OF_THE_ROUND, Finding
from tests.fuzz.limits import MARKER, MIB, MOST_CALL_SECONDS, MOST_PEAK_BYTES, WAIT_SECONDS
from tests.fuzz.requests import Call, call_of
from tests.fuzz.services import Services
from tests.fuzz.valid import first_requests, valid_requests
from tests.fuzz.world import World

#: Calls at a time: enough that they meet, few enough that a service's threads are never all busy.
_AT_A_TIME = 4
#: Requests after which the peak of memory is looked at, so that few may have caused it.
_LOOK_EVERY = 100
_FIRST_SECONDS = 120.0
#: Statuses that say whose fault it was: the caller's, or a limit that the caller has reached.
_GOOD = frozenset(
    {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE", "ABORTED"}
    | {"RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"}
)
#: Stands between what an error says and its metadata.
_METADATA_MARK = " with metadata "
_WAITING = ("WaitOperation", "Watch")
_ENDED = (pb.OPERATION_STATE_SUCCEEDED, pb.OPERATION_STATE_FAILED, pb.OPERATION_STATE_CANCELLED)


@dataclass
class Requests:
    """What came of a round.

    Attributes:
        outcomes: Status to how often.
        findings: What is wrong.
        started: Operation to the case that began it.
        seconds: How long the calls took together.
        slowest: Seconds of the slowest call.
        figures: What was measured of the process, for the table.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    started: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0
    figures: dict[str, str] = field(default_factory=dict)


def send_requests(
    services: Services,
    world: World,
    seed: int,
    numbers: Iterable[int],
    show: Callable[[int], None],
    left_out: frozenset[str] = frozenset(),
) -> Requests:
    """Warm the services up, send the cases, and look at what is left.

    Args:
        services: Just started on this world.
        world: Its files and datasets; the results of the first operations come in.
        seed: Decides, with its number, what a case is.
        numbers: Of the cases.
        show: Is told how many are done.
        left_out: Methods that are not called.
    """
    round_ = Requests()
    valid = _warm_up(services, world, left_out)
    before = measured(services, world)
    services.reset_peak()
    began = time.monotonic()
    calls = ((number, call_of(seed, number, world, valid)) for number in numbers)
    _send_all(services, (case for case in calls if case[1].method not in left_out), show, round_)
    round_.seconds = time.monotonic() - began
    if services.is_alive:
        round_.findings += what_is_wrong(services, world, before, round_.started, round_.figures)
    return round_


def _warm_up(services: Services, world: World, left_out: frozenset[str]) -> dict[str, Message]:
    """The operations that the others build on; then a valid request of each kind, so that libraries are loaded."""
    for service, name, request in first_requests(world):
        _fill(request, world)
        _send(services, _call_of(service, request))
        ended = _await(services, service, request.operation_id)  # type: ignore[attr-defined]
        if ended.state != pb.OPERATION_STATE_SUCCEEDED:
            raise RuntimeError(f"The world cannot be made: {request.DESCRIPTOR.name}: {ended}")
        if name:
            world.uris[name] = ended.result_uri
    valid = valid_requests(world)
    for request in valid.values():
        service = _service_of(request)
        if service and request.DESCRIPTOR.name.removesuffix("Request") not in left_out:
            _send(services, _call_of(service, request))
    deadline = time.monotonic() + _FIRST_SECONDS
    while services.unfinished() and time.monotonic() < deadline:
        time.sleep(0.2)
    return valid


def _fill(request: Message, world: World) -> None:
    """Put URIs for the names in braces."""
    for described, value in request.ListFields():
        if isinstance(value, str) and value.startswith("{"):
            setattr(request, described.name, world.uris[value.strip("{}")])


def _service_of(request: Message) -> str:
    package = request.DESCRIPTOR.file.package.split(".")
    return package[1] if package[0] == "medq" and package[1] != "operations" else ""


def _call_of(service: str, request: Message) -> Call:
    file = request.DESCRIPTOR.file
    found = next(iter(file.services_by_name.values()))
    path = f"/{found.full_name}/{request.DESCRIPTOR.name.removesuffix('Request')}"
    return Call(service, path, request.SerializeToString(), "valid")


def _await(services: Services, service: str, operation_id: str) -> pb.Operation:
    deadline = time.monotonic() + _FIRST_SECONDS
    while True:
        request = pb.GetOperationRequest(operation_id=operation_id)
        found = services.operations(service).GetOperation(request, timeout=30).operation
        if found.state in _ENDED or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _send_all(
    services: Services, cases: Iterator[tuple[int, Call]], show: Callable[[int], None], round_: Requests
) -> None:
    lock, n_done = threading.Lock(), 0

    def work() -> None:
        nonlocal n_done
        while services.is_alive:
            with lock:
                number, call = next(cases, (OF_THE_ROUND, None))
            if call is None:
                return
            started = time.monotonic()
            status, said = _send(services, call)
            seconds = time.monotonic() - started
            wrong = _wrong(call, status, said, seconds, services)
            with lock:
                n_done += 1
                round_.outcomes[status] += 1
                round_.slowest = max(round_.slowest, seconds)
                if wrong:
                    round_.findings.append(
                        Finding("request", number, wrong, f"{call.service} {call.method[:40]}, {call.how}")
                    )
                if status == "OK" and call.method.startswith("Start"):
                    round_.started[call.service, _text(said)] = number
                if n_done % _LOOK_EVERY == 0:
                    round_.findings += _peak(services, number)
                show(n_done)

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for done in [pool.submit(work) for _ in range(_AT_A_TIME)]:
            done.result()


def _send(services: Services, call: Call) -> tuple[str, bytes]:
    """The status, and every byte that came back: answers, or what the error says."""
    channel = services.channels[call.service]
    deadline = WAIT_SECONDS if call.method in _WAITING else MOST_CALL_SECONDS
    try:
        if call.is_request_stream:
            answers = channel.stream_stream(call.path)(iter([call.body]), timeout=deadline, metadata=call.metadata)
            return "OK", b"".join(answers)
        if call.is_response_stream:
            answers = channel.unary_stream(call.path)(call.body, timeout=deadline, metadata=call.metadata)
            return "OK", b"".join(answers)
        return "OK", bytes(channel.unary_unary(call.path)(call.body, timeout=deadline, metadata=call.metadata))
    except grpc.RpcError as error:
        details = f"{error.details()}{_METADATA_MARK}{error.trailing_metadata()}"  # type: ignore[attr-defined]
        return error.code().name, details.encode("utf-8", "replace")  # type: ignore[attr-defined]


def _wrong(call: Call, status: str, said: bytes, seconds: float, services: Services) -> str:
    """What is wrong with an answer; "" where nothing is."""
    if MARKER.encode() in said and MARKER.encode() not in call.body:
        return f"{status}: the answer holds what nobody may see: {said[:300]!r}"
    if not services.is_alive:
        return "the services died"
    if status == "DEADLINE_EXCEEDED" and call.method in _WAITING:
        return ""
    if status not in _GOOD:
        return f"{status}: {said.decode(errors='replace').partition(_METADATA_MARK)[0][:300]}"
    return f"it took {seconds:.0f} s" if seconds > MOST_CALL_SECONDS else ""


def _peak(services: Services, number: int) -> list[Finding]:
    if not services.is_alive or services.memory("VmHWM") <= MOST_PEAK_BYTES:
        return []
    peak = services.memory("VmHWM") // MIB
    services.reset_peak()
    return [Finding("request", OF_THE_ROUND, f"the services took {peak} MiB at their peak, near request {number}")]


def _text(answer: bytes) -> str:
    """The one text of a `Start...Response`."""
    return pb.GetOperationRequest.FromString(answer).operation_id
