"""`JudgeCalls` on an endpoint of the site: guarded, with accounts, each reply kept before it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from services.evaluation.ports import OpenJudge
from shared.chat.messages import ChatReply, ChatRequest, Usage
from shared.errors import BudgetExhausted, DataLoss, DeadlineExceeded, InvalidArgument, MedqError, Unavailable
from shared.outside.call import OutcomeStore, OutsideCall
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import GuardedEndpoint, SiteEndpoints
from shared.spending import Spending

#: Requests in flight at a time, where the endpoint takes so many.
_MOST_IN_FLIGHT = 64
#: What passes, or holds for this request alone; it leaves a reply UNSCORED and the evaluation goes on.
_PASSING = (Unavailable, DeadlineExceeded, DataLoss, BudgetExhausted)


@dataclass(frozen=True)
class JudgeReply:
    """What a judge answered, as it is kept."""

    text: str
    is_cut: bool
    spending: Spending


class EndpointJudge:
    """The judge of one evaluation.

    Args:
        endpoint: Who is asked.
        calls: Makes the calls.
        store: Where their replies are kept.
        run_id: Whose ledger pays; "" for nobody's.
        work_id: What the calls are for; the same again finds what was paid.
    """

    def __init__(
        self,
        endpoint: GuardedEndpoint,
        calls: OutsideCalls[JudgeReply],
        store: OutcomeStore[JudgeReply],
        run_id: str,
        work_id: str,
    ) -> None:
        self.model = endpoint.model
        self._endpoint = endpoint
        self._calls = calls
        self._store = store
        self._book = endpoint.book(work_id, run_id, _MOST_IN_FLIGHT)

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        """See the port."""
        keys = {f"{self._book.work_id}/judge/{name}": name for name in requests}
        calls = [
            OutsideCall(key, partial(self._endpoint.prepare, requests[name], (), _kept)) for key, name in keys.items()
        ]
        try:
            results = self._calls.run(self._book, calls, progress)
        except _PASSING as error:
            made, missing = (
                self._store.outcomes(self._book.work_id, self._book.kind),
                dict.fromkeys(keys, _unread(error)),
            )
        else:
            made = results.outcomes
            refused: dict[str, MedqError] = {key: InvalidArgument(why) for key, why in results.refused.items()}
            missing = {**dict.fromkeys(keys, BudgetExhausted(results.stopped)), **refused}
        return {name: _reply(made[key]) if key in made else missing[key] for key, name in keys.items()}


def open_judges(site: SiteEndpoints, calls: OutsideCalls[JudgeReply], store: OutcomeStore[JudgeReply]) -> OpenJudge:
    """An `OpenJudge` among the endpoints of the site."""

    def open_judge(endpoint: str, run_id: str, work_id: str) -> EndpointJudge:
        return EndpointJudge(site.open(endpoint, "judge", "text", "judge"), calls, store, run_id, work_id)

    return open_judge


def _kept(reply: ChatReply, spending: Spending) -> JudgeReply:
    return JudgeReply(reply.text, reply.is_cut, spending)


def _reply(kept: JudgeReply) -> ChatReply:
    spent = kept.spending
    return ChatReply(kept.text, kept.is_cut, Usage(spent.tokens_in, spent.tokens_out, spent.usd))


def _unread(error: MedqError) -> MedqError:
    """An answer that cannot be read is no answer; the caller knows it by the same name."""
    return Unavailable(error.message, field=error.field, remedy=error.remedy) if isinstance(error, DataLoss) else error
