"""What was lost and what was left out on purpose, told in lines; the names of what was lost go to the user's disk alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from cli.follow import download
from cli.output import console
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import PermissionDenied
from shared.left_out import facts_of, is_lost
from shared.rows.benchmark import Rejection
from shared.rows.encoding import from_lines, to_json
from shared.rows.images import Input
from shared.status import typed

Json = Mapping[str, Any]
#: The folder, beside a report, with the names of what was lost.
NAMES = "left-out"
#: The arm of the steps that all arms share.
_SHARED_ARM = "-"
_NOTHING: Json = {"is_partial": False, "sets": (), "entries": ()}


def losses_of(report: Json) -> Json:
    """The block `losses` of a report; that of an earlier release has none."""
    losses: Json = report.get("losses", _NOTHING)
    return losses


def loss_lines(losses: Json) -> Iterator[str]:
    """The block `losses` of a report as lines: one for each loss, and one for what one place left out on purpose."""
    totals = {(one["name"], one["unit"]): f" of {one['n']}" for one in losses["sets"]}

    def where(entry: Json) -> str:
        arm = "" if entry["arm"] is None else f"{entry['arm']}, round {entry['round']}, "
        return f"{arm}{entry['place']}"

    for entry in losses["entries"]:
        if entry["is_loss"]:
            of = totals.get((entry["place"], entry["unit"]), "") if entry["arm"] is None else ""
            yield _lost_line(where(entry), f"{entry['n']}{of} {entry['unit']}", entry)
    for place, group in groupby((entry for entry in losses["entries"] if not entry["is_loss"]), where):
        told = ", ".join(f"{one['n']} {one['unit']} {_words(one['outcome'])} ({one['reason']})" for one in group)
        yield f"Left out on purpose: {place}: {told}."


def show_losses(report: Json, out: Path) -> None:
    """Tell a person all lines of a report, and where the names are."""
    for line in loss_lines(losses_of(report)):
        console.print(line, soft_wrap=True)
    if (out / NAMES).is_dir():
        console.print(f"Which they are: {out / NAMES}", soft_wrap=True)


def fetch_names(controller: grpc.Channel, report: Json, out: Path) -> None:
    """Write, for each set that lost something, which files or rows they were: `left-out/pool-images.jsonl` and so on.

    A caller who may not see names gets none.
    """
    shutil.rmtree(out / NAMES, ignore_errors=True)
    uris = {step["step"]: step["uri"] for step in report["measured"]["steps"]}
    for one in losses_of(report)["sets"]:
        if one["lost"]:
            verb = "ingest" if one["unit"] == "images" else "import"
            uri = uris[f"{verb}_{one['name'].removesuffix('_answers')}"]
            try:
                _fetch_lost(controller, uri, one["name"], one["unit"], out)
            except grpc.RpcError as error:
                if not isinstance(typed(error), PermissionDenied):
                    raise


def show_lost_items(channel: grpc.Channel, image_set: str, benchmark: str, out: Path, is_quiet: bool) -> bool:
    """Tell what a table of questions lost that a command brought in by itself, and write the names.

    Returns: Whether anything was lost.
    """
    shutil.rmtree(out / NAMES, ignore_errors=True)
    is_any = False
    for unit, uri in (("images", image_set), ("rows", benchmark)):
        lost = _fetch_lost(channel, uri, "items", unit, out)
        is_any = is_any or bool(lost)
        for left in () if is_quiet else facts_of("items", unit, lost).left_out:
            console.print(_lost_line("items", f"{left.n} {unit}", vars(left)), soft_wrap=True)
    return is_any


class InputLosses:
    """Tells what a run lost of its inputs as soon as they are in, while somebody follows it; each line once.

    Args:
        controller: A channel to it.
        run_id: The run.
    """

    def __init__(self, controller: grpc.Channel, run_id: str) -> None:
        self._stub = controller_pb2_grpc.ControllerServiceStub(controller)
        self._request = controller_pb2.GetReportRequest(run_id=run_id)
        self._step = ""
        self._is_over = False
        self._told: set[str] = set()

    def look(self, run: controller_pb2.Run) -> None:
        """Ask for the report where the run has come to another step, up to the first of an arm; all inputs are in then."""
        if self._is_over or run.step in ("", self._step):
            return
        try:
            report = json.loads(self._stub.GetReport(self._request).report_json)
        except grpc.RpcError:  # it is asked again; at the end all is told anyway
            return
        self._step, self._is_over = run.step, run.arm != _SHARED_ARM
        losses = losses_of(report)
        inputs = [entry for entry in losses["entries"] if entry["arm"] is None]
        for line in loss_lines({**losses, "entries": inputs}):
            if line not in self._told:
                self._told.add(line)
                console.print(line, soft_wrap=True)


def _fetch_lost(channel: grpc.Channel, uri: str, name: str, unit: str, out: Path) -> list[Input | Rejection]:
    """The rows of `report.jsonl` of an image set or a benchmark that tell of a loss; where there are such, they are written."""
    with TemporaryDirectory(prefix="medq-") as folder:
        (path,) = download(channel, uri, Path(folder), ["report.jsonl"])
        with path.open("rb") as lines:
            rows: Iterator[Input | Rejection]
            rows = from_lines(lines, Input, unit) if unit == "images" else from_lines(lines, Rejection, unit)
            lost = [row for row in rows if is_lost(row)]
    if lost:
        (out / NAMES).mkdir(parents=True, exist_ok=True)
        text = "".join(f"{to_json(row)}\n" for row in lost)
        (out / NAMES / f"{name}-{unit}.jsonl").write_text(text, encoding="utf-8")
    return lost


def _lost_line(where: str, what: str, left: Json) -> str:
    why = " — ".join(filter(None, (left["reason"].rstrip("."), left["remedy"])))
    return f"Lost: {where}: {what} {_words(left['outcome'])}: {why}"


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
