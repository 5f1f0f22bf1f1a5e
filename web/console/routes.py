"""Pages of the console."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from medq.controller.v1.controller_pb2 import ListRunsRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from web.login import As
from web.pages import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def first(services: As) -> Response:
    """The first page: the runs."""
    return RedirectResponse("/runs")


@router.get("/runs")
def runs(request: Request, services: As) -> Response:
    """All runs, the newest first."""
    found = services.stub("controller", ControllerServiceStub).ListRuns(ListRunsRequest())
    return page(request, "console/runs.html", runs=found.runs)
