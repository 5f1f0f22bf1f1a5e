"""Every answer of a model and of a judge, kept under what it depends on: a restart goes on, and another arm reuses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.evaluation.ports import Generation
from shared.chat.messages import ChatReply, Usage
from shared.database import reader
from shared.spending import Spending

METADATA = sa.MetaData()
_ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("model_digest", sa.Text, primary_key=True),
    sa.Column("sampling_digest", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("prompt_digest", sa.Text, primary_key=True),
    sa.Column("run", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),  # as JSON: a model may say NUL, which PostgreSQL refuses
    sa.Column("token_logprobs", sa.Text, nullable=False),
    sa.Column("token_ends", sa.Text),  # NULL in what an older release stored
)
_VERDICTS = sa.Table(
    "verdicts",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("choice", sa.Text, nullable=False),  # "": the judge named none
)
_REPLIES = sa.Table(
    "judge_replies",
    METADATA,
    sa.Column("work_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),  # as JSON, like `answers.text`
    sa.Column("is_cut", sa.Boolean, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("tokens_in", sa.BigInteger, nullable=False),
    sa.Column("tokens_out", sa.BigInteger, nullable=False),
    sa.Column("is_stated", sa.Boolean, nullable=False, server_default=sa.true()),  # the usage
)
_KEYS_PER_QUERY = 500


@dataclass(frozen=True, order=True)
class AnswerKey:
    """What an answer depends on beside the model and the sampling; the item keys the noise.

    Attributes:
        item_id: The item or question.
        image_id: sha256 of the image, hexadecimal.
        prompt_digest: sha256 of the prompt's text, hexadecimal.
        run: Number of the run, from 0.
    """

    item_id: str
    image_id: str
    prompt_digest: str
    run: int


class AnswerStore:
    """The table of answers.

    Args:
        engine: The service's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def known(self, model_digest: str, sampling_digest: str) -> dict[AnswerKey, Generation]:
        """Every stored answer of a model under a sampling."""
        query = sa.select(_ANSWERS).where(
            (_ANSWERS.c.model_digest == model_digest) & (_ANSWERS.c.sampling_digest == sampling_digest)
        )
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        answers = {}
        for row in rows:
            logprobs = tuple(json.loads(row.token_logprobs))
            key = AnswerKey(row.item_id, row.image_id, row.prompt_digest, row.run)
            ends = tuple(json.loads(row.token_ends or "[]"))
            answers[key] = Generation(json.loads(row.text), logprobs, len(logprobs), ends)
        return answers

    def save(self, model_digest: str, sampling_digest: str, answers: Mapping[AnswerKey, Generation]) -> None:
        """Store a batch of answers, all or none; what is stored already stays as it is."""
        rows = [
            {
                "model_digest": model_digest,
                "sampling_digest": sampling_digest,
                "item_id": key.item_id,
                "image_id": key.image_id,
                "prompt_digest": key.prompt_digest,
                "run": key.run,
                "text": json.dumps(answer.text),
                "token_logprobs": json.dumps(answer.token_logprobs),
                "token_ends": json.dumps(answer.token_ends),
            }
            for key, answer in sorted(answers.items())  # two writers take their locks in the same order
        ]
        if not rows:
            return
        with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(_ANSWERS).on_conflict_do_nothing(), rows)


@dataclass(frozen=True)
class JudgeReply:
    """What a judge at an endpoint answered, before anybody has read it, and what that cost."""

    text: str
    is_cut: bool
    spending: Spending

    @property
    def reply(self) -> ChatReply:
        """As it came."""
        usage = Usage(self.spending.tokens_in, self.spending.tokens_out, self.spending.usd, self.spending.is_stated)
        return ChatReply(self.text, self.is_cut, usage)


class JudgeReplyStore:
    """The replies of judges by the work that they are for: an `OutcomeStore` of one kind of calls.

    Args:
        engine: The service's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def outcomes(self, work_id: str, kind: str) -> dict[str, JudgeReply]:
        """See the port."""
        query = sa.select(_REPLIES).where(_REPLIES.c.work_id == work_id)
        with reader(self._engine).connect() as connection:
            return {row.key: _judge_reply(row) for row in connection.execute(query)}

    def keep_outcomes(self, work_id: str, kind: str, outcomes: Mapping[str, JudgeReply]) -> dict[str, JudgeReply]:
        """See the port."""
        if not outcomes:
            return {}
        rows = [
            {
                "work_id": work_id,
                "key": key,
                "text": json.dumps(one.text),
                "is_cut": one.is_cut,
                "usd": one.spending.usd,
                "tokens_in": one.spending.tokens_in,
                "tokens_out": one.spending.tokens_out,
                "is_stated": one.spending.is_stated,
            }
            for key, one in sorted(outcomes.items())
        ]
        own = (_REPLIES.c.work_id == work_id) & _REPLIES.c.key.in_(list(outcomes))
        with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(_REPLIES).on_conflict_do_nothing(), rows)
            return {row.key: _judge_reply(row) for row in connection.execute(sa.select(_REPLIES).where(own))}


def _judge_reply(row: sa.Row[Any]) -> JudgeReply:
    spending = Spending(row.usd, row.tokens_in, row.tokens_out, is_stated=row.is_stated)
    return JudgeReply(json.loads(row.text), row.is_cut, spending)


class VerdictStore:
    """What judges said, by a digest of all that it depends on: of a reply which option it means, of a description a grade.

    Args:
        engine: The service's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """The letter or the grade of each key that is stored; "" where the judge named no option."""
        found: dict[str, str] = {}
        with reader(self._engine).connect() as connection:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                part = keys[start : start + _KEYS_PER_QUERY]
                query = sa.select(_VERDICTS.c.key, _VERDICTS.c.choice).where(_VERDICTS.c.key.in_(part))
                found.update({row.key: row.choice for row in connection.execute(query)})
        return found

    def save(self, verdicts: Mapping[str, str]) -> None:
        """Store letters or grades by key; what is stored already stays as it is."""
        if not verdicts:
            return
        rows = [{"key": key, "choice": choice} for key, choice in sorted(verdicts.items())]
        with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(_VERDICTS).on_conflict_do_nothing(), rows)
