"""Who gets which task next: queries that read an index from its beginning and stop when they have enough."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.oracle.store.review_tables import OPEN, SKIPS, TASKS


def held_by(expert: str, reviewer: str, count: int, now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """What a reviewer has in hand."""
    is_mine = (TASKS.c.reviewer == reviewer) & (TASKS.c.lease_until > now) & (TASKS.c.expert == expert)
    return sa.select(TASKS.c.sequence).where(is_mine).order_by(TASKS.c.priority, TASKS.c.sequence).limit(count)


def next_free(expert: str, reviewer: str, count: int, now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """The next tasks that nobody has and that this reviewer has not given back."""
    given_back = sa.exists().where((SKIPS.c.reviewer == reviewer) & (SKIPS.c.task_id == TASKS.c.task_id))
    query = sa.select(TASKS.c.sequence).where(_is_free(expert, now) & ~given_back & may_decide(reviewer, now))
    return query.order_by(TASKS.c.priority, TASKS.c.sequence).limit(count)


def given_back_by(expert: str, reviewer: str, count: int, now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """What nobody has and this reviewer has given back, the first of it first."""
    query = sa.select(TASKS.c.sequence).join_from(SKIPS, TASKS, SKIPS.c.task_id == TASKS.c.task_id)
    query = query.where((SKIPS.c.reviewer == reviewer) & _is_free(expert, now) & may_decide(reviewer, now))
    return query.order_by(SKIPS.c.sequence).limit(count)


def may_decide(reviewer: str, now: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """Whether a reviewer has had no part in the other opinions on a task, which are handed out one after the other."""
    other = TASKS.alias("other")
    is_theirs = (other.c.decided_by == reviewer) | ((other.c.reviewer == reviewer) & (other.c.lease_until > now))
    is_before = (other.c.sequence < TASKS.c.sequence) & (other.c.state == OPEN) & (other.c.lease_until <= now)
    is_other = (other.c.item == TASKS.c.item) & (other.c.sequence != TASKS.c.sequence)
    return (TASKS.c.item == "") | ~sa.exists().where(is_other & (is_theirs | is_before))


def has_decided(reviewer: str) -> sa.ColumnElement[bool]:
    """Whether a reviewer has given another opinion on a task."""
    other = TASKS.alias("other")
    is_other = (other.c.item == TASKS.c.item) & (other.c.sequence != TASKS.c.sequence)
    return (TASKS.c.item != "") & sa.exists().where(is_other & (other.c.decided_by == reviewer))


def in_order(query: sa.Select[Any], reviewer: str) -> sa.Select[Any]:
    """Tasks in the order in which a reviewer gets them."""
    is_mine = (SKIPS.c.reviewer == reviewer) & (SKIPS.c.task_id == TASKS.c.task_id)
    back = sa.select(SKIPS.c.sequence).where(is_mine).scalar_subquery()
    return query.order_by(sa.func.coalesce(back, 0), TASKS.c.priority, TASKS.c.sequence)


def _is_free(expert: str, now: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    return (TASKS.c.expert == expert) & (TASKS.c.state == OPEN) & (TASKS.c.lease_until <= now)
