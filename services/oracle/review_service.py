"""The servicer of `medq.oracle.v1.ReviewService`: the queue of the experts, for pages, for programs and for `medq review`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import grpc

from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1 import review_pb2_grpc as pb_grpc
from services.oracle.domain import review
from services.oracle.domain.review import PEOPLE, verdict_of
from services.oracle.store import reviews as store
from services.oracle.store.reviews import QueuedTask, ReviewStore
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from shared.objects.store import ObjectStore, digest_of
from shared.rpc.checks import read_page_token, require_between, require_text
from shared.rpc.input_names import caller_of
from shared.rpc.operations import in_pieces
from shared.rpc.rights import REVIEWERS_FOR_OTHERS

MOST_LEASED = 100
MOST_LEASE_SECONDS = 86_400
_PAGE, _MOST_ON_A_PAGE = 50, 200
_STATES: Final = {
    store.OPEN: pb.TASK_STATE_OPEN,
    store.DECIDED: pb.TASK_STATE_DECIDED,
    store.CLOSED: pb.TASK_STATE_CLOSED,
    store.WITHDRAWN: pb.TASK_STATE_WITHDRAWN,
}
_ACTIONS: Final = {
    review.ACCEPT: pb.REVIEW_ACTION_ACCEPT,
    review.EDIT: pb.REVIEW_ACTION_EDIT,
    review.REJECT: pb.REVIEW_ACTION_REJECT,
}


class Reviews(pb_grpc.ReviewServiceServicer):
    """Answers from the queue; each change is in the database before the answer.

    Args:
        queue: The queue.
        objects: Where pictures lie.
        tell: Told the works and operations of which tasks have ended: the operation shows it, and goes on when all have.
    """

    def __init__(self, queue: ReviewStore, objects: ObjectStore, tell: Callable[[str, str], None]) -> None:
        self._queue = queue
        self._objects = objects
        self._tell = tell

    def ListTasks(self, request: pb.ListTasksRequest, context: grpc.ServicerContext) -> pb.ListTasksResponse:
        """See the proto."""
        state = next((name for name, value in _STATES.items() if value == request.state), "")
        size = min(request.page_size or _PAGE, _MOST_ON_A_PAGE)
        after = read_page_token(request.page_token) or 0
        found, following = self._queue.page(request.run_id, state, size, after)
        token = "" if following is None else str(following)
        return pb.ListTasksResponse(tasks=[to_message(queued) for queued in found], next_page_token=token)

    def GetTask(self, request: pb.GetTaskRequest, context: grpc.ServicerContext) -> pb.GetTaskResponse:
        """See the proto."""
        return pb.GetTaskResponse(task=to_message(self._queue.find(request.task_id)))

    def GetTaskImage(
        self, request: pb.GetTaskImageRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetTaskImageResponse]:
        """See the proto."""
        found = self._queue.find(request.task_id)
        for piece in in_pieces(self._objects.chunks(found.entry.asked.question.image_uri)):
            yield pb.GetTaskImageResponse(chunk=piece)

    def CountTasks(self, request: pb.CountTasksRequest, context: grpc.ServicerContext) -> pb.CountTasksResponse:
        """See the proto."""
        counts = self._queue.counts(request.run_id)
        return pb.CountTasksResponse(**{name: counts.get(name, 0) for name in (*_STATES, "leased")})

    def LeaseTasks(self, request: pb.LeaseTasksRequest, context: grpc.ServicerContext) -> pb.LeaseTasksResponse:
        """See the proto."""
        require_between("count", request.count, 1, MOST_LEASED)
        require_between("seconds", request.seconds, 1, MOST_LEASE_SECONDS)
        reviewer = _reviewer(context, request.reviewer)
        leased = self._queue.lease(PEOPLE, reviewer, request.count, request.seconds)
        return pb.LeaseTasksResponse(tasks=[to_message(queued) for queued in leased])

    def DecideTask(self, request: pb.DecideTaskRequest, context: grpc.ServicerContext) -> pb.DecideTaskResponse:
        """See the proto."""
        require_between("revision", request.revision, 1, 2**31 - 1)
        reviewer = _reviewer(context, request.reviewer)
        entry = self._queue.find(request.task_id).entry
        if entry.expert != PEOPLE:
            raise FailedPrecondition(
                "The simulated expert decides about this task.",
                field="task_id",
                value=request.task_id,
                remedy="Set annotate.expert: review in the run's file.",
            )
        action = next((name for name, value in _ACTIONS.items() if value == request.action), "")
        verdict = verdict_of(entry.asked, action, request.answer, request.reason, request.active_seconds, reviewer)
        found, is_new = self._queue.decide(request.task_id, request.revision, verdict)
        if is_new:
            self._tell(entry.work_id, found.operation_id)
        return pb.DecideTaskResponse(task=to_message(found), is_new=is_new)

    def CloseTasks(self, request: pb.CloseTasksRequest, context: grpc.ServicerContext) -> pb.CloseTasksResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        n_closed, ended = self._queue.close(request.run_id)
        for work_id, operation_id in ended:
            self._tell(work_id, operation_id)
        return pb.CloseTasksResponse(closed=n_closed)


def _reviewer(context: grpc.ServicerContext, named: str) -> str:
    """Who decides: the caller where callers are known; operators may name another, whose decisions they enter."""
    caller = caller_of(context)
    if caller is None:
        require_text("reviewer", named)
    elif named in ("", caller.name):
        return caller.name
    elif not caller.roles & REVIEWERS_FOR_OTHERS:
        raise PermissionDenied(
            "A reviewer decides under their own name.", field="reviewer", value=named, remedy="Leave the field empty."
        )
    if not named.isprintable():
        raise InvalidArgument("The name cannot be shown.", field="reviewer", remedy="Use letters, digits, spaces.")
    return named


def to_message(queued: QueuedTask) -> pb.ReviewTask:
    """Encode a task."""
    entry, task = queued.entry, queued.entry.asked
    question = task.question
    message = pb.ReviewTask(
        task_id=entry.task_id,
        revision=queued.revision,
        state=_STATES[queued.state],
        run_id=entry.run_id,
        arm=entry.arm,
        round=entry.round,
        decision_id=task.decision_id,
        image_id=digest_of(question.image_uri),
        image_uri=question.image_uri,
        modality=task.modality,
        question_type=task.question_type,
        attribute=task.attribute,
        question=question.question,
        options=question.options,
        proposal=task.proposal,
        self_annotation=pb.Annotation(answer=task.self_answer, entropy=task.entropy),
        reference_annotation=pb.Annotation(answer=task.reference_answer),
        agreement=task.agreement,
        route=task.route,
        route_reason=task.route_reason,
        priority=entry.priority,
        expert=entry.expert,
        reviewer=queued.reviewer,
    )
    if queued.reviewer:
        message.lease_end_time.FromNanoseconds(int(queued.lease_until * 1e9))
    if queued.verdict is not None:
        message.decision.CopyFrom(_decision(queued))
    return message


def _decision(queued: QueuedTask) -> pb.ReviewDecision:
    verdict = queued.verdict
    assert verdict is not None
    decision = pb.ReviewDecision(
        action=_ACTIONS.get(verdict.action, pb.REVIEW_ACTION_UNSPECIFIED),
        answer=verdict.answer,
        reason=verdict.reason,
        active_seconds=verdict.active_seconds,
        reviewer=verdict.reviewer,
    )
    decision.decide_time.FromNanoseconds(int(queued.decided_at * 1e9))
    return decision
