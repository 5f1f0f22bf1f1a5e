"""Following long work: a bar on a terminal, a line per step elsewhere, silence with `--json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.output import console
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.objects.manifest import require_inside
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.synced import put_in_place

#: How long the service of a step may take to tell how far it is.
_PROGRESS_SECONDS = 2.0


class Watch:
    """Shows how far an operation is.

    Args:
        is_quiet: Show nothing.
    """

    def __init__(self, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._shown = ""
        self._told = ""
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=is_quiet or not console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator[Watch]:
        """Show while the context lasts."""
        with self._bar:
            yield self

    def show(self, title: str, operation: operations_pb2.Operation) -> None:
        """Show an operation under a title."""
        progress = operation.progress
        self.count(title, progress.done, progress.total, progress.unit)
        why = held_up(operation)
        if why and why != self._told and not self._is_quiet:
            self._told = why
            console.print(f"{title} {why}", markup=False, soft_wrap=True)

    def count(self, title: str, done: int, total: int, unit: str) -> None:
        """Show how much of something is done; a total of 0 is not known."""
        if self._is_quiet:
            return
        if title != self._shown:
            if not console.is_terminal:
                console.print(title, markup=False)
            elif self._task is not None:
                self._bar.remove_task(self._task)
            self._shown = title
            self._task = self._bar.add_task(title, total=None, unit="")
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total or None, unit=unit)


def held_up(operation: operations_pb2.Operation) -> str:
    """Why an operation that has begun rests until it tries again; "" where it does not."""
    is_pending = operation.state == operations_pb2.OPERATION_STATE_PENDING
    return operation.progress.message if is_pending else ""


def finish(channel: grpc.Channel, operation_id: str, title: str, is_quiet: bool = False) -> operations_pb2.Operation:
    """Wait for an operation and show it.

    Raises:
        MedqError: Its typed failure.
    """
    with Watch(is_quiet).shown() as watch:
        return await_operation(
            channel, operation_id, on_change=lambda operation: watch.show(title, operation), wait_seconds=1.0
        )


def finish_run(
    channels: Channels, run_id: str, is_quiet: bool = False, look: Callable[[controller_pb2.Run], None] | None = None
) -> operations_pb2.Operation:
    """Wait for a run, showing the step that it is at.

    Args:
        channels: To the services.
        run_id: The run.
        is_quiet: Show nothing.
        look: Called with the run about every second, unless nothing is shown.

    Raises:
        MedqError: The typed failure of the run.
    """
    controller = channels["controller"]
    with Watch(is_quiet).shown() as watch:

        def show(_: operations_pb2.Operation) -> None:
            run = run_of(controller, run_id)
            title = run_title(run)
            if look is not None and not is_quiet:
                look(run)
            if run.operation_id:
                watch.show(title, operation_of(channels, run))

        def show_again() -> bool:
            show(operations_pb2.Operation())
            return False

        return await_operation(controller, run_id, on_change=show, is_cancelled=show_again, wait_seconds=1.0)


class WaitHint:
    """Says whenever a run begins to wait for people, or is paused, what they do, and that nobody need sit and wait.

    Args:
        out: The output folder.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._state = ""

    def look(self, run: controller_pb2.Run) -> None:
        """Look at a run."""
        was, self._state = self._state, run.state
        if run.state == was or run.state not in ("waiting", "paused"):
            return
        where = f"--out {self._out}"
        if run.state == "paused":
            console.print(
                f"The run is paused. Let it go on from another terminal with\n  medq resume {run.run_id} {where}\n"
                "This command may be interrupted; typed again, it finds the run paused still.",
                soft_wrap=True,
            )
            return
        console.print(
            "The run waits for experts. Take their tasks out with\n"
            f"  medq review export {where} --to reviews.csv --images pictures\n"
            f"and bring their decisions back with\n  medq review import {where} reviews.csv\n"
            "`medq review close` leaves the rest out. This command may be interrupted; typed again, it goes on.",
            soft_wrap=True,  # lines to copy stay whole
        )


def run_of(controller: grpc.Channel, run_id: str) -> controller_pb2.Run:
    """A run as the controller knows it."""
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    return stub.GetRun(controller_pb2.GetRunRequest(run_id=run_id)).run


def run_title(run: controller_pb2.Run) -> str:
    """Where a run is, for people: `failure_driven, round 1: annotate`."""
    where = f"{run.arm}, round {run.round}: " if run.arm else ""
    return f"{where}{run.step or run.state}".replace("_", " ")


def download(channel: grpc.Channel, uri: str, folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Fetch the files of a dataset into a folder; each appears whole, and none where one of them is damaged.

    Returns: The paths written, in the order they came.

    Raises:
        grpc.RpcError: They could not be had, or, behind the last piece of one (DATA_LOSS), are not what was stored.
        InvalidArgument: The service names a file outside the folder.
    """
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    request = operations_pb2.DownloadDatasetRequest(uri=uri, file_names=list(names))
    partial: dict[str, Path] = {}
    try:
        for piece in stub.DownloadDataset(request):
            if piece.file_name not in partial:
                require_inside(piece.file_name)
                path = folder / piece.file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                partial[piece.file_name] = path.with_suffix(path.suffix + ".partial")
                partial[piece.file_name].write_bytes(b"")
            with partial[piece.file_name].open("ab") as target:
                target.write(piece.chunk)
        for name, path in partial.items():
            put_in_place(path, folder / name)
        return [folder / name for name in partial]
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def operation_of(channels: Channels, run: controller_pb2.Run) -> operations_pb2.Operation:
    """The operation that a run waits on; empty where it is just being started, or its service does not answer this client."""
    stub = operations_pb2_grpc.OperationsServiceStub(channels[run.service])
    request = operations_pb2.GetOperationRequest(operation_id=run.operation_id)
    try:
        return stub.GetOperation(request, timeout=_PROGRESS_SECONDS).operation
    except grpc.RpcError:  # progress alone is not worth an end; the controller tells how the run goes
        return operations_pb2.Operation()
