"""What the lines of the arms want other services to do: operations that are started beside each other, then waited for."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.controller.loop.calls import Calls, Made
from services.controller.loop.other_services import ANNOTATE, EVALUATE, MINE_FAILURES, Start
from shared.errors import MedqError

T = TypeVar("T")
#: What is made of the same by all arms, but for their names in it: neither depends on anything else of an arm.
_SHARED = (EVALUATE, MINE_FAILURES)


@dataclass(frozen=True)
class Work:
    """An operation: its step in an arm and round, the RPC that starts it, and the request without its operation id."""

    calls: Calls
    step: str
    start: Start[Any]
    request: Any

    @property
    def key(self) -> Hashable:
        """The same for the works of several arms of which one is enough: all start from the same model."""
        if self.start not in _SHARED:
            return (self.calls.arm, self.calls.round, self.step)
        request = type(self.request)()
        request.CopyFrom(self.request)
        if self.start is EVALUATE:
            request.arm = ""
        return (self.step, request.SerializeToString(deterministic=True))

    @property
    def spends(self) -> bool:
        """Whether it may cost dollars or the time of experts, of which a run may have a limit."""
        return self.start is ANNOTATE or (self.start is EVALUATE and bool(self.request.judge))


#: Lines of the loop. They yield works that are done beside each other, are sent what each made, and return something.
Lines = Generator[Sequence[Work], list[Made], T]


def do_all(works: Sequence[Work]) -> list[Made | MedqError]:
    """Start operations, then wait until all have ended, also where one has failed: a step for each start and each wait.

    What several works have in common (see `Work.key`) is started once, by the first; each records it as its own.

    Returns: What each made, or its typed failure, in the order of the works.
    """
    keys = [work.key for work in works]  # before a request gets the id of its operation
    begun: dict[Hashable, str | MedqError] = {}
    for work, key in zip(works, keys, strict=True):
        if key not in begun:
            begun[key] = _begin(work, may_pause=not begun)
    last = max((place for place, key in enumerate(keys) if isinstance(begun[key], str)), default=-1)
    return [
        _finish(work, begun[key], is_last=place == last)
        for place, (work, key) in enumerate(zip(works, keys, strict=True))
    ]


def _begin(work: Work, *, may_pause: bool) -> str | MedqError:
    try:
        return work.calls.begin(work.step, work.start, work.request, may_pause=may_pause)
    except MedqError as error:
        return error


def _finish(work: Work, begun: str | MedqError, *, is_last: bool) -> Made | MedqError:
    if isinstance(begun, MedqError):
        return begun
    try:
        return work.calls.finish(work.step, work.start, work.request, begun, is_last=is_last)
    except MedqError as error:
        return error
