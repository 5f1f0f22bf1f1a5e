"""What a call to somebody outside costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spending:
    """What a call costs: US dollars, tokens in and out, seconds of an expert's active time. All at least 0.

    Attributes:
        is_stated: False where nobody stated what was used: then it is the most that the call may cost.
    """

    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    expert_seconds: float = 0.0
    is_stated: bool = True
