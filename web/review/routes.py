"""The review page, and what its script calls."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from medq.oracle.v1.review_pb2 import CountTasksRequest
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from web.login import As
from web.pages import page

router = APIRouter()


@router.get("/review", include_in_schema=False)
def show(request: Request, services: As) -> Response:
    """The page itself; its script asks for the tasks."""
    counts = services.stub("oracle", ReviewServiceStub).CountTasks(CountTasksRequest())
    return page(request, "review/review.html", counts=counts)
