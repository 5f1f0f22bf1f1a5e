"""One step of the loop on another service: start an operation, wait for it, keep what it gave.

The id of an operation is `<run>/<arm>/<round>/<step>`, so that a step which is begun again after a kill finds the operation it
had started; one that is retried after a failure gets `/2` behind it. A typed failure travels as a value through the memory of
the steps and is raised again behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import grpc
import tenacity
from google.protobuf.timestamp_pb2 import Timestamp

from medq.operations.v1 import operations_pb2 as operations_pb
from services.controller.loop.compute_costs import note_work, settle_work
from services.controller.loop.details import detail_of
from services.controller.loop.other_services import RequestT, Start
from services.controller.ports import Durable, RunControl, StepOutcome, Suspended
from services.controller.report.reports import Reports
from services.controller.store.ledger import Ledger
from services.controller.store.runs import Result, RunStore
from shared.database import OUTAGES, insist
from shared.errors import Cancelled, MedqError, NotFound, decode_error, encode_error
from shared.logs import get_logger
from shared.objects.store import ObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import PATIENCE_SECONDS, await_operation, find, is_passing
from shared.status import typed

_FAILED = (operations_pb.OPERATION_STATE_FAILED, operations_pb.OPERATION_STATE_CANCELLED)
#: How soon a waiting step notices that the run was called off or that the server drains, in seconds.
_WAIT_SECONDS = 1.0
#: How often a step begins again while the controller's own database is away: some ten minutes.
_MAX_ATTEMPTS = 600


@dataclass(frozen=True)
class Collaborators:
    """What the loop works with."""

    channels: Channels
    objects: ObjectStore
    store: RunStore
    ledger: Ledger
    reports: Reports
    control: RunControl
    #: How long a step stays with an operation that waits for people, before it gives its thread back, in seconds.
    waiting_seconds: float = 3.0


@dataclass(frozen=True)
class Made:
    """A dataset that a step made: its URI and the rows of each of its files."""

    uri: str
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """The steps of one arm (or, with "-", of what all arms share) in one round."""

    run_id: str
    arm: str
    round: int
    collaborators: Collaborators
    durable: Durable

    def at(self, arm: str, round_number: int) -> Calls:
        """The same run in another arm and round."""
        return replace(self, arm=arm, round=round_number)

    def operate(self, step: str, start: Start[RequestT], request: RequestT) -> Made:
        """Two steps: start an operation, and wait until it has ended.

        Args:
            step: Names the step.
            start: The RPC that starts it.
            request: Without its operation id.

        Returns: The dataset that it made.

        Raises:
            MedqError: The typed failure, its message naming the step.
        """
        return self.finish(step, start, request, self.begin(step, start, request))

    def begin(self, step: str, start: Start[RequestT], request: RequestT, *, may_pause: bool = True) -> str:
        """The step that starts an operation; one that is remembered begins nothing, whether the run is paused or not.

        Args:
            step, start, request: See `operate`.
            may_pause: A run that is to pause is left here. False where others of the same turn have been started.

        Returns: The id of the operation.
        """

        def begin() -> StepOutcome:
            self._check(None)
            store = self.collaborators.store
            if may_pause and store.is_pause_asked(self.run_id) and not self._has_begun(step):
                store.move(self.run_id, self.arm, self.round, step, "", "")
                raise Suspended
            return self._start(step, start, request)

        return str(self.remember(f"start {step}", begin)["operation_id"])

    def finish(
        self, step: str, start: Start[RequestT], request: RequestT, operation_id: str, *, is_last: bool = True
    ) -> Made:
        """The step that waits until an operation has ended, and records what it made.

        Args:
            step, start, request: See `operate`.
            operation_id: Of the operation.
            is_last: No other operation is at work for the run behind this one.
        """
        store = self.collaborators.store

        def wait() -> StepOutcome:
            if store.get(self.run_id).operation_id != operation_id:  # of several at work another one is shown
                store.move(self.run_id, self.arm, self.round, step, operation_id, start.service)
            try:
                return self._wait(step, start.service, operation_id, is_last)
            except grpc.RpcError as error:
                if not isinstance(typed(error), NotFound):
                    raise
                # The service was restored from a copy that is older than the operation.
                again = self._start(step, start, request)
                return self._wait(step, start.service, again["operation_id"], is_last)

        return Made(**self.remember(f"wait {step}", wait, is_kept=lambda: self._is_recorded(step)))

    def remember(
        self, name: str, function: Callable[[], StepOutcome], *, is_kept: Callable[[], bool] = lambda: True
    ) -> StepOutcome:
        """One step. What it gives, or the typed error it raises, is remembered.

        Args:
            name: Names the step.
            function: The work.
            is_kept: Whether the tables hold what the step left there. Where they are older than the memory of the steps, the
                work is done again; it is keyed, so it gives the same.
        """
        outcome = self.durable(f"{self.arm}/{self.round}/{name}", lambda: self._caught(name, function))
        if outcome.get("failure") is None and not is_kept():
            outcome = self._caught(name, function)
        if outcome.get("failure") is not None:
            raise decode_error(outcome["failure"])
        value: StepOutcome = outcome["value"]
        return value

    def remember_recorded(self, name: str, function: Callable[[], StepOutcome]) -> StepOutcome:
        """One step of the controller's own that records a result of this name."""
        return self.remember(name, function, is_kept=lambda: self._is_recorded(name))

    def _has_begun(self, step: str) -> bool:
        """Whether this step's operation had been started when a kill came before the memory of it."""
        at = self.collaborators.store.get(self.run_id)
        return bool(at.operation_id) and (at.arm, at.round, at.step) == (self.arm, self.round, step)

    def _is_recorded(self, step: str) -> bool:
        return insist(self.collaborators.store.has_result)(self.run_id, self.arm, self.round, step)

    def _caught(self, name: str, function: Callable[[], StepOutcome]) -> StepOutcome:
        try:
            return {"value": self._outlasting()(function)}
        except Exception as error:  # whatever it is, the run ends with it, and a kill must not change that
            self.collaborators.control.check_draining()
            if not isinstance(error, MedqError | grpc.RpcError):
                get_logger("controller").error("step_failed", run_id=self.run_id, step=name, exc_info=error)
            failure = encode_error(typed(error))
            where = f"Step {name!r} of arm {self.arm!r}, round {self.round}"
            return {"failure": failure | {"message": f"{where}: {failure['message']}"}}

    def _start(self, step: str, start: Start[RequestT], request: RequestT) -> StepOutcome:
        self._check(None)
        service, channel = start.service, self.collaborators.channels[start.service]
        for attempt in self._patiently():
            with attempt:
                request.operation_id = self._free_id(channel, f"{self.run_id}/{self.arm}/{self.round}/{step}")
        operation_id = request.operation_id
        self.collaborators.store.move(self.run_id, self.arm, self.round, step, operation_id, service)
        note_work(self.collaborators.ledger, self.run_id, operation_id)
        for attempt in self._patiently():
            with attempt:
                start.method(channel)(request)
        return {"operation_id": operation_id}

    def _free_id(self, channel: grpc.Channel, base: str) -> str:
        """The id for an operation: `base`, or with a number behind it where earlier ones failed and the run is retried."""
        for number in count(1):
            operation_id = base if number == 1 else f"{base}/{number}"
            found = find(channel, operation_id)
            if found is None or found.state not in _FAILED:
                break
        return operation_id

    def _wait(self, step: str, service: str, operation_id: str, is_last: bool) -> StepOutcome:
        waits_since: list[float] = []

        def look(operation: operations_pb.Operation) -> None:
            if operation.state != operations_pb.OPERATION_STATE_WAITING:
                waits_since.clear()
            elif not waits_since:
                waits_since.append(time.monotonic())

        def is_cancelled() -> bool:
            self.collaborators.control.check_draining()
            if self.collaborators.control.is_cancelled(self.run_id):
                return True
            if waits_since and time.monotonic() - waits_since[0] >= self.collaborators.waiting_seconds:
                raise Suspended
            return False

        channel, ledger = self.collaborators.channels[service], self.collaborators.ledger
        try:
            done = await_operation(
                channel, operation_id, on_change=look, is_cancelled=is_cancelled, wait_seconds=_WAIT_SECONDS
            )
        except MedqError:
            settle_work(ledger, self.run_id, find(channel, operation_id))
            raise
        detail = detail_of(self.collaborators.objects, step, done.result_uri)
        result = Result(
            self.arm, self.round, step, service, operation_id, done.result_uri, detail, done.worked_seconds, done.attempts,
            began_at=_seconds(done.create_time), ended_at=_seconds(done.update_time),
        )  # fmt: skip
        self.collaborators.store.record(self.run_id, result)
        settle_work(ledger, self.run_id, done)
        if is_last:
            self.collaborators.store.move(self.run_id, self.arm, self.round, step, "", "")
        return {"uri": done.result_uri, "rows": detail["rows"]}

    def _outlasting(self) -> tenacity.Retrying:
        """A step is keyed, so it begins again after an outage of the controller's own database."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(OUTAGES),
            stop=tenacity.stop_after_attempt(_MAX_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            before_sleep=lambda _: self.collaborators.control.check_draining(),
            reraise=True,
        )

    def _patiently(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            before_sleep=self._check,
            reraise=True,
        )

    def _check(self, _: tenacity.RetryCallState | None) -> None:
        self.collaborators.control.check_draining()
        if self.collaborators.control.is_cancelled(self.run_id):
            raise Cancelled("The run was called off.")


def _seconds(moment: Timestamp) -> float | None:
    """Seconds since 1970; None for a moment that nobody stated."""
    return moment.ToNanoseconds() / 1e9 if moment.ByteSize() else None
