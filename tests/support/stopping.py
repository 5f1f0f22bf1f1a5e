"""A training that ends in the middle, as if its process had been killed."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class StoppedError(Exception):
    """What stands for the kill."""


class StopAt(TrainerCallback):  # type: ignore[misc]
    """The process sees no step after this one."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer behind each step."""
        if state.global_step == self._step:
            raise StoppedError
