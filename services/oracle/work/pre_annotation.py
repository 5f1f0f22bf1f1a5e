"""Pre-annotation: the oracle proposes questions with answers, one call for a sample, and a second where that was of no use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from services.oracle.domain import annotation
from services.oracle.domain.annotation import Task
from services.oracle.ports import AnnotationOracle, Outcome
from shared.outside.accounts import CallBook
from shared.outside.call import OutsideCall
from shared.outside.calls import OutsideCalls
from shared.rows.annotation import Unanswered
from shared.rows.selection import Sample

#: Names a call for a sample in the ledger, by the number of the try, from 1.
KeyOf = Callable[[Sample, int], str]


@dataclass(frozen=True)
class PreAnnotation:
    """What the oracle brought.

    Attributes:
        tasks: In the order of the selection, each question about an image once.
        unanswered: What it has no answer to, and why.
        n_without_choice: Samples of which no more questions can be asked than are.
        n_asked_again: Samples about which the oracle was asked twice.
        outcomes: Of every call, the second tries among them.
        stopped: Why calls ended early; "" where they did not.
    """

    tasks: list[Task]
    unanswered: list[Unanswered]
    n_without_choice: int
    n_asked_again: int
    outcomes: Sequence[Outcome]
    stopped: str


def pre_annotate(
    calls: OutsideCalls[Outcome],
    book: CallBook,
    oracle: AnnotationOracle,
    samples: Sequence[Sample],
    key_of: KeyOf,
    make_task: Callable[..., Task],
    progress: Callable[[int], None],
) -> PreAnnotation:
    """Ask the oracle about each sample.

    Args:
        calls: Makes outside calls with accounts.
        book: Whose calls they are.
        oracle: Who is asked.
        samples: With different ids.
        key_of: The ledger's name of a call.
        make_task: A task from a sample, a question and the oracle's answer.
        progress: Told how many calls have come back.
    """
    first = calls.run(book, [_call(oracle, sample, key_of(sample, 1), "") for sample in samples], progress)
    tried = {sample.sample_id: first.outcomes.get(key_of(sample, 1)) for sample in samples}
    faults = {name: outcome.fault for name, outcome in tried.items() if outcome is not None and outcome.fault}
    again = [sample for sample in samples if sample.sample_id in faults]
    second = calls.run(
        book,
        [_call(oracle, sample, key_of(sample, 2), faults[sample.sample_id]) for sample in again],
        lambda done: progress(len(first.outcomes) + done),
    )
    tasks: dict[str, Task] = {}
    unanswered: list[Unanswered] = []
    n_without_choice = 0
    for sample in samples:
        results, number = (second, 2) if sample.sample_id in faults else (first, 1)
        outcome = results.outcomes.get(key_of(sample, number))
        if outcome is None or outcome.fault or not outcome.proposals:
            reason = _why_nothing(outcome, results.why_not(key_of(sample, number)))
            unanswered.append(annotation.unanswered_row(sample, "", {}, reason))
            continue
        n_without_choice += outcome.is_without_choice
        for one in outcome.proposals:
            if one.answer is None:
                asked, reason = one.template, annotation.NOT_KNOWN_TO_ORACLE
                unanswered.append(annotation.unanswered_row(sample, asked.question, asked.options, reason))
            else:
                task = make_task(sample, one.template, one.answer)
                tasks.setdefault(task.key, task)
    made = [*first.outcomes.values(), *second.outcomes.values()]
    stopped = first.stopped or second.stopped
    return PreAnnotation(list(tasks.values()), unanswered, n_without_choice, len(second.outcomes), made, stopped)


def _why_nothing(outcome: Outcome | None, why_not: str) -> str:
    """Why a sample has no question."""
    if outcome is None:
        return why_not
    return f"{annotation.USELESS}: {outcome.fault}" if outcome.fault else annotation.NO_QUESTION


def _call(oracle: AnnotationOracle, sample: Sample, key: str, complaint: str) -> OutsideCall[Outcome]:
    return OutsideCall(key, partial(oracle.prepare, sample, complaint))
