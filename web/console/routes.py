"""Pages of the console: the runs, and what one of them did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from medq.controller.v1.controller_pb2 import GetRunRequest, ListRunsRequest, PauseRunRequest, ResumeRunRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.operations.v1.operations_pb2 import CancelOperationRequest
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from web.calls import Services
from web.console.figures import figures, report_of
from web.console.live import follow
from web.console.sparks import latest, spark
from web.console.standing import Standing, standings
from web.identity import As
from web.pages import page, part

router = APIRouter(include_in_schema=False)
_RUNS_PER_PAGE = 25
#: They may start, pause and call off runs; the services decide, this shows buttons.
_OPERATORS = frozenset({"operator", "admin"})


@router.get("/")
def first(services: As) -> Response:
    """The first page: the runs."""
    return RedirectResponse("/runs")


@router.get("/runs")
def runs(request: Request, services: As, page_token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The runs, the newest first."""
    asked = ListRunsRequest(page_size=_RUNS_PER_PAGE, page_token=page_token)
    found = services.stub("controller", ControllerServiceStub).ListRuns(asked)
    return page(
        request,
        "console/runs.html",
        rows=[(standing, spark(standing.run), latest(standing.run)) for standing in standings(services, found.runs)],
        is_first=not page_token,
        next_page_token=found.next_page_token,
        is_operator=is_operator(services),
    )


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str, services: As) -> Response:
    """A run: where it stands, and what it has shown so far."""
    standing, report = standing_of(services, run_id), report_of(services, run_id)
    return page(
        request,
        "console/run.html",
        standing=standing,
        is_operator=is_operator(services),
        **(figures(services, run_id, report) if report else {"report": None}),
    )


@router.get("/runs/{run_id}/figures")
def figures_alone(run_id: str, services: As) -> Response:
    """The figures of a run as a part of its page, for the script that follows it."""
    report = report_of(services, run_id)
    return HTMLResponse(part("console/figures.html", **figures(services, run_id, report)) if report else "")


@router.get("/runs/{run_id}/events")
async def events(request: Request, run_id: str, services: As) -> Response:
    """Where the run stands, whenever that changes, as server-sent events with the part of the page that says it."""
    return follow(request, lambda: standing_of(services, run_id))


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: str, services: As) -> Response:
    """Call a run off."""
    services.stub("controller", OperationsServiceStub).CancelOperation(CancelOperationRequest(operation_id=run_id))
    return RedirectResponse(f"/runs/{run_id}", 303)


@router.post("/runs/{run_id}/pause")
def pause(run_id: str, services: As) -> Response:
    """Have a run begin no further step."""
    services.stub("controller", ControllerServiceStub).PauseRun(PauseRunRequest(run_id=run_id))
    return RedirectResponse(f"/runs/{run_id}", 303)


@router.post("/runs/{run_id}/resume")
def resume(run_id: str, services: As) -> Response:
    """Let a paused run go on."""
    services.stub("controller", ControllerServiceStub).ResumeRun(ResumeRunRequest(run_id=run_id))
    return RedirectResponse(f"/runs/{run_id}", 303)


def standing_of(services: Services, run_id: str) -> Standing:
    """Where a run stands.

    Raises:
        grpc.RpcError: There is no such run, or the controller does not answer.
    """
    found = services.stub("controller", ControllerServiceStub).GetRun(GetRunRequest(run_id=run_id))
    return standings(services, [found.run])[0]


def is_operator(services: Services) -> bool:
    """True if buttons that start, pause and call off are shown."""
    return not _OPERATORS.isdisjoint(services.session.roles)
