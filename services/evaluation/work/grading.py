"""The judge of descriptions: four grades each, asked once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from services.evaluation.domain.grading import AXES, PROMPT_VERSION, grade_of, grade_request, verdict_key
from services.evaluation.domain.judge_anchors import ANCHORS, AnchorPair, anchor_means
from services.evaluation.ports import JudgeCalls
from services.evaluation.store import VerdictStore
from services.evaluation.work.reading import PASSING
from shared.chat.messages import ChatReply
from shared.errors import FailedPrecondition, MedqError, Unavailable
from shared.outside.probe import ENOUGH, batches
from shared.rows.evaluation import Judgement

#: How often a judge is asked for one grade in all, where it answers with something else.
TRIES = 3
#: Grades that are asked for and stored at a time.
_AT_A_TIME = 256
_VERDICTS = Counter(
    "medq_evaluation_verdicts_total",
    "Grades of descriptions that were asked for and given (graded), found in the store (known), or not given (none).",
    ["outcome"],
)


@dataclass(frozen=True)
class Pair:
    """A reference and the description that is graded against it; neither is empty."""

    reference: str
    reply: str


@dataclass(frozen=True)
class _Asked:
    axis: str
    pair: Pair


class Grader:
    """A judge in one evaluation.

    Args:
        calls: To the judge.
        verdicts: What judges said before.
        progress: Told how many grades of how many there are; what it raises ends the work.
    """

    def __init__(self, calls: JudgeCalls, verdicts: VerdictStore, progress: Callable[[int, int], None]) -> None:
        self._calls = calls
        self._verdicts = verdicts
        self._progress = progress

    @property
    def name(self) -> str:
        """The model that judges, and the version of the way it is asked."""
        return f"{self._calls.model}, prompt {PROMPT_VERSION}"

    def grade(self, pairs: Iterable[Pair], occasion: str = "") -> dict[Pair, Judgement | MedqError]:
        """The four grades of each pair, or why one of them is missing.

        Args:
            pairs: What is graded; equal pairs are graded once.
            occasion: As for `verdict_key`.

        Raises:
            FailedPrecondition: The judge answered with something else than a grade to the first `ENOUGH` requests or more, each
                put `TRIES` times.
            MedqError: The endpoint refuses for good; what was graded until then is kept.
        """
        graded = self._judgements(pairs, occasion)
        useless = next((one for one in graded.values() if isinstance(one, FailedPrecondition)), None)
        if useless is not None:
            raise useless
        return graded

    def _judgements(self, pairs: Iterable[Pair], occasion: str) -> dict[Pair, Judgement | MedqError]:
        """As `grade`, but that a judge of no use is why the pairs are not graded."""
        key_of = {
            _Asked(axis, pair): verdict_key(self._calls.model, axis, pair.reference, pair.reply, occasion)
            for pair in dict.fromkeys(pairs)
            for axis in AXES
        }
        graded = self._graded({key: asked for asked, key in key_of.items()})
        return {
            pair: self._judgement([graded[key_of[_Asked(axis, pair)]] for axis in AXES])
            for pair in dict.fromkeys(asked.pair for asked in key_of)
        }

    def anchors(self, occasion: str) -> dict[str, float]:
        """The mean sum of each level of the frozen anchor set; it is graded anew at each occasion, or drift would not show."""
        pair_of = {anchor: Pair(anchor.reference, anchor.reply) for anchor in ANCHORS}
        graded = self._judgements(pair_of.values(), f"anchors {occasion}")
        sums: dict[AnchorPair, int] = {}
        for anchor, pair in pair_of.items():
            judgement = graded[pair]
            if isinstance(judgement, Judgement):
                sums[anchor] = sum(getattr(judgement, axis) for axis in AXES)
        return anchor_means(sums)

    def _judgement(self, grades: Sequence[int | MedqError]) -> Judgement | MedqError:
        found = [grade for grade in grades if isinstance(grade, int)]
        if len(found) < len(grades):
            return next(grade for grade in grades if isinstance(grade, MedqError))
        return Judgement(**dict(zip(AXES, found, strict=True)), judge=self.name)

    def _graded(self, asked: Mapping[str, _Asked]) -> dict[str, int | MedqError]:
        """The grade of each key: the stored one, or the first of `TRIES` that is one."""
        found: dict[str, int | MedqError] = {k: int(said) for k, said in self._verdicts.known(list(asked)).items()}
        _VERDICTS.labels("known").inc(len(found))
        missing = sorted(asked.keys() - found.keys())
        useless: list[ChatReply] = []
        silent: list[str] = []

        def is_of_use() -> bool:
            return any(isinstance(found.get(key), int) for key in missing)

        for batch in batches(missing, is_of_use):
            found |= self._tried({key: asked[key] for key in batch}, useless, len(found), len(asked))
            silent += [key for key in batch if key not in found]
            why: MedqError | None = next((one for key in batch if isinstance(one := found.get(key), PASSING)), None)
            if why is None and len(silent) >= ENOUGH and not is_of_use():
                why = self._of_no_use(len(silent), useless)
            if why is not None:  # its patience is spent, or the budget, or it is of no use: ask no more
                found = {**dict.fromkeys(missing, why), **found}
                break
        found = {**dict.fromkeys(asked, self._no_grade()), **found}
        _VERDICTS.labels("none").inc(sum(isinstance(one, MedqError) for one in found.values()))
        return found

    def _tried(
        self, asked: Mapping[str, _Asked], useless: list[ChatReply], done: int, total: int
    ) -> dict[str, int | MedqError]:
        """What `TRIES` of each brought, as `_ask`; none further once the endpoint is down."""
        found: dict[str, int | MedqError] = {}
        for attempt in range(TRIES):
            missing = sorted(asked.keys() - found.keys())
            for start in range(0, len(missing), _AT_A_TIME):
                chunk = {key: asked[key] for key in missing[start : start + _AT_A_TIME]}
                made = self._ask(chunk, attempt, useless, done + len(found), total)
                found |= made
                if any(isinstance(one, PASSING) for one in made.values()):
                    return found
        return found

    def _ask(
        self, asked: Mapping[str, _Asked], attempt: int, useless: list[ChatReply], done: int, total: int
    ) -> dict[str, int | MedqError]:
        """The grades that were given, which are stored, and what kept the endpoint from answering; adds others to `useless`."""
        requests = {
            f"{key}/{attempt}": grade_request(one.axis, one.pair.reference, one.pair.reply, attempt)
            for key, one in asked.items()
        }
        replies = self._calls.ask(requests, lambda n: self._progress(done + n, total))
        found: dict[str, int | MedqError] = {}
        for name, reply in replies.items():
            if isinstance(reply, MedqError):
                found[name.rpartition("/")[0]] = reply
            elif (grade := grade_of(reply)) is not None:
                found[name.rpartition("/")[0]] = grade
            else:
                useless.append(reply)
        given = {key: str(grade) for key, grade in found.items() if isinstance(grade, int)}
        self._verdicts.save(given)
        _VERDICTS.labels("graded").inc(len(given))
        return found

    def _no_grade(self) -> MedqError:
        return Unavailable(
            f"The judge gave no grade in {TRIES} answers.",
            field="judge",
            value=self._calls.model,
            remedy="Name a judge that keeps to the form of answer it is asked for; the same command asks it again.",
        )

    def _of_no_use(self, n_asked: int, replies: Sequence[ChatReply]) -> FailedPrecondition:
        """What to say of a judge that has answered so many requests, and given no grade."""
        n_cut = sum(reply.is_cut for reply in replies)
        usd = sum(reply.usage.usd for reply in replies)
        tokens = sum(reply.usage.tokens_in + reply.usage.tokens_out for reply in replies)
        return FailedPrecondition(
            f"The judge {self._calls.model} gave no grade to any of {n_asked} requests. Of its {len(replies)} answers "
            f"{n_cut} were cut at their longest length, and {len(replies) - n_cut} were not the JSON object that was asked for. "
            f"They cost {usd:.4f} USD ({tokens} tokens). What the model under evaluation answered is kept.",
            field="judge",
            value=self._calls.model,
            remedy="Name a judge that keeps to the form of answer it is asked for, or have this endpoint serve one; the same "
            "command asks it again.",
        )
