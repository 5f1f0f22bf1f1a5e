"""Runs the arms side by side, in lock step: what all of them want next is done, then each goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from services.controller.loop.calls import Made
from services.controller.loop.steps import ArmEnded
from services.controller.loop.works import Lines, Work, do_all
from shared.errors import MedqError

#: What arms want done, by their places.
Wanted = Mapping[int, Sequence[Work]]


def in_lock_step(arms: Sequence[Lines[None]], *, is_limited: bool) -> None:
    """Carry out the lines of all arms until each has ended. The order of steps depends on nothing but what the steps give.

    Args:
        arms: Their lines, in the order of the configuration; none has begun.
        is_limited: The run has limits, which its arms share. What may spend is then done for one arm at a time, the one that is
            furthest behind: else what is left would go to the arm that asks first.

    Raises:
        MedqError: The failure that ends the run: that of the first arm whose lines do not end at it.
    """
    wanted = {place: next(lines) for place, lines in enumerate(arms)}
    while wanted:
        turn = {place: wanted.pop(place) for place in _turn(wanted, is_limited=is_limited)}
        outcomes = iter(do_all([work for works in turn.values() for work in works]))
        wanted |= _go_on(arms, {place: _made(list(islice(outcomes, len(works)))) for place, works in turn.items()})


def _turn(wanted: Wanted, *, is_limited: bool) -> list[int]:
    """The arms whose wants are met now, in their order."""
    spenders = [place for place in sorted(wanted) if any(work.spends for work in wanted[place])] if is_limited else []
    if not spenders:
        return sorted(wanted)
    first = min(spenders, key=lambda place: (wanted[place][0].calls.round, place))
    same = [work.key for work in wanted[first]]
    return [place for place in sorted(wanted) if place not in spenders or [work.key for work in wanted[place]] == same]


def _made(outcomes: Sequence[Made | MedqError]) -> list[Made] | MedqError:
    """What the works of an arm made, or the first failure."""
    made = [outcome for outcome in outcomes if isinstance(outcome, Made)]
    return made if len(made) == len(outcomes) else next(one for one in outcomes if isinstance(one, MedqError))


def _go_on(arms: Sequence[Lines[None]], made: Mapping[int, list[Made] | MedqError]) -> dict[int, Sequence[Work]]:
    """Tell arms what was made for them.

    Returns: What they want next; an arm that has ended wants nothing.
    """
    wanted, ends = {}, []
    # First the failures. One that ends the run does so before another arm takes a step of its own, so that what is repeated
    # when the run goes on is what stands right before the report: the turn that failed.
    for place, failure in made.items():
        if isinstance(failure, MedqError):
            try:
                wanted[place] = arms[place].throw(failure)
            except ArmEnded as end:
                ends.append(end)
    for ended in ends:
        ended.steps.end_arm(ended.reason)
    for place, outcome in made.items():
        if not isinstance(outcome, MedqError):
            try:
                wanted[place] = arms[place].send(outcome)
            except ArmEnded as end:
                end.steps.end_arm(end.reason)
    return wanted
