"""What the loop needs from outside: a memory for its steps, and to know when to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: What a step gives: a JSON object.
StepOutcome = dict[str, Any]


class Durable(Protocol):
    """Runs the steps of one workflow, each until it has ended once; after a kill, what ended is remembered, not run again."""

    def __call__(self, name: str, function: Callable[[], StepOutcome]) -> StepOutcome:
        """The outcome of a step, from memory where it has ended before.

        Args:
            name: Names the step; the n-th step of a workflow has the same name in every process.
            function: The work; its effects are keyed, since a kill may come between its end and the memory of it.
        """
        ...


class Workflows(Protocol):
    """Runs the loop as durable workflows, each named by its run."""

    def ensure_started(self, run_id: str) -> None:
        """Start the workflow of a run, unless it has been started before; then it is taken up, also where it `is_suspended`."""
        ...

    def is_suspended(self, run_id: str) -> bool:
        """True of a workflow that has left its thread by `Suspended` and was not taken up since."""
        ...

    def rewind(self, run_id: str) -> None:
        """Have a workflow that has ended go on from the step that failed; one at work, or never started, stays as it is."""
        ...

    def outcome(self, run_id: str) -> StepOutcome | None:
        """What a started workflow gave; None while it is at work.

        Raises:
            Internal: It ended by an exception of ours.
        """
        ...


class Stopping(BaseException):
    """The server drains: leave a step without an outcome, so that the next process begins it again."""


class Suspended(BaseException):
    """A step waits for people, or the run is paused, for days perhaps: leave it without an outcome, and its thread free."""


class RunControl(Protocol):
    """Tells a run at work whether it should go on."""

    def check_draining(self) -> None:
        """Raises Stopping once the server drains."""
        ...

    def is_cancelled(self, run_id: str) -> bool:
        """True once the run was called off."""
        ...
