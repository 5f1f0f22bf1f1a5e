"""A call to somebody outside: what it is, what it brings, and what becomes of it where it fails.

What a call raises says what became of it:

| raised | it means |
|---|---|
| `InvalidArgument`, `NotFound` | refused, and nothing was spent: this call has no outcome, the work goes on |
| `Unavailable` | nothing was spent; tried again while tries and patience last, after `retry_after` where it is set |
| `PermissionDenied`, `Unauthenticated`, `FailedPrecondition`, `BudgetExhausted` | nothing was spent; the work ends |
| `DeadlineExceeded`, `DataLoss` | nobody knows whether it was spent; tried again likewise, and counted for each try |
| anything else | nobody knows whether it was spent; the work ends |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from shared.chat.egress import Egress
from shared.errors import (
    BudgetExhausted,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from shared.spending import Spending

# The table above.
REFUSED = (InvalidArgument, NotFound)
_NOT_MADE = (Unavailable, PermissionDenied, Unauthenticated, FailedPrecondition, BudgetExhausted)
UNANSWERED = (DeadlineExceeded, DataLoss)
MAY_PASS = (Unavailable, *UNANSWERED)
#: What refuses one call before it is made: its image is lost, or may not leave.
NOT_PREPARED = (*REFUSED, PermissionDenied, DataLoss)


class Paid(Protocol):
    """What a call brought, whatever it is."""

    @property
    def spending(self) -> Spending:
        """What it cost."""


T = TypeVar("T", bound=Paid)


@dataclass(frozen=True)
class Prepared(Generic[T]):
    """A call that can be made: the most it may cost, how to make it, and what it sends outside."""

    estimate: Spending
    make: Callable[[], T]
    leaving: tuple[Egress, ...] = ()


@dataclass(frozen=True)
class OutsideCall(Generic[T]):
    """A call that has not been made.

    Attributes:
        key: Of the ledger.
        prepare: Makes it ready, once, just before its first try; what refuses it here has reserved and sent nothing.
    """

    key: str
    prepare: Callable[[], Prepared[T]]


def ready(key: str, estimate: Spending, make: Callable[[], T]) -> OutsideCall[T]:
    """A call that sends nothing outside, and that nothing can refuse before it is made."""
    return OutsideCall(key, lambda: Prepared(estimate, make))


class OutcomeStore(Protocol[T]):
    """Keeps what calls brought."""

    def outcomes(self, work_id: str, kind: str) -> Mapping[str, T]:
        """What the calls of one kind in a work brought so far, by key."""

    def keep_outcomes(self, work_id: str, kind: str, outcomes: Mapping[str, T]) -> Mapping[str, T]:
        """Store outcomes, all or none; what is stored stays. Returns what is stored under these keys."""


@dataclass(frozen=True)
class CallResults(Generic[T]):
    """What became of calls.

    Attributes:
        outcomes: By key.
        stopped: Why the calls ended early; "" where they did not.
        refused: Why a call was refused for good, by key.
        n_made: Outcomes that were brought now, and not found in the store.
    """

    outcomes: Mapping[str, T]
    stopped: str
    refused: Mapping[str, str] = field(default_factory=dict)
    n_made: int = 0

    def why_not(self, key: str) -> str:
        """Why a call has no outcome."""
        return self.refused.get(key, self.stopped)


@dataclass
class Try(Generic[T]):
    """What has become of calls that were reserved together: stored outcomes, errors, and what never began."""

    calls: Mapping[str, Prepared[T]]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    made: dict[str, T] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    not_begun: list[str] = field(default_factory=list)

    def knows(self, key: str) -> bool:
        """True once the call has come back."""
        return key in self.made or key in self.failed

    def failures(self, *kinds: type[MedqError]) -> dict[str, str]:
        """What was said of the calls that failed so, in their order."""
        return {key: error.message for key in self.calls if isinstance(error := self.failed.get(key), kinds)}

    @property
    def unspent(self) -> list[str]:
        """The calls that are known to have cost nothing."""
        return [*self.failures(*REFUSED, *_NOT_MADE), *self.not_begun]

    def raise_first(self, *but: type[Exception]) -> None:
        """Raise the first error, in the order of the calls, of another kind than these."""
        for key in self.calls:
            error = self.failed.get(key)
            if error is not None and not isinstance(error, but):
                raise error
