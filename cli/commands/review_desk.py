"""What operators do at the queue of the experts: see how reviewers decide, say whose tasks are and which come sooner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out
from cli.output import console, print_json, print_table, shown_errors
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub

RunId = Annotated[str, typer.Option("--run-id", help="The run.")]
Tasks = Annotated[list[str] | None, typer.Option(help="Only this task; may be given several times.")]
_TALLY = ("n", "accept", "edit", "reject", "s/accept", "planted: accepted", "blind: as proposed", "known: right")


def stats(out: Out, *, run_id: RunId, access: Access, is_json: Json = False) -> None:
    """Show how reviewers decide, how well two agree, and how often planted errors were accepted."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        request = pb.GetReviewStatisticsRequest(run_id=run_id)
        found = ReviewServiceStub(channels["oracle"]).GetReviewStatistics(request)
    if is_json:
        print_json(_as_json(found))
        return
    print_table("Reviewers", ("reviewer", *_TALLY), [(one.reviewer, *_cells(one.tally)) for one in found.reviewers])
    cells = [(one.modality, one.attribute or "-", *_cells(one.tally)) for one in found.cells]
    print_table("Cells", ("modality", "attribute", *_TALLY), cells)
    agreement = found.agreement
    if agreement.pairs:
        pairs = [(one.first, one.second, one.n, one.n_same, _figure(one, "kappa")) for one in agreement.pairs]
        print_table("Agreement", ("reviewer", "reviewer", "n", "same", "kappa"), pairs)
        console.print(f"Krippendorff's alpha of {agreement.n} questions: {_figure(agreement, 'alpha')}")


def assign(
    out: Out,
    *,
    run_id: RunId,
    reviewer: Annotated[str, typer.Option(help="Who alone gets the tasks; empty for whoever asks.")],
    task: Tasks = None,
    access: Access,
    is_json: Json = False,
) -> None:
    """Have one reviewer alone get open tasks of a run."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        request = pb.AssignTasksRequest(run_id=run_id, task_ids=task or [], reviewer=reviewer)
        n_assigned = ReviewServiceStub(channels["oracle"]).AssignTasks(request).assigned
    if is_json:
        print_json({"assigned": n_assigned})
    else:
        console.print(f"{n_assigned} tasks are for {reviewer or 'whoever asks'} now.")


def prioritize(
    out: Out,
    *,
    run_id: RunId,
    priority: Annotated[int, typer.Option(min=0, max=9, help="The lower, the sooner.")],
    task: Tasks = None,
    access: Access,
    is_json: Json = False,
) -> None:
    """Give open tasks of a run another place in the queue."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        request = pb.PrioritizeTasksRequest(run_id=run_id, task_ids=task or [], priority=priority)
        n_moved = ReviewServiceStub(channels["oracle"]).PrioritizeTasks(request).moved
    if is_json:
        print_json({"moved": n_moved})
    else:
        console.print(f"{n_moved} tasks have priority {priority} now.")


def reopen(
    out: Out,
    task: Annotated[str, typer.Argument(help="The task.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is in the log.")],
    access: Access,
    is_json: Json = False,
) -> None:
    """Open a task again that was decided or closed, while the run has not gone on with it."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        stub = ReviewServiceStub(channels["oracle"])
        revision = stub.GetTask(pb.GetTaskRequest(task_id=task)).task.revision
        opened = stub.ReopenTask(pb.ReopenTaskRequest(task_id=task, revision=revision, reason=reason)).task
    if is_json:
        print_json({"task_id": task, "revision": opened.revision})
    else:
        console.print(f"The task is open at revision {opened.revision}.")


def _cells(tally: pb.ReviewTally) -> Sequence[object]:
    return (
        tally.n,
        tally.accepted,
        tally.edited,
        tally.rejected,
        _figure(tally, "median_accept_seconds"),
        f"{tally.planted_accepted} of {tally.planted}",
        f"{tally.blind_same} of {tally.blind}",
        f"{tally.calibration_right} of {tally.calibration}",
    )


def _figure(message: pb.ReviewTally | pb.ReviewerPair | pb.ReviewAgreement, name: str) -> str:
    return f"{getattr(message, name):.2f}" if message.HasField(name) else "-"  # type: ignore[arg-type]


def _as_json(found: pb.GetReviewStatisticsResponse) -> dict[str, Any]:
    """Counts as numbers: the JSON of protobuf writes those of 64 bits as texts."""
    options: dict[str, Any] = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    whole = MessageToDict(found, **options)
    return {name: _numbers(value) for name, value in whole.items()}


def _numbers(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _numbers(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part, name) for part in value]
    is_name = name in ("reviewer", "first", "second", "modality", "attribute")
    return int(value) if isinstance(value, str) and not is_name else value
