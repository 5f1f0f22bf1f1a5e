"""`medq run`: the closed loop on the user's own images, questions and model."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from cli.access import Access
from cli.connection import connect
from cli.estimates import agree, estimate_of, show_estimate
from cli.follow import WaitHint, download, finish_run, run_of
from cli.left_out import InputLosses, fetch_names, losses_of, show_losses
from cli.options import Json, Out, RunId
from cli.output import PARTIAL, console, print_json, print_table, shown_errors
from cli.results import n_unscored, show_result
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from shared.regular_files import open_regular
from shared.rpc.channels import Channels
from shared.status import typed

#: `schema_version` of `report.json`.
_REPORT_VERSION = 2
#: Largest configuration that is sent; the controller has the bound that counts.
_MOST_CONFIG_BYTES = 4 << 20


def run(
    config: Annotated[
        Path, typer.Option("--config", exists=True, dir_okay=False, help="The YAML of the run: docs/configuration.md.")
    ],
    out: Out,
    *,
    run_id: RunId = "run",
    is_agreed: Annotated[
        bool, typer.Option("--yes", help="Agree to what the run will cost; `medq estimate` says it.")
    ] = False,
    access: Access,
    is_json: Json = False,
) -> None:
    """Run the loop: evaluate, explore, evolve, until the model stops improving.

    Killed at any moment, the same command goes on where it was. Another terminal sees how far it is with `medq status`.
    """
    with shown_errors(is_json):
        with connect(out, access) as channels:
            follow_to_report(channels, config, run_id, out, is_quiet=is_json, is_agreed=is_agreed)
        show_report(out, is_json)


def follow_to_report(
    channels: Channels, config: Path, run_id: str, out: Path, is_quiet: bool, is_agreed: bool = False
) -> None:
    """Start a run or go on with it, show it to its end, and fetch its report, also where it failed.

    Raises:
        MedqError: The configuration is wrong, or the run failed.
    """
    controller = channels["controller"]
    start_run(controller, config, run_id, is_quiet, is_agreed)
    told, hint = InputLosses(controller, run_id), WaitHint(out)

    def look(run: controller_pb2.Run) -> None:
        told.look(run)
        hint.look(run)

    has_ended = False
    try:
        finish_run(channels, run_id, is_quiet, look=look)
        has_ended = True
    finally:
        fetch_report(controller, run_id, out)
        if not has_ended and not is_quiet:
            show_losses(read_report(out / "report.json"), out)


def fetch_report(controller: grpc.Channel, run_id: str, out: Path) -> bool:
    """Write a run's report into a folder: all its files when it has ended, `report.json` as far as it has come before.

    Returns: True when the run has ended.
    """
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    answer = stub.GetReport(controller_pb2.GetReportRequest(run_id=run_id))
    out.mkdir(parents=True, exist_ok=True)
    if answer.report_uri:
        download(controller, answer.report_uri, out)
    else:
        (out / "report.json").write_text(answer.report_json, encoding="utf-8")
    fetch_names(controller, read_report(out / "report.json"), out)
    return bool(answer.report_uri)


def start_run(
    controller: grpc.Channel, config: Path, run_id: str, is_quiet: bool = False, is_agreed: bool = False
) -> None:
    """Check a configuration, say what its dev set can tell and what it will cost, and start the run or go on with it.

    Args:
        controller: A channel to it.
        config: The file.
        run_id: The run.
        is_quiet: Say nothing but problems.
        is_agreed: The costs are agreed to; else a new run that costs anything real is agreed to at the terminal.

    Raises:
        InvalidArgument: The configuration is wrong; the message lists every problem. Or nobody has agreed to the costs.
        grpc.RpcError: The controller refused.
    """
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    text, base = read_config(config), str(config.resolve().parent)
    found = stub.ValidateRun(controller_pb2.ValidateRunRequest(config_yaml=text, base_folder=base))
    if found.problems:
        rows = [(problem.field, problem.message, problem.remedy) for problem in found.problems]
        print_table(f"{config.name} cannot run", ("key", "problem", "remedy"), rows)
        raise InvalidArgument(
            f"{len(rows)} problem{'s' if len(rows) > 1 else ''} in the configuration; nothing was spent.",
            field=found.problems[0].field,
            value=found.problems[0].message,
            remedy=found.problems[0].remedy,
        )
    if not is_quiet:
        for note in found.notes:
            console.print(note)
    if find_run(controller, run_id) is None:  # one that goes on was agreed to when it began
        estimated = estimate_of(controller, text, config.resolve().parent)
        if not is_quiet:
            show_estimate(estimated)
        agree(estimated, is_agreed)
    stub.StartRun(controller_pb2.StartRunRequest(run_id=run_id, config_yaml=text, base_folder=base))


def find_run(controller: grpc.Channel, run_id: str) -> controller_pb2.Run | None:
    """A run as the controller knows it; None where it knows none of this name."""
    try:
        return run_of(controller, run_id)
    except grpc.RpcError as error:
        if isinstance(typed(error), NotFound):
            return None
        raise


def read_config(config: Path) -> str:
    """The text of a configuration.

    Raises:
        InvalidArgument: It is no regular file, too large, or not UTF-8 text.
    """
    try:
        with (
            open_regular(Path(os.path.realpath(config)), _MOST_CONFIG_BYTES, "config") as source,
            io.TextIOWrapper(source, "utf-8") as text,
        ):
            return text.read(_MOST_CONFIG_BYTES)
    except UnicodeDecodeError:
        remedy = "Save it as UTF-8 text; docs/configuration.md lists every key."
        raise InvalidArgument(
            "The configuration is not text.", field="config", value=config.name, remedy=remedy
        ) from None


def show_report(out: Path, is_json: bool) -> None:
    """Show the scores and losses of `report.json` in a folder, or print the whole of it; exit code 3 where a part was lost.

    Raises:
        DataLoss: It is no report.
        FailedPrecondition: It is that of another release.
    """
    report = read_report(out / "report.json")
    if is_json:
        print_json(report)
    else:
        show_result(report, out)
    if losses_of(report)["is_partial"] or n_unscored(report):
        raise typer.Exit(PARTIAL)


def read_report(path: Path) -> dict[str, Any]:
    """A `report.json`.

    Raises:
        DataLoss: It is no report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        report = None
    if not isinstance(report, dict) or "arms" not in report:
        remedy = "Delete it, and repeat the command that made it, which writes it again."
        raise DataLoss("The file is not a report.", field="out", value=path.name, remedy=remedy)
    if report.get("schema_version") != _REPORT_VERSION:
        raise FailedPrecondition(
            "The report is of another release, whose figures mean something else.",
            field="schema_version",
            value=report.get("schema_version"),
            remedy="Read report.html beside it, or run again in another folder.",
        )
    return report
