"""Who gets which task next: statements that read an index from its beginning and stop when they have enough.

They are made once, since making one costs more than running it. Their parameters: `now`, `expert`, `me` (the reviewer), `most`.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from services.oracle.store.review_tables import CALIBRATION, JOINED, NOW, OPEN, SKIPS, TASKS

_EXPERT = sa.bindparam("expert", type_=sa.Text)
_ME = sa.bindparam("me", type_=sa.Text)
_MOST = sa.bindparam("most", type_=sa.Integer)
_OTHER = TASKS.alias("other")
# The last part tells PostgreSQL that there are few: by far the most tasks have one opinion and no item.
_IS_OTHER_OPINION = (_OTHER.c.item == TASKS.c.item) & (_OTHER.c.sequence != TASKS.c.sequence) & (_OTHER.c.item != "")
_IS_FREE = (TASKS.c.expert == _EXPERT) & (TASKS.c.state == OPEN) & (TASKS.c.lease_until <= NOW)
_IN_ORDER = (TASKS.c.priority, TASKS.c.sequence)
_IS_GIVEN_BACK = (SKIPS.c.reviewer == _ME) & (SKIPS.c.task_id == TASKS.c.task_id)


def _may_decide() -> sa.ColumnElement[bool]:
    """Whether a reviewer has had no part in the other opinions on a task, which are handed out one after the other."""
    is_theirs = (_OTHER.c.decided_by == _ME) | ((_OTHER.c.reviewer == _ME) & (_OTHER.c.lease_until > NOW))
    is_before = (_OTHER.c.sequence < TASKS.c.sequence) & (_OTHER.c.state == OPEN) & (_OTHER.c.lease_until <= NOW)
    is_in_the_way = is_theirs | (is_before & (_OTHER.c.assignee == ""))
    return (TASKS.c.item == "") | ~sa.exists().where(_IS_OTHER_OPINION & is_in_the_way)


def _next(assignee: sa.ColumnElement[str]) -> sa.Select[Any]:
    is_next = _IS_FREE & (TASKS.c.assignee == assignee) & ~sa.exists().where(_IS_GIVEN_BACK)
    return sa.select(TASKS.c.sequence).where(is_next).order_by(*_IN_ORDER).limit(_MOST)


#: What a reviewer has in hand.
HELD: Final = (
    sa.select(TASKS.c.sequence)
    .where((TASKS.c.reviewer == _ME) & (TASKS.c.lease_until > NOW) & (TASKS.c.expert == _EXPERT))
    .order_by(*_IN_ORDER)
    .limit(_MOST)
)
#: The next tasks that nobody has, that are nobody's in particular, and that this reviewer has not given back.
FREE_NEXT: Final = _next(sa.literal("")).where(_may_decide())
#: Likewise those that are this reviewer's; an operator may give them what they have had a part in.
ASSIGNED_NEXT: Final = _next(_ME)
#: What nobody has and this reviewer has given back, the first of it first.
GIVEN_BACK: Final = (
    sa.select(TASKS.c.sequence)
    .join_from(SKIPS, TASKS, SKIPS.c.task_id == TASKS.c.task_id)
    .where((SKIPS.c.reviewer == _ME) & _IS_FREE)
    .where(((TASKS.c.assignee == "") & _may_decide()) | (TASKS.c.assignee == _ME))
    .order_by(SKIPS.c.sequence)
    .limit(_MOST)
)
#: The questions with known answers of the run whose task comes next.
CALIBRATION_NEXT: Final = sa.select(CALIBRATION.c.body).where(
    CALIBRATION.c.run_id
    == sa.select(TASKS.c.run_id).where(TASKS.c.sequence == FREE_NEXT.scalar_subquery()).scalar_subquery()
)
#: Tasks, `sequences`, in the order in which a reviewer gets them.
HANDED_OUT: Final = JOINED.where(TASKS.c.sequence.in_(sa.bindparam("sequences", expanding=True))).order_by(
    sa.func.coalesce(sa.select(SKIPS.c.sequence).where(_IS_GIVEN_BACK).scalar_subquery(), 0), *_IN_ORDER
)
#: Whether a reviewer has given another opinion on a task, `task`, that is not theirs in particular.
HAS_DECIDED: Final = sa.select(TASKS.c.sequence).where(
    (TASKS.c.task_id == sa.bindparam("task", type_=sa.Text))
    & (TASKS.c.item != "")
    & (TASKS.c.assignee != _ME)
    & sa.exists().where(_IS_OTHER_OPINION & (_OTHER.c.decided_by == _ME))
)
