"""What becomes of an event whose handler raised; the same on every bus."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from shared.errors import MedqError, Unavailable
from shared.events.bus import MAX_ATTEMPTS

RETRY_SECONDS = 1.0
# An event that takes its process down with it is given up too,
# but far later: a process may be killed for other reasons.
MAX_LOSSES = 20
_LONGEST_REASON = 500


def is_at_fault(error: Exception) -> bool:
    """Whether the event may be to blame: a dependency that is down is not the event's fault."""
    return not isinstance(error, Unavailable | OperationalError)


def is_given_up(failures: int) -> bool:
    """Whether an event that failed so often becomes a dead letter."""
    return failures >= MAX_ATTEMPTS


def pause_seconds(failures: int) -> float:
    """How long an event waits until it comes again; twice as long each time."""
    return RETRY_SECONDS * float(2 ** max(failures - 1, 0))


def reason_of(error: Exception) -> str:
    """What a dead letter says of an error.

    The text of an error that is not ours may hold anything; its class says enough, the log has the rest.
    """
    text = f"{type(error).__name__}: {error}" if isinstance(error, MedqError) else type(error).__name__
    return text[:_LONGEST_REASON]


def letter_attributes(group: str, reason: str) -> dict[str, str]:
    """The attributes that a dead letter has beside those of its event."""
    return {"deadlettergroup": group, "deadletterreason": reason[:_LONGEST_REASON]}
