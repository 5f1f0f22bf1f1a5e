"""Starting a run: its configuration is checked and its costs are shown before anybody can start it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from medq.controller.v1.controller_pb2 import EstimateRunRequest, Range, StartRunRequest, ValidateRunRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.errors import InvalidArgument
from web.identity import As
from web.pages import page

router = APIRouter(include_in_schema=False)
_LONGEST_YAML = 200_000
_LONGEST_PATH = 4_096

RunId = Annotated[str, Form(max_length=100)]
Yaml = Annotated[str, Form(max_length=_LONGEST_YAML)]
Folder = Annotated[str, Form(max_length=_LONGEST_PATH)]


@router.get("/start")
def empty(request: Request, services: As) -> Response:
    """The form."""
    return page(request, "console/new.html", run_id="", config_yaml="", base_folder="", checked=None, costs=None)


@router.post("/start")
def check(request: Request, services: As, config_yaml: Yaml, run_id: RunId = "", base_folder: Folder = "") -> Response:
    """The form with what is wrong with it, or with what the run will cost and the button that starts it."""
    stub = services.stub("controller", ControllerServiceStub)
    config_yaml = config_yaml.replace("\r\n", "\n")  # a form sends its lines so
    checked = stub.ValidateRun(ValidateRunRequest(config_yaml=config_yaml, base_folder=base_folder))
    request_of_costs = EstimateRunRequest(config_yaml=config_yaml, base_folder=base_folder)
    return page(
        request,
        "console/new.html",
        run_id=run_id,
        config_yaml=config_yaml,
        base_folder=base_folder,
        checked=checked,
        costs=None if checked.problems else stub.EstimateRun(request_of_costs),
        between=between,
    )


@router.post("/runs")
def start(
    services: As, run_id: RunId, config_yaml: Yaml, base_folder: Folder = "", is_agreed: Annotated[str, Form()] = ""
) -> Response:
    """Start a run whose costs have been shown.

    Raises:
        InvalidArgument: Nobody has agreed to them.
        grpc.RpcError: The controller refuses it.
    """
    if is_agreed != "yes":
        raise InvalidArgument(
            "Nobody has agreed to what the run will cost.", field="is_agreed", remedy="Check it first."
        )
    request = StartRunRequest(run_id=run_id, config_yaml=config_yaml.replace("\r\n", "\n"), base_folder=base_folder)
    found = services.stub("controller", ControllerServiceStub).StartRun(request)
    return RedirectResponse(f"/runs/{found.run_id}", 303)


def between(one: Range, digits: int) -> str:
    """A range as `1.2 to 3.4`."""
    if not one.high:
        return "–"
    low, high = (f"{value:,.{digits}f}" for value in (one.low, one.high))
    return low if low == high else f"{low} to {high}"
