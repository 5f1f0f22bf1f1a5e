"""Tells a run at work what its operation knows: that it was called off, that the server drains."""

from __future__ import annotations

from services.controller.ports import Stopping
from shared.operation_table import CANCELLED
from shared.operations import Operations


class OperationsControl:
    """The `RunControl` over the controller's operations, which are made after it: see `watch`."""

    def __init__(self) -> None:
        self._operations: Operations | None = None

    def watch(self, operations: Operations) -> None:
        """Name the operations to look at; once, before any run is at work."""
        self._operations = operations

    def check_draining(self) -> None:
        """Raises Stopping once the server drains."""
        if self._operations is not None and self._operations.is_draining:
            raise Stopping

    def is_cancelled(self, run_id: str) -> bool:
        """True once the run was called off, in this process or in one before."""
        if self._operations is None:
            return False
        return self._operations.is_cancelled(run_id) or self._operations.get(run_id).state == CANCELLED
