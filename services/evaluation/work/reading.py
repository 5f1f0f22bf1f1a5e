"""Which option each reply means, by the way of reading that was asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.ports import Judge
from services.evaluation.store import VerdictStore
from shared.errors import BudgetExhausted, DeadlineExceeded, FailedPrecondition, MedqError, Unavailable
from shared.prompts import LETTER, AnswerForm, multiple_choice_reply
from shared.rows.evaluation import Judgement
from shared.rows.fields import Options
from shared.rpc.choices import name_of

#: Errors of a judge that pass, and are the same whatever it is asked.
PASSING = (Unavailable, DeadlineExceeded, BudgetExhausted)
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
        judge: Says what a reply means that no rule reads; None where there is none.
        verdicts: What judges said before.
        concurrency: Replies that the judge is asked about at the same time.
    """

    def __init__(self, judge: Judge | None, verdicts: VerdictStore, concurrency: int = 1) -> None:
        self._judge = judge
        self._verdicts = verdicts
        self._concurrency = concurrency

    def judge_of(self, extractor: str) -> str:
        """The name of the judge that an extractor asks; "" for none.

        Raises:
            FailedPrecondition: It needs one, and none is set.
        """
        if extractor != "judge":
            return ""
        if self._judge is None:
            raise FailedPrecondition(
                "No judge is set.",
                field="extractor",
                value=extractor,
                remedy="Set MEDQ_EVALUATION_JUDGE__BASE_URL and MEDQ_EVALUATION_JUDGE__MODEL, or read replies by strict.",
            )
        return self._judge.name

    def read(
        self, replies: Sequence[Asked], extractor: str, form: AnswerForm, progress: Callable[[int, int], None]
    ) -> list[Reading]:
        """What each reply means, in order.

        Args:
            replies: Questions with options, and the replies.
            extractor: The name of an `Extractor`.
            form: How the questions were put.
            progress: Told how many replies of how many a judge was asked about; what it raises ends the work.

        Raises:
            FailedPrecondition: A judge is needed, and none is set.
            MedqError: The judge refuses for good.
        """
        self.judge_of(extractor)
        by_rule = [Reading(choice_of(one, extractor, form)) for one in replies]
        if extractor != "judge":
            return by_rule
        unread = {i: self._key(one) for i, one in enumerate(replies) if _is_unread(one, by_rule[i])}
        verdicts = self._verdicts_on({key: replies[i] for i, key in unread.items()}, progress)
        return [verdicts[unread[i]] if i in unread else reading for i, reading in enumerate(by_rule)]

    def _verdicts_on(self, asked: Mapping[str, Asked], progress: Callable[[int, int], None]) -> dict[str, Reading]:
        """The judge's word on each reply, by key. Where it answers to none of many it is asked no more: it is down."""
        known = self._verdicts.known(list(asked))
        found = {key: Reading(choice or None, is_judged=True) for key, choice in known.items()}
        missing = sorted(asked.keys() - known.keys())
        failure: MedqError | None = None
        with ThreadPoolExecutor(self._concurrency) as pool:
            for start in range(0, len(missing), _AT_A_TIME):
                progress(len(found), len(asked))
                chunk = missing[start : start + _AT_A_TIME]
                if failure is None:
                    made, refusal = self._ask_all({key: asked[key] for key in chunk}, pool)
                    said = {key: one.choice or "" for key, one in made.items() if one.failure is None}
                    self._verdicts.save(said)  # a judge may be paid: what it said is kept, whatever comes of the rest
                    if refusal is not None:
                        raise refusal
                    if not said:
                        failure = next(one.failure for one in made.values())
                else:
                    made = dict.fromkeys(chunk, Reading(None, failure=failure))
                found.update(made)
        return found

    def _ask_all(
        self, asked: Mapping[str, Asked], pool: ThreadPoolExecutor
    ) -> tuple[dict[str, Reading], Exception | None]:
        """What the judge said, by key, and the first error for good, after which no further reply is shown to it."""
        futures = {key: pool.submit(self._ask, one) for key, one in asked.items()}
        made: dict[str, Reading] = {}
        refusal: Exception | None = None
        for key, future in futures.items():
            if refusal is not None and future.cancel():
                continue
            error = future.exception()
            if error is None:
                made[key] = future.result()
            elif isinstance(error, Exception):
                refusal = refusal or error
            else:
                raise error
        return made, refusal

    def _ask(self, one: Asked) -> Reading:
        assert self._judge is not None
        try:
            return Reading(self._judge.choose(one.question, one.options, one.reply), is_judged=True)
        except PASSING as error:
            return Reading(None, failure=error)

    def _key(self, one: Asked) -> str:
        """sha256 of what a verdict depends on."""
        assert self._judge is not None
        body = json.dumps([self._judge.name, one.question, sorted(one.options.items()), one.reply])
        return hashlib.sha256(body.encode()).hexdigest()


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
