"""The servicer of `medq.oracle.v1.ReviewService`: the queue of the experts, for pages, for programs and for `medq review`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc

from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1 import review_pb2_grpc as pb_grpc
from services.oracle.domain.measures import shown
from services.oracle.domain.review import PEOPLE, verdict_of
from services.oracle.domain.review_log import Entry
from services.oracle.domain.review_statistics import statistics_of
from services.oracle.review_messages import ACTIONS, STATES, Viewer, to_message, to_statistics
from services.oracle.store.review_tables import QueuedTask
from services.oracle.store.reviews import ReviewStore
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from shared.objects.store import ObjectStore
from shared.rpc.checks import read_page_token, require_between, require_different, require_text
from shared.rpc.input_names import caller_of
from shared.rpc.operations import in_pieces
from shared.rpc.rights import REVIEWERS_FOR_OTHERS

MOST_LEASED = 100
MOST_LEASE_SECONDS = 86_400
MOST_REVISION = 2**31 - 1
MOST_PRIORITY = 9
_PAGE, _MOST_ON_A_PAGE = 50, 200


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
        state = next((name for name, value in STATES.items() if value == request.state), "")
        size = min(request.page_size or _PAGE, _MOST_ON_A_PAGE)
        after = read_page_token(request.page_token) or 0
        found, following = self._queue.page(request.run_id, state, size, after)
        token, viewer = "" if following is None else str(following), _viewer(context)
        return pb.ListTasksResponse(tasks=[to_message(queued, viewer) for queued in found], next_page_token=token)

    def GetTask(self, request: pb.GetTaskRequest, context: grpc.ServicerContext) -> pb.GetTaskResponse:
        """See the proto."""
        return pb.GetTaskResponse(task=to_message(self._queue.find(request.task_id), _viewer(context)))

    def GetTaskImage(
        self, request: pb.GetTaskImageRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetTaskImageResponse]:
        """See the proto."""
        entry = self._queue.find(request.task_id).entry
        own = entry.asked.question.image_uri
        if request.image_uri not in ("", own, *entry.clean_neighbours, *entry.similar_failures):
            raise NotFound(
                "The task does not show this image.",
                field="image_uri",
                value=request.image_uri,
                remedy="GetTask names them.",
            )
        for piece in in_pieces(self._objects.chunks(request.image_uri or own)):
            yield pb.GetTaskImageResponse(chunk=piece)

    def CountTasks(self, request: pb.CountTasksRequest, context: grpc.ServicerContext) -> pb.CountTasksResponse:
        """See the proto."""
        counts = self._queue.counts(request.run_id)
        return pb.CountTasksResponse(**{name: counts.get(name, 0) for name in (*STATES, "leased")})

    def LeaseTasks(self, request: pb.LeaseTasksRequest, context: grpc.ServicerContext) -> pb.LeaseTasksResponse:
        """See the proto."""
        require_between("count", request.count, 1, MOST_LEASED)
        require_between("seconds", request.seconds, 1, MOST_LEASE_SECONDS)
        reviewer = _reviewer(context, request.reviewer)
        leased = self._queue.lease(PEOPLE, reviewer, request.count, request.seconds)
        undoable, viewer = self._queue.undoable(reviewer), _viewer(context, reviewer)
        return pb.LeaseTasksResponse(
            tasks=[to_message(queued, viewer) for queued in leased],
            undoable=None if undoable is None else to_message(undoable, viewer),
        )

    def DecideTask(self, request: pb.DecideTaskRequest, context: grpc.ServicerContext) -> pb.DecideTaskResponse:
        """See the proto."""
        require_between("revision", request.revision, 1, MOST_REVISION)
        reviewer = _reviewer(context, request.reviewer)
        entry = self._of_people(request.task_id).entry
        action = next((name for name, value in ACTIONS.items() if value == request.action), "")
        verdict = verdict_of(
            shown(entry, is_told=False), action, request.answer, request.reason, request.active_seconds, reviewer
        )
        found, is_new = self._queue.decide(request.task_id, request.revision, verdict)
        return pb.DecideTaskResponse(task=self._changed(found, is_new, _viewer(context, reviewer)), is_new=is_new)

    def ReleaseTask(self, request: pb.ReleaseTaskRequest, context: grpc.ServicerContext) -> pb.ReleaseTaskResponse:
        """See the proto."""
        reviewer = _reviewer(context, request.reviewer)
        found, is_released = self._queue.release(request.task_id, reviewer)
        return pb.ReleaseTaskResponse(task=to_message(found, _viewer(context, reviewer)), is_released=is_released)

    def UndoDecision(self, request: pb.UndoDecisionRequest, context: grpc.ServicerContext) -> pb.UndoDecisionResponse:
        """See the proto."""
        require_between("revision", request.revision, 1, MOST_REVISION)
        require_between("seconds", request.seconds, 1, MOST_LEASE_SECONDS)
        reviewer = _reviewer(context, request.reviewer)
        self._of_people(request.task_id)
        found, is_new = self._queue.undo(request.task_id, request.revision, reviewer, request.seconds)
        return pb.UndoDecisionResponse(task=self._changed(found, is_new, _viewer(context, reviewer)), is_new=is_new)

    def ReopenTask(self, request: pb.ReopenTaskRequest, context: grpc.ServicerContext) -> pb.ReopenTaskResponse:
        """See the proto."""
        require_between("revision", request.revision, 1, MOST_REVISION)
        require_text("reason", request.reason)
        self._of_people(request.task_id)
        found, is_new = self._queue.reopen(request.task_id, request.revision, _actor(context), request.reason)
        return pb.ReopenTaskResponse(task=self._changed(found, is_new, _viewer(context)), is_new=is_new)

    def CloseTasks(self, request: pb.CloseTasksRequest, context: grpc.ServicerContext) -> pb.CloseTasksResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        n_closed, ended = self._queue.close(request.run_id, _actor(context))
        for work_id, operation_id in ended:
            self._tell(work_id, operation_id)
        return pb.CloseTasksResponse(closed=n_closed)

    def AssignTasks(self, request: pb.AssignTasksRequest, context: grpc.ServicerContext) -> pb.AssignTasksResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        require_different("task_ids", request.task_ids)
        _require_printable(request.reviewer)
        n_assigned = self._queue.assign(request.run_id, request.task_ids, request.reviewer, _actor(context))
        return pb.AssignTasksResponse(assigned=n_assigned)

    def PrioritizeTasks(
        self, request: pb.PrioritizeTasksRequest, context: grpc.ServicerContext
    ) -> pb.PrioritizeTasksResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        require_different("task_ids", request.task_ids)
        require_between("priority", request.priority, 0, MOST_PRIORITY)
        n_moved = self._queue.prioritize(request.run_id, request.task_ids, request.priority, _actor(context))
        return pb.PrioritizeTasksResponse(moved=n_moved)

    def VerifyReviewLog(
        self, request: pb.VerifyReviewLogRequest, context: grpc.ServicerContext
    ) -> pb.VerifyReviewLogResponse:
        """See the proto."""
        noted = Entry(request.noted_sequence, "", request.noted_hash)
        if bool(noted.sequence) != bool(noted.hash):
            raise InvalidArgument(
                "An entry is named by its number and its hash.",
                field="noted_hash",
                remedy="Give both as they were told, or neither.",
            )
        found = self._queue.verify(noted)
        return pb.VerifyReviewLogResponse(sequence=found.last.sequence, hash=found.last.hash, fault=found.fault)

    def GetReviewStatistics(
        self, request: pb.GetReviewStatisticsRequest, context: grpc.ServicerContext
    ) -> pb.GetReviewStatisticsResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        return to_statistics(statistics_of(self._queue.decided(request.run_id)))

    def _of_people(self, task_id: str) -> QueuedTask:
        found = self._queue.find(task_id)
        if found.entry.expert != PEOPLE:
            raise FailedPrecondition(
                "The simulated expert decides about this task.",
                field="task_id",
                value=task_id,
                remedy="Set annotate.expert: review in the run's file.",
            )
        return found

    def _changed(self, found: QueuedTask, is_new: bool, viewer: Viewer) -> pb.ReviewTask:
        """A task after a change, of which the operation is told that waits for it."""
        if is_new:
            self._tell(found.entry.work_id, found.operation_id)
        return to_message(found, viewer)


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
    _require_printable(named)
    return named


def _viewer(context: grpc.ServicerContext, reviewer: str = "") -> Viewer:
    """Who is told about tasks: the caller, under the name that decides; where callers are not known, they run the queue."""
    caller = caller_of(context)
    if caller is None:
        return Viewer(reviewer, is_operator=True)
    return Viewer(reviewer or caller.name, is_operator=bool(caller.roles & REVIEWERS_FOR_OTHERS))


def _require_printable(name: str) -> None:
    if not name.isprintable():
        raise InvalidArgument("The name cannot be shown.", field="reviewer", remedy="Use letters, digits, spaces.")


def _actor(context: grpc.ServicerContext) -> str:
    """Who acts; "" where callers are not known."""
    caller = caller_of(context)
    return "" if caller is None else caller.name
