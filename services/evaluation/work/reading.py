"""Which option each reply means, by the way of reading that was asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.reply_judging import choice_request, choice_said
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.ports import JudgeCalls
from services.evaluation.store import VerdictStore
from shared.chat.messages import ChatReply
from shared.errors import BudgetExhausted, DataLoss, DeadlineExceeded, FailedPrecondition, MedqError, Unavailable
from shared.prompts import LETTER, AnswerForm, multiple_choice_reply
from shared.rows.evaluation import Judgement
from shared.rows.fields import Options
from shared.rpc.choices import name_of

#: Errors of a judge that pass, and are the same whatever it is asked.
PASSING = (Unavailable, DeadlineExceeded, DataLoss, BudgetExhausted)
NO_JUDGE = FailedPrecondition(
    "No judge is named.",
    field="judge",
    remedy="Name an endpoint of the site: evaluate.judge in a run's file, --judge of medq evaluate; or read replies by strict.",
)
#: Replies that a judge is asked about at a time.
_AT_A_TIME = 64


def way_of(request: pb.StartEvaluateRequest | pb.StartGenerateRequest) -> tuple[str, AnswerForm]:
    """How replies are read (strict where nothing is said), and in which form questions are put (letters).

    Raises: InvalidArgument: there is no such way or form.
    """
    extractor = name_of(pb.Extractor.DESCRIPTOR, request.extractor, "strict")
    return extractor, cast(AnswerForm, name_of(pb.AnswerForm.DESCRIPTOR, request.answer_form, LETTER))


@dataclass(frozen=True)
class Asked:
    """A question as a model was asked, and its reply."""

    question: str
    options: Options
    reply: str


@dataclass(frozen=True)
class Reading:
    """What was read of a reply.

    Attributes:
        choice: A key of the options; None where none can be read, and of a description.
        is_judged: Whether a judge said so.
        failure: Why we could not read it; then it is UNSCORED.
        level: The quality level that a description closes with; "" for none.
        judgement: The grades of a description; None where it is empty.
        is_right: Whether a description is, by its grades; None without them.
    """

    choice: str | None
    is_judged: bool = False
    failure: MedqError | None = None
    level: str = ""
    judgement: Judgement | None = None
    is_right: bool | None = None


class ReplyReader:
    """Reads replies.

    Args:
        verdicts: What judges said before.
    """

    def __init__(self, verdicts: VerdictStore) -> None:
        self._verdicts = verdicts

    def read(
        self,
        replies: Sequence[Asked],
        extractor: str,
        form: AnswerForm,
        judge: JudgeCalls | None,
        progress: Callable[[int, int], None],
    ) -> list[Reading]:
        """What each reply means, in order.

        Args:
            replies: Questions with options, and the replies.
            extractor: The name of an `Extractor`.
            form: How the questions were put.
            judge: Says what a reply means that no rule reads, where the extractor is `judge`.
            progress: Told how many replies of how many a judge was asked about; what it raises ends the work.

        Raises:
            FailedPrecondition: A judge is needed, and none is named.
            MedqError: The judge refuses for good.
        """
        by_rule = [Reading(choice_of(one, extractor, form)) for one in replies]
        if extractor != "judge":
            return by_rule
        if judge is None:
            raise NO_JUDGE
        unread = {i: _key(judge.model, one) for i, one in enumerate(replies) if _is_unread(one, by_rule[i])}
        verdicts = self._verdicts_on({key: replies[i] for i, key in unread.items()}, judge, progress)
        return [verdicts[unread[i]] if i in unread else reading for i, reading in enumerate(by_rule)]

    def _verdicts_on(
        self, asked: Mapping[str, Asked], judge: JudgeCalls, progress: Callable[[int, int], None]
    ) -> dict[str, Reading]:
        """The judge's word on each reply, by key. Where it answers to none of many it is asked no more: it is down."""
        known = self._verdicts.known(list(asked))
        found = {key: Reading(choice or None, is_judged=True) for key, choice in known.items()}
        missing = sorted(asked.keys() - known.keys())
        for start in range(0, len(missing), _AT_A_TIME):
            chunk = missing[start : start + _AT_A_TIME]
            requests = {key: choice_request(asked[key].question, asked[key].options, asked[key].reply) for key in chunk}
            replies = judge.ask(requests, partial(_told, progress, len(found), len(asked)))
            made = {key: _read(replies[key], asked[key]) for key in chunk}
            self._verdicts.save({key: one.choice or "" for key, one in made.items() if one.failure is None})
            found.update(made)
            if all(isinstance(one.failure, PASSING) for one in made.values()):
                failure = made[chunk[0]].failure
                return {**dict.fromkeys(missing, Reading(None, failure=failure)), **found}
        return found


def _told(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _key(model: str, one: Asked) -> str:
    """sha256 of what a verdict depends on."""
    body = json.dumps([model, one.question, sorted(one.options.items()), one.reply])
    return hashlib.sha256(body.encode()).hexdigest()


def _read(reply: ChatReply | MedqError, one: Asked) -> Reading:
    """The judge's word on one reply, or why there is none."""
    if isinstance(reply, MedqError):
        return Reading(None, failure=reply)
    try:
        return Reading(choice_said(reply, one.options), is_judged=True)
    except Unavailable as error:
        return Reading(None, failure=error)


def _is_unread(one: Asked, reading: Reading) -> bool:
    """Whether a judge may find an option in a reply where the rules found none."""
    return reading.choice is None and bool(one.options) and bool(one.reply.strip())


def choice_of(one: Asked, extractor: str, form: AnswerForm) -> str | None:
    """The letter that a rule reads in a reply; None where it reads none, as of a question without options."""
    if not one.options:
        return None
    if extractor == "official":
        return official_choice(one.reply, one.options)
    if extractor == "likelihood":  # the reply was taken from these
        meant = {multiple_choice_reply(one.options, letter, form): letter for letter in one.options}
        return meant.get(one.reply)
    return strict_choice(one.reply, one.options)


def candidates(options: Options, extractor: str, form: AnswerForm) -> tuple[str, ...]:
    """What a reply may be: one for each option where the likeliest is taken, else none, and the model writes freely."""
    if extractor != "likelihood":
        return ()
    return tuple(multiple_choice_reply(options, letter, form) for letter in sorted(options))
