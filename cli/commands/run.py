"""`medq run`: the closed loop on the user's own images, questions and model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from cli.connection import connect
from cli.follow import download, finish_run
from cli.options import Json, Out, RunId, Server
from cli.output import console, print_json, print_table, score_text, told_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import InvalidArgument


def run(
    config: Annotated[
        Path,
        typer.Option(
            "--config", exists=True, dir_okay=False, help="The YAML of the run: docs/configuration.md."
        ),
    ],
    out: Out,
    run_id: RunId = "run",
    server: Server = "",
    is_json: Json = False,
) -> None:
    """Run the loop: evaluate, explore, evolve, until the model stops improving.

    Killed at any moment, the same command goes on where it was. Another terminal sees how far it is with `medq status`.
    """
    with told_errors(is_json), connect(out, server) as channels:
        start_run(channels["controller"], config, run_id)
        finish_run(channels, run_id, is_quiet=is_json)
        download(channels["controller"], run_id, out)
    show_report(out, is_json)


def start_run(controller: grpc.Channel, config: Path, run_id: str) -> None:
    """Check a configuration and start the run, or go on with it.

    Raises:
        InvalidArgument: The configuration is wrong; the message lists every problem.
        grpc.RpcError: The controller refused.
    """
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    text, base = config.read_text(encoding="utf-8"), str(config.resolve().parent)
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
    stub.StartRun(controller_pb2.StartRunRequest(run_id=run_id, config_yaml=text, base_folder=base))


def show_report(out: Path, is_json: bool) -> None:
    """Show the scores of `report.json` in a folder, or print the whole of it."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    if is_json:
        print_json(report)
        return
    rows = [
        (name, entry["round"], *(_overall(entry, split) for split in ("dev", "test")))
        for name, arm in sorted(report["arms"].items())
        for entry in arm["rounds"]
    ]
    print_table("Perception accuracy [95 % interval]", ("arm", "round", "dev", "test"), rows)
    for name, arm in sorted(report["arms"].items()):
        console.print(f"{name} stopped: {arm.get('stop_reason', '')}", markup=False)
    for part in report.get("simulated", []):
        console.print(f"Simulated: {part['text']}", markup=False)
    console.print(f"Report: {out / 'report.html'}", markup=False)


def _overall(entry: dict[str, Any], split: str) -> str:
    perception = (entry.get(split) or {}).get("perception")
    return score_text(perception["overall"]) if perception else "-"
