"""The review page, and what its script calls: the calls of `ReviewService`, in the name of who is logged in."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import PermissionDenied
from web.calls import Services
from web.identity import As
from web.pages import page
from web.review.images import send_image
from web.review.levels import send_levels
from web.review.models import (
    Asked,
    ByReviewer,
    Changed,
    Counts,
    Decided,
    Digest,
    InHand,
    Released,
    TakenBack,
    TaskId,
    transcoded,
)

#: For how long a reviewer has a task to themselves; the page asks again while it is open.
LEASE_SECONDS = 300

router = APIRouter()
_API = "/api/review"


@router.get("/review", include_in_schema=False)
def show(request: Request, services: As) -> Response:
    """The page itself; its script asks for the tasks."""
    return page(request, "review/review.html")


@router.post(_API + "/lease", tags=["review"])
def lease(asked: Asked, services: As) -> InHand:
    """Take tasks in hand, first those that are there already; the same call again renews it."""
    reviewer = _reviewer(services, asked)
    request = pb.LeaseTasksRequest(reviewer=reviewer, count=asked.count, seconds=LEASE_SECONDS)
    return transcoded(_stub(services).LeaseTasks(request), InHand, seconds=LEASE_SECONDS)


@router.get(_API + "/counts", tags=["review"])
def count(services: As, run_id: str = "") -> Counts:
    """How many tasks of a run, or of all, are in which state."""
    return transcoded(_stub(services).CountTasks(pb.CountTasksRequest(run_id=run_id)), Counts)


@router.post(_API + "/tasks/{task_id}/decide", tags=["review"])
def decide(task_id: TaskId, made: Decided, services: As) -> Changed:
    """Decide about a task; it is in the database before the answer, and the same decision again changes nothing."""
    request = pb.DecideTaskRequest(
        task_id=task_id,
        revision=made.revision,
        action=pb.ReviewAction.Value(f"REVIEW_ACTION_{made.action.upper()}"),
        answer=made.answer,
        reason=made.reason,
        active_seconds=made.active_seconds,
        reviewer=_reviewer(services, made),
    )
    return transcoded(_stub(services).DecideTask(request), Changed)


@router.post(_API + "/tasks/{task_id}/undo", tags=["review"])
def undo(task_id: TaskId, taken: TakenBack, services: As) -> Changed:
    """Take a decision back; the task is in hand again at its next revision."""
    reviewer = _reviewer(services, taken)
    request = pb.UndoDecisionRequest(task_id=task_id, revision=taken.revision, reviewer=reviewer, seconds=LEASE_SECONDS)
    return transcoded(_stub(services).UndoDecision(request), Changed)


@router.post(_API + "/tasks/{task_id}/release", tags=["review"])
def release(task_id: TaskId, given: ByReviewer, services: As) -> Released:
    """Give a task back: others may have it, and it comes last for this reviewer."""
    request = pb.ReleaseTaskRequest(task_id=task_id, reviewer=_reviewer(services, given))
    return transcoded(_stub(services).ReleaseTask(request), Released)


@router.get(
    _API + "/tasks/{task_id}/images/{digest}",
    tags=["review"],
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def image(request: Request, task_id: TaskId, digest: Digest, services: As) -> Response:
    """The picture of a task, or one that it is compared with: a PNG of 8 bits a channel."""
    return send_image(request, _stub(services), task_id, digest)


@router.get(
    _API + "/tasks/{task_id}/images/{digest}/levels",
    tags=["review"],
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 204: {"description": "Only 8 bits are known."}},
)
def levels(request: Request, task_id: TaskId, digest: Digest, services: As) -> Response:
    """The grey levels of such a picture whose file has more than 8 bits: uint16, little-endian, row by row.

    The header `Medq-Grey-Scale` says in JSON what they are worth.
    """
    return send_levels(request, services, task_id, digest)


def _stub(services: Services) -> ReviewServiceStub:
    return services.stub("oracle", ReviewServiceStub)


def _reviewer(services: Services, change: ByReviewer) -> str:
    """Who is logged in; what somebody else decided in this browser before stays theirs."""
    name = services.session.name
    if change.reviewer not in ("", name):
        raise PermissionDenied(
            "Somebody else has logged in since.",
            field="reviewer",
            value=change.reviewer,
            remedy=f"Log in as {change.reviewer} again.",
        )
    return name
