"""Pre-annotation: the oracle proposes questions with answers, one call for a sample, and a second where that was of no use.

Every try is paid. So the oracle is tried with the first samples before all are put to it: one that gives nothing of use about
any of `ENOUGH` samples ends the work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from services.oracle.domain import annotation
from services.oracle.domain.annotation import Task
from services.oracle.ports import AnnotationOracle, Outcome
from shared.errors import FailedPrecondition
from shared.outside.accounts import CallBook
from shared.outside.call import CallResults, OutsideCall
from shared.outside.calls import OutsideCalls
from shared.outside.probe import ENOUGH, batches
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

    Raises:
        FailedPrecondition: The oracle gave nothing of use about any of `ENOUGH` samples or more. Its answers are kept: where the
            work is begun again, it goes on with the samples behind them.
    """
    asking = _Asking(calls, book, oracle, key_of, progress)
    n_left = len(samples)
    for batch in batches(samples, lambda: bool(asking.stopped) or asking.is_of_use):
        is_new = asking.ask(batch)
        n_left -= len(batch)
        if (is_new or not n_left) and not asking.is_of_use and asking.n_useless >= ENOUGH:
            raise asking.nothing_of_use(n_left)
    tasks: dict[str, Task] = {}
    unanswered: list[Unanswered] = []
    n_without_choice = 0
    for sample in samples:
        outcome = asking.last[sample.sample_id]
        if outcome is None or outcome.fault or not outcome.proposals:
            reason = _why_nothing(outcome, asking.why_not[sample.sample_id])
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
    return PreAnnotation(
        list(tasks.values()), unanswered, n_without_choice, asking.n_again, asking.outcomes, asking.stopped
    )


class _Asking:
    """Asks about samples; all but `ask` is what came back so far.

    Attributes:
        last: What the last try brought, by sample; None where it brought nothing.
        why_not: Why it brought nothing, by sample.
        outcomes: Of every try.
        n_again: Second tries.
        stopped: As in `PreAnnotation`.
    """

    def __init__(
        self,
        calls: OutsideCalls[Outcome],
        book: CallBook,
        oracle: AnnotationOracle,
        key_of: KeyOf,
        progress: Callable[[int], None],
    ) -> None:
        self._calls = calls
        self._book = book
        self._oracle = oracle
        self._key_of = key_of
        self._progress = progress
        self.last: dict[str, Outcome | None] = {}
        self.why_not: dict[str, str] = {}
        self.outcomes: list[Outcome] = []
        self.n_again = 0
        self.stopped = ""

    def ask(self, samples: Sequence[Sample]) -> bool:
        """Ask about each, and again where the answer was of no use.

        Returns: False where every answer was stored before.
        """
        first = self._run([(sample, 1, "") for sample in samples])
        tried = {sample.sample_id: self.last[sample.sample_id] for sample in samples}
        faults = {name: outcome.fault for name, outcome in tried.items() if outcome is not None and outcome.fault}
        again = [sample for sample in samples if sample.sample_id in faults]
        second = self._run([(sample, 2, faults[sample.sample_id]) for sample in again])
        self.n_again += len(second.outcomes)
        return first.n_made + second.n_made > 0

    @property
    def is_of_use(self) -> bool:
        """Whether an answer about any sample was of use."""
        return any(outcome is not None and not outcome.fault for outcome in self.last.values())

    @property
    def n_useless(self) -> int:
        """Samples about which both answers were of no use."""
        return sum(outcome is not None and bool(outcome.fault) for outcome in self.last.values())

    def nothing_of_use(self, n_left: int) -> FailedPrecondition:
        """What to say of an oracle that is of no use, where so many samples were not put to it."""
        counted = Counter(outcome.fault for outcome in self.outcomes if outcome.fault)
        faults = ", ".join(f"{n} times: {fault.rstrip('.')}" for fault, n in counted.most_common())
        spent = [outcome.spending for outcome in self.outcomes]
        usd, tokens = sum(one.usd for one in spent), sum(one.tokens_in + one.tokens_out for one in spent)
        name = self._oracle.name
        again = (
            f"; then the same command goes on with the {n_left} images that it was not asked about" if n_left else ""
        )
        return FailedPrecondition(
            f"The oracle {name} gave nothing of use about any of {self.n_useless} images. What was wrong with its "
            f"{len(spent)} answers: {faults}. They cost {usd:.4f} USD ({tokens} tokens) and are kept.",
            field="annotate.oracle",
            value=name,
            remedy=f"Serve a model at this endpoint that answers in the JSON schema that it is given{again}. Or name another "
            "endpoint, and start a run under another name.",
        )

    def _run(self, tries: Sequence[tuple[Sample, int, str]]) -> CallResults[Outcome]:
        """Make one try for each: a sample, the number of the try, and the fault of the one before."""
        before = len(self.outcomes)
        keys = {sample.sample_id: self._key_of(sample, number) for sample, number, _ in tries}
        calls: list[OutsideCall[Outcome]] = [
            OutsideCall(keys[sample.sample_id], partial(self._oracle.prepare, sample, fault))
            for sample, _, fault in tries
        ]
        results = self._calls.run(self._book, calls, lambda done: self._progress(before + done))
        for name, key in keys.items():
            self.last[name] = results.outcomes.get(key)
            self.why_not[name] = results.why_not(key)
        self.outcomes += results.outcomes.values()
        self.stopped = self.stopped or results.stopped
        return results


def _why_nothing(outcome: Outcome | None, why_not: str) -> str:
    """Why a sample has no question."""
    if outcome is None:
        return why_not
    return f"{annotation.USELESS}: {outcome.fault}" if outcome.fault else annotation.NO_QUESTION
