"""`medq report`: fetch a run's report."""

from __future__ import annotations

import json

from cli.commands.run import show_report
from cli.connection import connect
from cli.follow import download
from cli.options import Json, Out, RunId, Server
from cli.output import console, told_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.rpc.ownership import is_owned


def report(out: Out, run_id: RunId = "run", server: Server = "", is_json: Json = False) -> None:
    """Show the report of a run: whole when it has ended, as far as it has come while it runs."""
    with told_errors(is_json):
        if server or is_owned(out / "state") or not (out / "report.json").exists():
            with connect(out, server, may_start=False) as channels:
                stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
                answer = stub.GetReport(controller_pb2.GetReportRequest(run_id=run_id))
                out.mkdir(parents=True, exist_ok=True)
                if answer.report_uri:
                    download(channels["controller"], run_id, out)
                else:
                    partial = json.loads(answer.report_json)
                    (out / "report.json").write_text(
                        json.dumps(partial, indent=2, sort_keys=True), encoding="utf-8"
                    )
                    console.print("The run goes on; this is how far it is.")
        show_report(out, is_json)
