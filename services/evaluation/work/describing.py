"""From the model's descriptions to what is noted of each run: its closing level, its grades, and why it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.descriptions import DEFAULT_PASS, is_wrong
from services.evaluation.domain.reply_text import without_thoughts
from services.evaluation.ports import OpenJudge
from services.evaluation.store import VerdictStore
from services.evaluation.work.answering import Run
from services.evaluation.work.grading import Grader, Pair
from services.evaluation.work.reading import Reading
from shared.errors import FailedPrecondition, MedqError
from shared.quality_level import closing_level
from shared.rows.evaluation import Judgement

_NO_JUDGE = FailedPrecondition(
    "No judge is named for descriptions.",
    field="judge",
    remedy="Name an endpoint of the site: evaluate.judge in a run's file, --judge of medq evaluate.",
)


@dataclass(frozen=True)
class Described:
    """Descriptions as read, the judge ("" for nobody), and its word on the frozen anchor set."""

    readings: Mapping[Run, Reading]
    judge: str = ""
    pass_sum: int = DEFAULT_PASS
    anchors: Mapping[str, float] = field(default_factory=dict)


class DescriptionReader:
    """Reads descriptions, and has them judged.

    Args:
        open_judge: Finds the judge.
        verdicts: What judges said before.
    """

    def __init__(self, open_judge: OpenJudge, verdicts: VerdictStore) -> None:
        self._open_judge = open_judge
        self._verdicts = verdicts

    def require_judge(self, request: pb.StartEvaluateRequest) -> None:
        """Refuse a judge that cannot be asked, before a model is.

        Raises:
            NotFound, PermissionDenied, FailedPrecondition: As for `OpenJudge`.
        """
        if request.judge:
            self._open_judge(request.judge, request.run_id, request.operation_id)

    def read(
        self,
        request: pb.StartEvaluateRequest,
        replies: Mapping[Run, tuple[str, str]],
        progress: Callable[[int, int], None],
    ) -> Described:
        """What is noted of each run.

        Args:
            request: Names the judge and the sum from which a description passes.
            replies: Of each run the reference and the model's reply.
            progress: Told how many grades of how many there are; what it raises ends the work.

        Raises:
            MedqError: The judge refuses for good, cannot be asked, or is of no use.
        """
        pass_sum = request.description_pass or DEFAULT_PASS
        pairs = {run: Pair(reference, without_thoughts(reply)) for run, (reference, reply) in replies.items()}
        spoken = {run: pair for run, pair in pairs.items() if pair.reply}
        if not request.judge or not pairs:
            return Described(
                {run: _reading(pair, _NO_JUDGE if run in spoken else None, pass_sum) for run, pair in pairs.items()},
                pass_sum=pass_sum,
            )
        calls = self._open_judge(request.judge, request.run_id, request.operation_id)
        grader = Grader(calls, self._verdicts, progress)
        graded = grader.grade(spoken.values())
        readings = {run: _reading(pair, graded.get(pair), pass_sum) for run, pair in pairs.items()}
        return Described(readings, grader.name, pass_sum, grader.anchors(request.operation_id))


def _reading(pair: Pair, said: Judgement | MedqError | None, pass_sum: int) -> Reading:
    """An empty description has nothing to judge: it is the model's silence."""
    level = closing_level(pair.reply)
    if isinstance(said, Judgement):
        return Reading(None, level=level, judgement=said, is_right=not is_wrong(said, pass_sum))
    return Reading(None, level=level, failure=said)
