"""The errors of the product. They know no transport: the table to gRPC status codes is `shared.status`.

MedqError
├── InvalidArgument      the request can never work as it stands
├── NotFound             what it names does not exist
├── AlreadyExists        the same id with another content
├── FailedPrecondition   right request, wrong state (no model yet, no image in the pool)
├── Conflict             somebody else changed it first; read again, then retry
├── BudgetExhausted      a budget, quota or limit is spent
├── Unauthenticated      nobody knows who calls
├── PermissionDenied     a policy forbids it (egress), or the caller has no right to it
├── Unavailable          a dependency is down or warming up; retry
├── DeadlineExceeded     it took longer than the caller allowed
├── Cancelled            the caller or an operator called it off
├── DataLoss             stored data does not match its checksum
└── Internal             a defect; the text says nothing of the inside
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class MedqError(Exception):
    """An error that a caller can act on.

    Args:
        message: What is wrong, in a sentence.
        field: The name of the offending input, if there is one.
        value: Its value, shortened by the caller where it is long; never patient data.
        remedy: What the caller can do about it.
    """

    reason = "UNSPECIFIED"

    def __init__(self, message: str, *, field: str = "", value: object = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = "" if value == "" else str(value)[:200]
        self.remedy = remedy

    def __str__(self) -> str:
        """The message with the field, the value and the remedy where they are known."""
        where = f" ({self.field}={self.value!r})" if self.field else ""
        return f"{self.message}{where}" + (f" — {self.remedy}" if self.remedy else "")

    @property
    def metadata(self) -> dict[str, str]:
        """The named parts, as they travel in `google.rpc.ErrorInfo`."""
        parts = {"field": self.field, "value": self.value, "remedy": self.remedy}
        return {key: part for key, part in parts.items() if part}


class InvalidArgument(MedqError):
    """The request can never work as it stands."""

    reason = "INVALID_ARGUMENT"


class NotFound(MedqError):
    """What the request names does not exist."""

    reason = "NOT_FOUND"


class AlreadyExists(MedqError):
    """The same id was used before with another content."""

    reason = "ALREADY_EXISTS"


class FailedPrecondition(MedqError):
    """The request is right, the state is not."""

    reason = "FAILED_PRECONDITION"


class Conflict(MedqError):
    """Somebody else changed it first: read again, then retry."""

    reason = "CONFLICT"


class BudgetExhausted(MedqError):
    """A budget, quota or limit is spent."""

    reason = "BUDGET_EXHAUSTED"


class Unauthenticated(MedqError):
    """Nobody knows who calls: no token, or one that does not hold."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(MedqError):
    """A policy forbids it, or the caller has no right to it."""

    reason = "PERMISSION_DENIED"


class Unavailable(MedqError):
    """A dependency is down or warming up: retry.

    Attributes:
        retry_after: Seconds that it asks callers to wait, where it says so.
    """

    reason = "UNAVAILABLE"
    retry_after: float | None = None


class DeadlineExceeded(MedqError):
    """It took longer than the caller allowed."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(MedqError):
    """The caller or an operator called it off."""

    reason = "CANCELLED"


class DataLoss(MedqError):
    """Stored data does not match its checksum."""

    reason = "DATA_LOSS"


class Internal(MedqError):
    """A defect of the product; its text says nothing of the inside."""

    reason = "INTERNAL"


def encode_error(error: MedqError) -> dict[str, Any]:
    """An error as it is stored and sent, of JSON's types: `reason`, `message`, and `metadata` (text to text)."""
    return {"reason": error.reason, "message": error.message, "metadata": error.metadata}


def decode_error(encoded: Mapping[str, Any]) -> MedqError:
    """The error that was encoded: as by `encode_error`, or with its parts beside each other (an earlier version's jobs).

    Returns: An error of the class that has the reason; `Internal` where there is none.
    """
    parts = {**encoded, **encoded.get("metadata", {})}
    kinds = {kind.reason: kind for kind in MedqError.__subclasses__()}
    named = {name: str(parts[name]) for name in ("field", "value", "remedy") if name in parts}
    return kinds.get(parts.get("reason", ""), Internal)(str(parts.get("message", "The work failed.")), **named)
