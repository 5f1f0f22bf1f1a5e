"""The one table from errors to gRPC status codes, and the way back.

A typed error travels as `google.rpc.Status` with `ErrorInfo` (and `RetryInfo` where the caller should wait) in the
trailing metadata `grpc-status-details-bin`. Whatever is not typed becomes INTERNAL with a fixed text, since no failure's
text carries `str(exception)`.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sqlalchemy.exc import DataError

from shared import errors
from shared.database import OUTAGES

DOMAIN = "medq"
_MOST_CHARACTERS = 1500
_RETRY_AFTER = {errors.Unavailable: 1, errors.BudgetExhausted: 2}

#: Each error class and its status code.
STATUS_CODES: dict[type[errors.MedqError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.BudgetExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.DataLoss: grpc.StatusCode.DATA_LOSS,
    errors.Internal: grpc.StatusCode.INTERNAL,
}
_BY_CODE = {code: cls for cls, code in STATUS_CODES.items()}


def typed(error: BaseException) -> errors.MedqError:
    """The typed error that stands for any exception: itself, `Unavailable` for a lost database, else `Internal`.

    A value that the database cannot hold came from the caller: `InvalidArgument`.
    """
    if isinstance(error, errors.MedqError):
        return error
    if isinstance(error, grpc.RpcError):
        return from_rpc_error(error)
    if isinstance(error, DataError):
        return errors.InvalidArgument("The database cannot hold a value of the request.", remedy="Check its values.")
    if isinstance(error, OUTAGES):
        return errors.Unavailable("The service's database does not answer.", remedy="Try again in a moment.")
    return errors.Internal("An internal error; the service's log has the details.")


def to_status(error: errors.MedqError) -> status_pb2.Status:
    """Encode a typed error as `google.rpc.Status`."""
    # The text travels twice in metadata, of which a client takes 8 KiB.
    status = status_pb2.Status(code=STATUS_CODES[type(error)].value[0], message=str(error)[:_MOST_CHARACTERS])
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata={"message": error.message[:_MOST_CHARACTERS], **error.metadata}
    )
    status.details.append(_packed(info))
    seconds = _RETRY_AFTER.get(type(error))
    if seconds:
        delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds))
        status.details.append(_packed(delay))
    return status


def sent_error(error: grpc.RpcError) -> errors.MedqError | None:
    """The error that a service sent; None where the status is not from a service of ours: nobody has answered."""
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    details: Iterable[any_pb2.Any] = status.details if status is not None else ()
    for detail in details:
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            return errors.decode_error({"reason": info.reason, "metadata": info.metadata})
    return None


def from_rpc_error(error: grpc.RpcError) -> errors.MedqError:
    """Decode what a call raised; a status without our details is mapped by its code."""
    if (sent := sent_error(error)) is not None:
        return sent
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    cls = _BY_CODE.get(code, errors.Internal)
    text = error.details() if isinstance(error, grpc.Call) and code is not grpc.StatusCode.UNKNOWN else ""
    is_silent = cls in (errors.Unavailable, errors.DeadlineExceeded)
    remedy = "Does the service run, and is its address right?" if is_silent else ""
    return cls(text or "The call failed.", remedy=remedy)


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    box = any_pb2.Any()
    box.Pack(message)
    return box
