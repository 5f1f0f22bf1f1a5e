"""The routes of the REST API: each is a call of a stub in the name of who asks, its answer transcoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, FastAPI, Path, Query
from fastapi.responses import Response
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.embedding.v1.embedding_pb2 import GetThumbnailRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.operations.v1 import operations_pb2
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.errors import InvalidArgument, NotFound
from shared.rpc.as_json import to_json
from web.api.schemas import answers, asks, describe
from web.calls import Services
from web.identity import As

MessageT = TypeVar("MessageT", bound=Message)
Json = dict[str, Any]
RunId = Annotated[str, Path(max_length=100, description="The run.")]
Id = Annotated[str, Query(max_length=200)]
PageSize = Annotated[int, Query(ge=0, le=1_000, description="0: as many as the service gives.")]
PageToken = Annotated[str, Query(max_length=200, description="From the previous page; empty for the first.")]
OptionalId = Annotated[str | None, Query(max_length=200)]
Round = Annotated[int, Query(ge=0, le=2**31 - 1, description="From 0.")]
Searches = Annotated[Sequence[str], Query(max_length=50, description="Names of searches, as the report has them.")]
MostEach = Annotated[int, Query(ge=0, le=2**31 - 1, description="Of each search so many at most; 0: all.")]
Side = Annotated[int, Query(ge=0, le=256, description="Pixels of its longer side at most; 0: 128.")]
Given = Annotated[Json, Body()]

router = APIRouter(prefix="/api/v1", tags=["runs"])
#: Every message of the API; those that they hold come with them.
_MESSAGES = (
    pb.ListRunsResponse,
    pb.GetRunResponse,
    pb.GetReportResponse,
    pb.ListCostsResponse,
    pb.ListEgressResponse,
    pb.GetLineageResponse,
    pb.ListDrawnResponse,
    pb.ListDevItemsResponse,
    pb.ValidateRunRequest,
    pb.ValidateRunResponse,
    pb.EstimateRunRequest,
    pb.EstimateRunResponse,
    pb.StartRunRequest,
    pb.StartRunResponse,
    pb.PauseRunResponse,
    pb.ResumeRunResponse,
    operations_pb2.GetOperationResponse,
    operations_pb2.CancelOperationResponse,
)


def add_api(app: FastAPI) -> None:
    """Add the routes to an app, and what they answer to its OpenAPI document."""
    app.include_router(router)
    describe(app, *_MESSAGES)


@router.get("/runs", responses=answers(pb.ListRunsResponse))
def list_runs(services: As, page_size: PageSize = 0, page_token: PageToken = "") -> Json:
    """Runs, the newest first."""
    return to_json(_controller(services).ListRuns(pb.ListRunsRequest(page_size=page_size, page_token=page_token)))


@router.get("/runs/{run_id}", responses=answers(pb.GetRunResponse))
def get_run(run_id: RunId, services: As) -> Json:
    """Where a run stands: round, step, scores so far, what it has cost."""
    return to_json(_controller(services).GetRun(pb.GetRunRequest(run_id=run_id)))


@router.get("/runs/{run_id}/operation", responses=answers(operations_pb2.GetOperationResponse))
def get_operation(run_id: RunId, services: As) -> Json:
    """The run as an operation: its progress and, where it failed, why."""
    return to_json(_operations(services).GetOperation(operations_pb2.GetOperationRequest(operation_id=run_id)))


@router.get("/runs/{run_id}/step", responses=answers(operations_pb2.GetOperationResponse))
def get_step(run_id: RunId, services: As) -> Json:
    """The step at which a run is, as the operation of its service: how far it is."""
    run = _controller(services).GetRun(pb.GetRunRequest(run_id=run_id)).run
    if not run.operation_id:
        raise NotFound("The run is at no step of a service now.", field="run_id", value=run_id)
    stub = services.stub(run.service, OperationsServiceStub)
    return to_json(stub.GetOperation(operations_pb2.GetOperationRequest(operation_id=run.operation_id)))


@router.get("/runs/{run_id}/report", responses=answers(pb.GetReportResponse))
def get_report(run_id: RunId, services: As) -> Json:
    """The report of a run, as far as it has come; `report_json` is a text."""
    return to_json(_controller(services).GetReport(pb.GetReportRequest(run_id=run_id)))


@router.get(
    "/runs/{run_id}/report.json", response_class=Response, responses={200: {"content": {"application/json": {}}}}
)
def get_report_json(run_id: RunId, services: As) -> Response:
    """`report.json` itself, as `docs/report.schema.json` describes it."""
    found = _controller(services).GetReport(pb.GetReportRequest(run_id=run_id))
    return Response(found.report_json, media_type="application/json")


@router.get("/runs/{run_id}/costs", responses=answers(pb.ListCostsResponse))
def list_costs(run_id: RunId, services: As, page_size: PageSize = 0, page_token: PageToken = "") -> Json:
    """What a run has cost, entry by entry, in the order of reservation."""
    request = pb.ListCostsRequest(run_id=run_id, page_size=page_size, page_token=page_token)
    return to_json(_controller(services).ListCosts(request))


@router.get("/egress", responses=answers(pb.ListEgressResponse))
def list_egress(services: As, run_id: Id = "", page_size: PageSize = 0, page_token: PageToken = "") -> Json:
    """What was sent outside, the oldest first; of one run, or of all."""
    request = pb.ListEgressRequest(run_id=run_id, page_size=page_size, page_token=page_token)
    return to_json(_controller(services).ListEgress(request))


@router.get("/runs/{run_id}/lineage", responses=answers(pb.GetLineageResponse))
def get_lineage(run_id: RunId, services: As, sample_id: Id = "", item_id: Id = "") -> Json:
    """From a training sample back to the errors behind it, or from an error of dev forward to what was done about it."""
    return to_json(
        _controller(services).GetLineage(pb.GetLineageRequest(run_id=run_id, sample_id=sample_id, item_id=item_id))
    )


@router.get("/runs/{run_id}/drawn", responses=answers(pb.ListDrawnResponse))
def list_drawn(
    run_id: RunId,
    services: As,
    arm: Id,
    round: Round,
    search: Searches,
    most_each: MostEach = 0,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> Json:
    """The images that searches of a round drew, and what became of each."""
    request = pb.ListDrawnRequest(
        run_id=run_id,
        arm=arm,
        round=round,
        searches=search,
        most_each=most_each,
        page_size=page_size,
        page_token=page_token,
    )
    return to_json(_controller(services).ListDrawn(request))


@router.get("/runs/{run_id}/dev-items", responses=answers(pb.ListDevItemsResponse))
def list_dev_items(
    run_id: RunId,
    services: As,
    arm: Id,
    round: Round,
    search: Searches = (),
    most_each: MostEach = 0,
    modality: OptionalId = None,
    attribute: OptionalId = None,
    question_type: OptionalId = None,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> Json:
    """Items of dev with their answers, the most wrong ones first: behind searches of a round, or of a cell."""
    request = pb.ListDevItemsRequest(
        run_id=run_id,
        arm=arm,
        round=round,
        searches=search,
        most_each=most_each,
        modality=modality,
        attribute=attribute,
        question_type=question_type,
        page_size=page_size,
        page_token=page_token,
    )
    return to_json(_controller(services).ListDevItems(request))


@router.get("/images/{image_id}.png", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def get_thumbnail(image_id: Annotated[str, Path(max_length=64)], services: As, side: Side = 0) -> Response:
    """A stored image as a small PNG."""
    request = GetThumbnailRequest(image_id=image_id, side=side)
    return Response(services.stub("embedding", EmbeddingServiceStub).GetThumbnail(request).png, media_type="image/png")


@router.post("/validate", responses=answers(pb.ValidateRunResponse), openapi_extra=asks(pb.ValidateRunRequest))
def validate(given: Given, services: As) -> Json:
    """Check a configuration and list every problem; spends nothing."""
    return to_json(_controller(services).ValidateRun(_read(given, pb.ValidateRunRequest())))


@router.post("/estimate", responses=answers(pb.EstimateRunResponse), openapi_extra=asks(pb.EstimateRunRequest))
def estimate(given: Given, services: As) -> Json:
    """What a run would cost; asks nobody and spends nothing."""
    return to_json(_controller(services).EstimateRun(_read(given, pb.EstimateRunRequest())))


@router.post("/runs", responses=answers(pb.StartRunResponse), openapi_extra=asks(pb.StartRunRequest))
def start(given: Given, services: As) -> Json:
    """Start a run, or go on with one that failed or was called off; the same request again changes nothing."""
    return to_json(_controller(services).StartRun(_read(given, pb.StartRunRequest())))


@router.post("/runs/{run_id}/pause", responses=answers(pb.PauseRunResponse))
def pause(run_id: RunId, services: As) -> Json:
    """Have a run begin no further step; what is at work goes on to its end, then the run is paused."""
    return to_json(_controller(services).PauseRun(pb.PauseRunRequest(run_id=run_id)))


@router.post("/runs/{run_id}/resume", responses=answers(pb.ResumeRunResponse))
def resume(run_id: RunId, services: As) -> Json:
    """Let a paused run go on with its next step."""
    return to_json(_controller(services).ResumeRun(pb.ResumeRunRequest(run_id=run_id)))


@router.post("/runs/{run_id}/cancel", responses=answers(operations_pb2.CancelOperationResponse))
def cancel(run_id: RunId, services: As) -> Json:
    """Ask a run to stop; answers at once with the run as it stands."""
    return to_json(_operations(services).CancelOperation(operations_pb2.CancelOperationRequest(operation_id=run_id)))


def _controller(services: Services) -> ControllerServiceStub:
    return services.stub("controller", ControllerServiceStub)


def _operations(services: Services) -> OperationsServiceStub:
    return services.stub("controller", OperationsServiceStub)


def _read(given: Json, message: MessageT) -> MessageT:
    """The message of a body.

    Raises:
        InvalidArgument: It is none of this kind.
    """
    try:
        return ParseDict(given, message)
    except ParseError:
        name = message.DESCRIPTOR.name
        raise InvalidArgument(
            f"The body is no {name}.", field="body", remedy="Its fields are in /api/openapi.json."
        ) from None
