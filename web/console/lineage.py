"""Where things come from and what became of them: searches, data sets and models of a run; a sample back, an error forward."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from medq.controller.v1.controller_pb2 import GetLineageRequest, GetLineageResponse, GetReportRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.operations.v1.operations_pb2 import DownloadDatasetRequest
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.errors import InvalidArgument, NotFound
from shared.status import typed
from web.calls import Services
from web.console.figures import report_of
from web.identity import As
from web.pages import page

Json = dict[str, Any]
router = APIRouter(include_in_schema=False)
_FILE = "report.html"
Id = Annotated[str, Query(max_length=200)]


@router.get("/runs/{run_id}/lineage")
def show(request: Request, run_id: str, services: As, sample_id: Id = "", item_id: Id = "") -> Response:
    """Data sets and models of a run and, where a sample or an item of dev is named, what is known of it."""
    sample_id, item_id = sample_id.strip(), item_id.strip()
    found, problem = _asked_for(services, run_id, sample_id, item_id)
    report = report_of(services, run_id)
    return page(
        request,
        "console/lineage.html",
        run_id=run_id,
        sample_id=sample_id,
        item_id=item_id,
        found=found,
        problem=problem,
        rounds=_rounds(report) if report else [],
        base_model=_uris(report).get(("-", 0, "import_model"), "") if report else "",
        promoted=report["measured"]["promoted_models"] if report else {},
        searches=_searches(report) if report else [],
    )


@router.get("/runs/{run_id}/report.html")
def download(run_id: str, services: As) -> Response:
    """The report as one file, to keep: its pictures are in it."""
    uri = services.stub("controller", ControllerServiceStub).GetReport(GetReportRequest(run_id=run_id)).report_uri
    if not uri:
        raise NotFound("The run has not ended: there is no file of its report yet.", field="run_id", value=run_id)
    request = DownloadDatasetRequest(uri=uri, file_names=[_FILE])
    pieces = services.stub("controller", OperationsServiceStub).DownloadDataset(request)
    return StreamingResponse(
        (piece.chunk for piece in pieces),
        media_type="text/html",
        headers={"Content-Disposition": f'attachment; filename="{run_id}-report.html"'},
    )


def _asked_for(services: Services, run_id: str, sample_id: str, item_id: str) -> tuple[GetLineageResponse | None, str]:
    """What is known, and what is wrong with the question."""
    if not (sample_id or item_id):
        return None, ""
    request = GetLineageRequest(run_id=run_id, sample_id=sample_id, item_id=item_id)
    try:
        return services.stub("controller", ControllerServiceStub).GetLineage(request), ""
    except Exception as error:
        known = typed(error)
        if not isinstance(known, NotFound | InvalidArgument):
            raise
        return None, f"{known.message} {known.remedy}".strip()


def _uris(report: Json) -> dict[tuple[str, int, str], str]:
    return {(one["arm"], one["round"], one["step"]): one["uri"] for one in report["measured"]["steps"]}


def _rounds(report: Json) -> list[Json]:
    """Each round that drew something: what went in, what came out, with the URIs of the two that are kept."""
    uris = _uris(report)
    return [
        {
            "arm": name,
            "round": facts["round"],
            "n_failures": facts["failures"]["n_failures"] if facts["failures"] else None,
            "n_drawn": facts["selection"]["selected"] if facts["selection"] else None,
            "n_decisions": facts["annotation"]["n_decisions"] if facts["annotation"] else None,
            "n_samples": facts["dataset"].get("n_samples") if facts["dataset"] else None,
            "dataset_uri": uris.get((name, facts["round"], "build_dataset"), ""),
            "model_uri": uris.get((name, facts["round"], "train"), ""),
        }
        for name, arm in report["arms"].items()
        for facts in arm["rounds"]
        if facts["failures"]
    ]


def _searches(report: Json) -> list[Json]:
    """What each round went looking for, the most images first."""
    return [
        {"arm": name, "round": facts["round"], **one}
        for name, arm in report["arms"].items()
        for facts in arm["rounds"]
        if facts["selection"]
        for one in facts["selection"]["searches"]
    ]
