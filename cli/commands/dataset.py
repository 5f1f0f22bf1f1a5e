"""`medq dataset`: training sets for other tools."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import grpc
import typer

from cli.access import Access, with_access
from cli.connection import connect
from cli.datasets import manifest_of
from cli.new_folders import new_folder
from cli.options import Json, RunId, one_of
from cli.output import console, print_json, print_table, shown_errors
from cli.training_sets import ALL, LLAVA, MARK, PARQUET, Exported, Source, mark, write_set
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import InvalidArgument, NotFound

app = typer.Typer(name="dataset", help="Training sets for other tools.", no_args_is_help=True)
_FORMS = (LLAVA, PARQUET, ALL)


def export(
    source: Annotated[
        str, typer.Argument(help="The output folder of a run, the name of a run, or the URI of a dataset (sha256:...).")
    ],
    out: Annotated[Path, typer.Option("--out", help="The new folder.")],
    *,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            parser=one_of(_FORMS),
            metavar="|".join(_FORMS),
            help="llava: JSONL with images and LLaMA-Factory's description; parquet: for Hugging Face datasets; all: both.",
        ),
    ] = ALL,
    arm: Annotated[str, typer.Option(help="Only this arm; without it each arm, in a folder of its name.")] = "",
    round_number: Annotated[
        int | None, typer.Option("--round", min=0, help="The dataset of this round; without it the last one.")
    ] = None,
    is_joined: Annotated[
        bool, typer.Option("--joined", help="All rounds of an arm as one set, each sample once.")
    ] = False,
    place: Annotated[
        Path | None,
        typer.Option("--in", file_okay=False, help="Output folder of the run, where SOURCE is a name or a URI."),
    ] = None,
    run_id: RunId = "run",
    is_replacing: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    access: Access,
    is_json: Json = False,
) -> None:
    """Write the training set of a run into a new folder, each file held against its digest; then put it in place."""
    with shown_errors(is_json):
        if is_joined and round_number is not None:
            raise InvalidArgument(
                "One round cannot be joined.", field="round", value=round_number, remedy="Leave one out."
            )
        if Path(source).is_dir():
            place, source = Path(source), run_id
        elif place is None and not access.server:
            remedy = "Name the output folder of a run, or say by --in or --server where the run is."
            raise InvalidArgument("There is no such folder.", field="SOURCE", value=source, remedy=remedy)
        with (
            connect(place or Path(), access, may_start=False) as channels,
            new_folder(out, MARK, is_replacing=is_replacing) as folder,
        ):
            controller = channels["controller"]
            arms = _sources(controller, source, arm, round_number, is_joined)
            exported = [
                write_set(controller, sources, form, folder / name if len(arms) > 1 else folder)
                for name, sources in arms.items()
            ]
            mark(folder, exported)
        _show(exported, out, is_json)


app.command()(with_access(export))


@app.callback()
def _group() -> None:
    """Training sets for other tools."""


def _sources(
    controller: grpc.Channel, source: str, arm: str, round_number: int | None, is_joined: bool
) -> dict[str, list[Source]]:
    """Arm to the datasets that are wanted of it, in the order of rounds.

    Raises:
        NotFound: The run has no such dataset.
    """
    if re.fullmatch("sha256:[0-9a-f]{64}", source):
        said = manifest_of(controller, source, "dataset").configuration
        return {said["arm"]: [Source(source, said["arm"], said["round"])]}
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    report = json.loads(stub.GetReport(controller_pb2.GetReportRequest(run_id=source)).report_json)
    found: dict[str, list[Source]] = {}
    for step in report["measured"]["steps"]:
        if step["step"] == "build_dataset" and arm in ("", step["arm"]) and round_number in (None, step["round"]):
            found.setdefault(step["arm"], []).append(Source(step["uri"], step["arm"], step["round"]))
    if not found:
        wanted = " ".join(filter(None, (arm, "" if round_number is None else f"round {round_number}")))
        remedy = "`medq report` shows what the run has; a dataset is there once its round has built it."
        raise NotFound(
            "The run has no such dataset yet.", field="run_id", value=f"{source} {wanted}".strip(), remedy=remedy
        )
    ordered = {name: sorted(sources, key=lambda one: one.round) for name, sources in found.items()}
    return ordered if is_joined else {name: sources[-1:] for name, sources in ordered.items()}


def _show(exported: list[Exported], out: Path, is_json: bool) -> None:
    if is_json:
        print_json({"out": str(out), "sets": [asdict(one) for one in exported]})
        return
    rows = [
        (
            one.sources[0].arm,
            ", ".join(str(source.round) for source in one.sources),
            one.samples,
            one.simulated,
            one.images,
        )
        for one in exported
    ]
    print_table("Training sets", ("arm", "round", "samples", "annotated by simulation", "images"), rows)
    for one in exported:
        if one.repeated:
            console.print(f"{one.sources[0].arm}: {one.repeated} samples were in several rounds, and are here once.")
    console.print(f"Exported to: {out}", soft_wrap=True)
