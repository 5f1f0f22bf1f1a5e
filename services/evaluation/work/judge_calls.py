"""The judge at an endpoint of the site: each request has its account and its row in the audit, and each reply is kept unread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.evaluation.store import JudgeReply, JudgeReplyStore
from services.evaluation.work.reading import PASSING
from shared.chat.messages import ChatReply, ChatRequest
from shared.errors import BudgetExhausted, InvalidArgument, MedqError
from shared.outside.call import CallResults, OutsideCall
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import GuardedEndpoint, SiteEndpoints
from shared.rpc.channels import Channels
from shared.spending import Spending

#: Requests at a time, where the endpoint takes no fewer.
_MOST_IN_FLIGHT = 32


class EndpointJudge:
    """A `JudgeCalls` on an endpoint.

    Args:
        endpoint: Who is asked.
        calls: Keeps the accounts.
        replies: What was answered before.
        run_id: The run that pays; "" for none.
        work_id: What the calls are for.
    """

    def __init__(
        self,
        endpoint: GuardedEndpoint,
        calls: OutsideCalls[JudgeReply],
        replies: JudgeReplyStore,
        run_id: str,
        work_id: str,
    ) -> None:
        self.model = endpoint.model
        self._endpoint = endpoint
        self._calls = calls
        self._replies = replies
        self._book = endpoint.book(work_id, run_id, _MOST_IN_FLIGHT)

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        """See the port; what an endpoint that is down has answered until then counts."""
        calls = [OutsideCall(key, partial(self._endpoint.prepare, one, (), _read)) for key, one in requests.items()]
        try:
            results = self._calls.run(self._book, calls, progress)
            why: Callable[[str], MedqError] = partial(_why_not, results)
        except PASSING as error:
            results = CallResults(self._replies.outcomes(self._book.work_id, self._book.kind), "")
            failure = error
            why = lambda key: failure  # noqa: E731
        return {key: results.outcomes[key].reply if key in results.outcomes else why(key) for key in requests}


@dataclass(frozen=True)
class SiteJudges:
    """An `OpenJudge` on the endpoints of the site.

    Args:
        endpoints: Those of the site.
        replies: Keeps what judges answer.
        channels: To the controller, which keeps the accounts.
    """

    endpoints: SiteEndpoints
    replies: JudgeReplyStore
    channels: Channels

    def __call__(self, endpoint: str, run_id: str, work_id: str) -> EndpointJudge:
        """See the port."""
        guarded = self.endpoints.open(endpoint, "judge", "text", "judge")
        calls = OutsideCalls(self.replies, ControllerServiceStub(self.channels["controller"]))
        return EndpointJudge(guarded, calls, self.replies, run_id, work_id)


def _read(reply: ChatReply, spending: Spending) -> JudgeReply:
    return JudgeReply(reply.text, reply.is_cut, spending)


def _why_not(results: CallResults[JudgeReply], key: str) -> MedqError:
    """Why a request has no reply, when the others were not held up by it."""
    said = results.why_not(key)
    if key in results.refused:
        remedy = "See what its endpoint does with the text, then evaluate again: only what is missing is asked."
        return InvalidArgument(f"The judge did not answer: {said}", field="judge", remedy=remedy)
    return BudgetExhausted(said, field="stop.max_usd", remedy="Raise the budget of the run, then evaluate again.")
