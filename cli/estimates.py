"""What a run will cost: shown before it starts, and agreed to where money is paid or people are asked."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import typer

from cli.output import console, print_table
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import InvalidArgument


def estimate_of(controller: grpc.Channel, config_yaml: str, base: Path) -> controller_pb2.EstimateRunResponse:
    """What the controller says that a configuration will cost."""
    request = controller_pb2.EstimateRunRequest(config_yaml=config_yaml, base_folder=str(base))
    return controller_pb2_grpc.ControllerServiceStub(controller).EstimateRun(request)


def show_estimate(found: controller_pb2.EstimateRunResponse) -> None:
    """Tell a person: a line for each round and kind, the totals, what they rest on, and where a limit is below them."""
    rows = [
        (
            "all" if not line.HasField("round") else line.round,
            f"{line.kind}: {line.endpoint}",
            _text(line.calls, 0),
            _text(line.tokens, 0),
            _text(line.usd, 2),
            _text(line.expert_hours, 1),
        )
        for line in (*found.rounds, *found.totals)
    ]
    if rows:
        columns = ("round", "who is asked", "calls", "tokens", "US dollars", "expert hours")
        print_table("What the run may cost, over all arms", columns, rows)
    else:
        console.print("The run asks nobody: no annotation, and no judge.")
    for sentence in found.assumptions:
        console.print(f"  {sentence}", soft_wrap=True)
    for sentence in found.warnings:
        console.print(f"Warning: {sentence}", soft_wrap=True)


def agree(found: controller_pb2.EstimateRunResponse, is_agreed: bool) -> None:
    """Go on where the costs are agreed to: nothing real is spent, `--yes` was given, or the person at the terminal says so.

    Raises:
        InvalidArgument: There is no terminal to ask at.
        typer.Abort: The person said no.
    """
    if not found.is_real or is_agreed:
        return
    if not sys.stdin.isatty():
        remedy = "Look at `medq estimate --config FILE`, then give --yes; or start the run from a terminal, which asks."
        raise InvalidArgument("The run costs money or the time of people.", field="yes", value="", remedy=remedy)
    if not console.is_terminal:
        typer.echo("See `medq estimate` for the figures.", err=True)
    typer.confirm("The run costs money or the time of people. Start it?", abort=True, err=True)


def _text(one: controller_pb2.Range, digits: int) -> str:
    if not one.high:
        return "-"
    low, high = (f"{value:,.{digits}f}" for value in (one.low, one.high))
    return low if low == high else f"{low} to {high}"
