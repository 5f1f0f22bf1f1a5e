"""Harm at a moment that a run does not show by its step: a call has been made and has no answer yet."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc

from medq.controller.v1.controller_pb2 import LedgerEntry
from medq.operations.v1 import operations_pb2 as operations_pb
from shared.rpc.operations import find
from tests.faults.harm import Harm
from tests.faults.run import Step
from tests.support.finished_run import RUN, ledger_of

_LOOK_SECONDS = 0.05
_MOST_SECONDS = 40.0
#: Reservations that are let pass before the next is met; both rounds, oracle and expert, have some.
_PASSED = 4
_RUNNING = operations_pb.OPERATION_STATE_RUNNING


@dataclass
class KillInFlight(Harm):
    """A service is killed while calls to the oracle or the expert stand as reserved in the ledger, again and again."""

    service: str = "oracle"
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _n_met: int = 0

    def at_step(self, step: Step) -> None:
        """Kill at every fourth reservation, for as long as the annotation goes on."""
        if step.name != "annotate":
            return
        operation_id = f"{RUN}/{step.arm}/{step.round}/{step.name}"
        while self._has_calls_to_come(operation_id):
            if not self._is_in_flight():
                self.pause(_LOOK_SECONDS)
                continue
            self._n_met += 1
            if self._n_met % _PASSED == 1:
                self.pause(float(self.rng.uniform(0, 0.5)) * self.world.setting.call_seconds)
                self.world.kill(self.service)
                self.n += 1

    def _has_calls_to_come(self, operation_id: str) -> bool:
        try:
            found = find(self.world.channels["oracle"], operation_id)
        except grpc.RpcError:  # it has just been killed
            return True
        return found is None or found.state in (_RUNNING, operations_pb.OPERATION_STATE_PENDING)

    def _is_in_flight(self) -> bool:
        """Whether calls were reserved since this was asked last; an older reservation may be of a process that is dead."""
        try:
            reserved = calls_reserved(ledger_of(self.world.channels["controller"]))
        except grpc.RpcError:  # it has just been killed
            return False
        is_new = not reserved <= self._seen
        self._seen |= reserved
        return is_new


def calls_reserved(entries: Iterable[LedgerEntry]) -> set[tuple[str, int]]:
    """Key and attempt of each call to the oracle or the expert that is reserved and not settled."""
    return {
        (entry.cost.key, entry.attempt)
        for entry in entries
        if entry.state == "reserved" and entry.cost.kind != "compute"
    }


@dataclass
class RestartQdrant(Harm):
    """Qdrant's server is killed while an operation waits for its answer, and started again on what it had.

    So that it surely waits, the wire to the server is held from the step before.
    """

    during: str = "index_images"

    def __post_init__(self) -> None:
        self._wire = self.world.backends.wires["qdrant"]
        if self.during == "index_images":
            self._hold()

    def at_step(self, step: Step) -> None:
        """Hold the wire before the step, kill the server in it."""
        if step.name == self.during:
            self._restart(f"{RUN}/{step.arm}/{step.round}/{step.name}")
        elif self.during == "select_samples" and step.name == "evaluate_dev":
            self._hold()

    def _hold(self) -> None:
        self._wire.is_held.clear()
        self._wire.hold_after(1)

    def _restart(self, operation_id: str) -> None:
        until = time.monotonic() + _MOST_SECONDS
        is_met = False
        while not is_met and time.monotonic() < until:
            found = find(self.world.channels["retrieval"], operation_id)
            is_met = self._wire.is_held.is_set() and found is not None and found.state == _RUNNING
            self.pause(_LOOK_SECONDS)
        self.world.backends.kill("qdrant")
        self._wire.release()
        self.world.backends.up("qdrant")
        self.n += is_met
