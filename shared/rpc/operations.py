"""`medq.operations.v1.OperationsService` over `shared.operations`, and how a caller waits for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import grpc
from google.protobuf.duration_pb2 import Duration

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from shared import operation_table as rows
from shared.errors import BudgetExhausted, Cancelled, FailedPrecondition, InvalidArgument, NotFound, decode_error
from shared.objects.dataset import read_manifest
from shared.objects.store import ObjectStore, uri_of
from shared.operations import Operations
from shared.rpc.checks import read_page_token, require_different, require_prefix, require_uri
from shared.rpc.input_names import require_right_to_names
from shared.status import sent_error

#: Longest time that one call waits, in seconds.
MAX_WAIT_SECONDS = 20.0
#: Largest piece of a downloaded file.
CHUNK_BYTES = 256 * 1024
#: How long a caller goes on asking a service that does not answer (it may be restarting), in seconds.
PATIENCE_SECONDS = 600.0
_STATES = {
    rows.PENDING: pb.OPERATION_STATE_PENDING,
    rows.RUNNING: pb.OPERATION_STATE_RUNNING,
    rows.SUCCEEDED: pb.OPERATION_STATE_SUCCEEDED,
    rows.FAILED: pb.OPERATION_STATE_FAILED,
    rows.CANCELLED: pb.OPERATION_STATE_CANCELLED,
    rows.WAITING: pb.OPERATION_STATE_WAITING,
}
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
TERMINAL_STATES = frozenset(_STATES[state] for state in rows.TERMINAL)


class OperationsServicer(pb_grpc.OperationsServiceServicer):
    """Serves the operations of one service.

    Args:
        operations: The operations.
        max_waiters: Callers that may wait at the same time; the next one gets RESOURCE_EXHAUSTED.
        objects: Where results lie; None where no operation of the service makes any.
    """

    def __init__(self, operations: Operations, max_waiters: int, objects: ObjectStore | None) -> None:
        self._operations = operations
        self._objects = objects
        self._waiters = threading.BoundedSemaphore(max_waiters)

    def GetOperation(self, request: pb.GetOperationRequest, context: grpc.ServicerContext) -> pb.GetOperationResponse:
        """See the proto."""
        return pb.GetOperationResponse(operation=to_message(self._operations.get(request.operation_id)))

    def WaitOperation(
        self, request: pb.WaitOperationRequest, context: grpc.ServicerContext
    ) -> pb.WaitOperationResponse:
        """See the proto."""
        if not self._waiters.acquire(blocking=False):
            raise BudgetExhausted("Too many callers wait here.", remedy="Ask again after the retry delay.")
        try:
            context.add_callback(self._operations.notify)
            seconds = min(request.wait.seconds + request.wait.nanos / 1e9, MAX_WAIT_SECONDS)
            found = self._operations.wait(request.operation_id, request.seen_revision, seconds, context.is_active)
        finally:
            self._waiters.release()
        return pb.WaitOperationResponse(operation=to_message(found))

    def CancelOperation(
        self, request: pb.CancelOperationRequest, context: grpc.ServicerContext
    ) -> pb.CancelOperationResponse:
        """See the proto."""
        return pb.CancelOperationResponse(operation=to_message(self._operations.cancel(request.operation_id)))

    def DownloadDataset(
        self, request: pb.DownloadDatasetRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadDatasetResponse]:
        """See the proto."""
        if self._objects is None:
            raise FailedPrecondition("This service keeps no datasets.", remedy="Ask the service that made it.")
        require_uri("uri", request.uri)
        require_different("file_names", request.file_names)
        manifest = read_manifest(self._objects, request.uri)
        files = manifest.files
        if request.is_manifest_only:
            _require_no_names(request.file_names)
            for piece in in_pieces(self._objects.chunks(request.uri)):
                yield pb.DownloadDatasetResponse(chunk=piece)
            return
        for name in request.file_names:
            if name not in files:
                raise NotFound("No such file in the dataset.", field="file_names", value=name)
        require_right_to_names(context, manifest.kind, request.file_names or files)
        for name in request.file_names or sorted(files):
            for piece in in_pieces(self._objects.chunks(uri_of(files[name].sha256))):
                yield pb.DownloadDatasetResponse(file_name=name, chunk=piece)

    def ListOperations(
        self, request: pb.ListOperationsRequest, context: grpc.ServicerContext
    ) -> pb.ListOperationsResponse:
        """See the proto."""
        require_prefix("id_prefix", request.id_prefix)
        size = min(request.page_size or 100, 500)
        before = read_page_token(request.page_token)
        found, following = self._operations.list(request.id_prefix, size, before)
        return pb.ListOperationsResponse(
            operations=[to_message(operation) for operation in found],
            next_page_token="" if following is None else str(following),
        )


def _require_no_names(file_names: Sequence[str]) -> None:
    if file_names:
        remedy = "Name no file, and ask for files in another call."
        raise InvalidArgument("The manifest comes alone.", field="file_names", value=len(file_names), remedy=remedy)


def in_pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What is sent of a file, at least one piece; DataLoss behind the last one, where they are not what was stored."""
    is_empty = True
    for chunk in chunks:
        for start in range(0, len(chunk), CHUNK_BYTES):
            is_empty = False
            yield chunk[start : start + CHUNK_BYTES]
    if is_empty:
        yield b""


def to_message(operation: rows.Operation) -> pb.Operation:
    """Encode a row."""
    message = pb.Operation(
        operation_id=operation.operation_id,
        kind=operation.kind,
        state=_STATES[operation.state],
        revision=operation.revision,
        progress=pb.Progress(
            done=operation.done, total=operation.total, unit=operation.unit, message=operation.message
        ),
        result_uri=operation.result_uri,
        attempts=operation.attempts,
        worked_seconds=operation.worked_seconds,
    )
    message.create_time.FromNanoseconds(int(operation.created_at * 1e9))
    message.update_time.FromNanoseconds(int(operation.updated_at * 1e9))
    if operation.failure:
        message.failure.CopyFrom(pb.Failure(**operation.failure))
    return message


def find(channel: grpc.Channel, operation_id: str) -> pb.Operation | None:
    """An operation, or None where the service has none of this id."""
    try:
        request = pb.GetOperationRequest(operation_id=operation_id)
        return pb_grpc.OperationsServiceStub(channel).GetOperation(request).operation
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def await_operation(
    channel: grpc.Channel,
    operation_id: str,
    *,
    on_change: Callable[[pb.Operation], None] | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    wait_seconds: float = 5.0,
) -> pb.Operation:
    """Wait until an operation of another service has ended, however long it takes.

    Args:
        channel: A channel to the service that has it.
        operation_id: The operation.
        on_change: Called with each new revision; what it raises ends the wait.
        is_cancelled: Asked between waits; when true, the operation is called off.
        wait_seconds: How long one call waits; also how soon `is_cancelled` is asked again.

    Returns: The operation, SUCCEEDED.

    Raises:
        MedqError: The typed failure of the operation; `Cancelled` if it was called off.
        grpc.RpcError: The service did not answer for ten minutes, or the call is wrong.
    """
    stub = pb_grpc.OperationsServiceStub(channel)
    wait = Duration()
    wait.FromMilliseconds(int(wait_seconds * 1000))
    seen, last_answer = 0, time.monotonic()
    while True:
        request = pb.WaitOperationRequest(operation_id=operation_id, seen_revision=seen, wait=wait)
        try:
            if is_cancelled():
                stub.CancelOperation(pb.CancelOperationRequest(operation_id=operation_id))
            operation = stub.WaitOperation(request).operation
        except grpc.RpcError as error:
            is_patient = time.monotonic() - last_answer < PATIENCE_SECONDS
            if not (is_patient and is_passing(error)):
                raise
            time.sleep(1.0)  # as RetryInfo says
            continue
        last_answer = time.monotonic()
        if operation.revision != seen and on_change is not None:
            on_change(operation)
        seen = operation.revision
        if operation.state in TERMINAL_STATES:
            return _succeeded(operation)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    if not (isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call)):
        return False
    # A busy server ends a call that takes too long (`shared.rpc.patience`), without an error of ours.
    if error.code() is grpc.StatusCode.CANCELLED:
        return sent_error(error) is None
    return error.code() in _PASSING


def _succeeded(operation: pb.Operation) -> pb.Operation:
    if operation.state == pb.OPERATION_STATE_CANCELLED:
        raise Cancelled("The operation was called off.", field="operation_id", value=operation.operation_id)
    if operation.state == pb.OPERATION_STATE_FAILED:
        failure = operation.failure
        raise decode_error({"reason": failure.reason, "message": failure.message, "metadata": failure.metadata})
    return operation
