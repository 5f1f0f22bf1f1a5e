"""`medq review`: what waits for experts, out to files that they fill in, and their decisions back."""

from __future__ import annotations

import getpass
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import grpc
import typer

from cli import label_studio, review_files
from cli.access import Access, with_access
from cli.commands.review_desk import assign, prioritize, reopen, stats
from cli.connection import connect
from cli.options import Json, Out, one_of
from cli.output import PARTIAL, console, print_json, print_table, shown_errors
from cli.review_files import Decisions, Entered, Refused
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared import errors
from shared.objects.manifest import require_inside
from shared.status import from_rpc_error
from shared.synced import put_in_place

_STATES = ("open", "decided", "closed", "withdrawn", "all")
_COLUMNS = ("task", "state", "run", "round", "question", "proposal", "reviewer")
_PAGE = 200
_LONGEST_CELL = 60  # characters
#: What is wrong with one decision; anything else ends the import, and the same command goes on.
_OF_ONE = (
    errors.InvalidArgument,
    errors.NotFound,
    errors.FailedPrecondition,
    errors.AlreadyExists,
    errors.PermissionDenied,
)
State = Annotated[str, typer.Option(parser=one_of(_STATES), metavar="STATE", help=f"One of {', '.join(_STATES)}.")]
Run = Annotated[str, typer.Option("--run-id", help="Only of this run.")]

app = typer.Typer(help="What waits for experts: list it, take it out to a file, bring decisions back, close the rest.")


def list_tasks(
    out: Out,
    *,
    run_id: Run = "",
    state: State = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most tasks that are shown.")] = 20,
    access: Access,
    is_json: Json = False,
) -> None:
    """Show how many tasks wait for experts, and the first of them."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        stub = ReviewServiceStub(channels["oracle"])
        counts = stub.CountTasks(pb.CountTasksRequest(run_id=run_id))
        shown = [review_files.record_of(task, "") for task in _tasks(stub, run_id, state, limit)]
    told = {field.name: getattr(counts, field.name) for field in pb.CountTasksResponse.DESCRIPTOR.fields}
    if is_json:
        print_json({"counts": told, "tasks": shown})
        return
    console.print(", ".join(f"{n} {name}" for name, n in told.items() if n) or "No task was queued.")
    if shown:
        print_table("Tasks", _COLUMNS, [listed(row) for row in shown])


def listed(record: Mapping[str, Any]) -> list[str]:
    """The cells of a task in a list: those of `_COLUMNS`, long texts shortened; what a simulated oracle proposes says so."""
    names = ("task_id", "state", "run_id", "round", "question", "proposal", "reviewer")
    proposal = record["proposal"]
    if record["is_reference_simulated"] and proposal is not None and proposal == record["reference_answer"]:
        record = {**record, "proposal": f"(simulated) {proposal}"}
    cells = ["" if record[name] is None else str(record[name]) for name in names]
    return [shorten(cell, _LONGEST_CELL, placeholder=" ...") for cell in cells]


def export(
    out: Out,
    *,
    to: Annotated[Path, typer.Option(dir_okay=False, help="File: .csv for spreadsheets, .json for Label Studio.")],
    images: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder to write the pictures to, as PNG.")
    ] = None,
    run_id: Run = "",
    state: State = "open",
    access: Access,
    is_json: Json = False,
) -> None:
    """Write tasks to a file that experts fill in: for each an action, an answer or a reason, and the seconds that it took."""
    with shown_errors(is_json):
        is_csv = _is_csv(to, "to")
        with connect(out, access, must_exist=True) as channels:
            stub = ReviewServiceStub(channels["oracle"])
            tasks = [task for task in _tasks(stub, run_id, state) if task.expert == "review"]
            places = write_pictures(stub, tasks, images, to) if images is not None else {}
        records = [review_files.record_of(task, places.get(task.image_id, "")) for task in tasks]
        partial = to.with_name(to.name + ".partial")
        to.parent.mkdir(parents=True, exist_ok=True)
        (review_files.write_csv if is_csv else label_studio.write_json)(partial, records)
        put_in_place(partial, to)
        if not is_csv:
            to.with_suffix(".xml").write_text(label_studio.CONFIGURATION, encoding="utf-8")
        if is_json:
            print_json({"tasks": len(records), "images": len(places), "file": str(to)})
        else:
            console.print(
                f"{len(records)} tasks in {to}" + (f", {len(places)} pictures in {images}." if images else ".")
            )


def import_decisions(
    out: Out,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV, or the JSON of Label Studio.")],
    *,
    reviewer: Annotated[str, typer.Option(help="Who decided, where the file does not say.")] = "",
    access: Access,
    is_json: Json = False,
) -> None:
    """Enter decisions from a file. What is there already stays; a row that cannot be entered is named, and the rest goes in."""
    with shown_errors(is_json):
        found = (review_files.read_csv if _is_csv(file, "file") else label_studio.read_json)(file)
        with connect(out, access, must_exist=True) as channels:
            name = reviewer or ("" if access.server else getpass.getuser())
            counts, refused = _enter(ReviewServiceStub(channels["oracle"]), found, name)
    _show_import(counts, refused, is_json)
    if refused:
        raise typer.Exit(PARTIAL)


def close(
    out: Out,
    *,
    run_id: Annotated[str, typer.Option("--run-id", help="The run whose open tasks are closed.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    access: Access,
    is_json: Json = False,
) -> None:
    """Close what is open of a run, for good: its questions are left out and counted, and the run goes on."""
    with shown_errors(is_json), connect(out, access, must_exist=True) as channels:
        stub = ReviewServiceStub(channels["oracle"])
        n_open = stub.CountTasks(pb.CountTasksRequest(run_id=run_id)).open
        if n_open and not is_sure and sys.stdin.isatty() and not is_json:
            typer.confirm(f"Leave {n_open} tasks undecided, for good?", abort=True, err=True)
        n_closed = stub.CloseTasks(pb.CloseTasksRequest(run_id=run_id)).closed
        if is_json:
            print_json({"closed": n_closed})
        else:
            console.print(f"{n_closed} tasks closed; their questions, and what these rounds still queue, are left out.")


for name, command in (
    ("list", list_tasks), ("export", export), ("import", import_decisions), ("close", close),
    ("stats", stats), ("assign", assign), ("prioritize", prioritize), ("reopen", reopen),
):  # fmt: skip
    app.command(name)(with_access(command))


def _tasks(stub: ReviewServiceStub, run_id: str, state: str, most: int = sys.maxsize) -> Iterator[pb.ReviewTask]:
    wanted = pb.TASK_STATE_UNSPECIFIED if state == "all" else pb.TaskState.Value(f"TASK_STATE_{state.upper()}")
    request = pb.ListTasksRequest(run_id=run_id, state=wanted, page_size=min(most, _PAGE))
    while most > 0:
        page = stub.ListTasks(request)
        yield from page.tasks[:most]
        most -= len(page.tasks)
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def write_pictures(stub: ReviewServiceStub, tasks: Sequence[pb.ReviewTask], folder: Path, file: Path) -> dict[str, str]:
    """Write each picture once; where it lies, seen from the file, by image id."""
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    for task in tasks:
        if task.image_id in places:
            continue
        require_inside(task.image_id)
        path = folder / f"{task.image_id}.png"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as target:
            for piece in stub.GetTaskImage(pb.GetTaskImageRequest(task_id=task.task_id)):
                target.write(piece.chunk)
        put_in_place(partial, path)
        places[task.image_id] = os.path.relpath(path, file.parent)
    return places


def _enter(stub: ReviewServiceStub, found: Decisions, reviewer: str) -> tuple[Counter[str], list[Refused]]:
    """Enter decisions one by one; how many of each fate, and what was refused."""
    counts, refused = Counter(undecided=found.n_undecided), list(found.refused)
    for one in found.entered:
        try:
            answer = stub.DecideTask(_request(one, reviewer))
        except grpc.RpcError as error:
            known = from_rpc_error(error)
            if not isinstance(known, _OF_ONE):
                raise
            refused.append(Refused(one.place, one.task_id, " ".join(filter(None, (known.message, known.remedy)))))
            continue
        counts["decided" if answer.is_new else "known"] += 1
        counts["without_time"] += one.active_seconds is None
    counts["refused"] = len(refused)
    return counts, refused


def _request(one: Entered, reviewer: str) -> pb.DecideTaskRequest:
    return pb.DecideTaskRequest(
        task_id=one.task_id,
        revision=max(0, min(one.revision, 2**32 - 1)),
        action=review_files.ACTIONS[one.action],
        answer=one.answer,
        reason=one.reason,
        active_seconds=one.active_seconds or 0.0,
        reviewer=one.reviewer or reviewer,
    )


def _show_import(counts: Counter[str], refused: Sequence[Refused], is_json: bool) -> None:
    names = ("decided", "known", "undecided", "without_time", "refused")
    told: dict[str, Any] = {name: counts[name] for name in names}
    if is_json:
        print_json({"counts": told, "refused": [vars(one) for one in refused]})
        return
    words = {"known": "known already", "undecided": "not decided yet", "without_time": "without their time"}
    console.print(", ".join(f"{n} {words.get(name, name)}" for name, n in told.items() if n) or "The file is empty.")
    if refused:
        rows = [(one.place, one.task_id, one.why) for one in refused[:20]]
        print_table(f"Not entered ({len(refused)})", ("where", "task", "why"), rows)


def _is_csv(path: Path, field: str) -> bool:
    """Whether a file's name says CSV (or TSV, to be read), rather than JSON.

    Raises:
        InvalidArgument: It says neither.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".json") or (suffix == ".tsv" and field == "to"):
        raise errors.InvalidArgument(
            "The name says no format.", field=field, value=path.name, remedy="Name it .csv, or .json for Label Studio."
        )
    return suffix != ".json"
