"""What descriptions score: by their closing level, by their grades, and by the columns of Table 1."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from medq.evaluation.v1 import evaluation_pb2 as pb
from services.evaluation.domain.descriptions import description_scores, is_wrong, level_grade
from services.evaluation.domain.grading import AXES
from services.evaluation.ports import JudgeCalls
from services.evaluation.store import METADATA, VerdictStore
from services.evaluation.work.describing import DescriptionReader
from shared.errors import FailedPrecondition, NotFound
from shared.rows.evaluation import Answer, Judgement
from tests.support.chat import ChatJudge, ScriptedChat
from tests.support.rows import build

GOOD, USABLE, REJECT = (
    f"Words. Overall, the quality of this image is {level}." for level in ("good", "usable", "reject")
)


def judged(*grades: int) -> Judgement:
    return Judgement(**dict(zip(AXES, grades, strict=True)), judge="j")


def answer(item: int, source: str, judgement: Judgement | None = None, **said: object) -> Answer:
    defaults = {"answer": GOOD, "gold": GOOD, "level": "good", "choice": None, "scored": judgement is not None}
    row = {"question_type": "description", "item_id": str(item), "source_id": source, **defaults, **said}
    return build(Answer, judgement=judgement, **row)


def scores(*answers: Answer, judge: str = "j", pass_sum: int = 5):
    return description_scores(answers, judge=judge, pass_sum=pass_sum, anchors={}, seed=0)


@pytest.mark.parametrize(
    ("level", "reference", "grade"),
    [
        ("good", "good", 2),
        ("good", "usable", 1),
        ("usable", "reject", 1),
        ("reject", "good", 0),
        ("", "good", 0),
        ("good", "", 0),
    ],
)
def test_quality_accuracy_by_the_closing_phrase_counts_steps_on_the_ladder(level, reference, grade):
    assert level_grade(level, reference) == grade


@pytest.mark.parametrize(
    ("grades", "pass_sum", "wrong"),
    [
        ((1, 1, 1, 2), 5, False),
        ((1, 1, 1, 1), 5, True),
        ((2, 2, 2, 0), 5, True),
        ((2, 2, 2, 1), 8, True),
        ((2, 2, 2, 2), 8, False),
        ((0, 0, 0, 1), 1, False),
    ],
)
def test_a_run_is_wrong_below_the_pass_or_where_the_level_is_two_steps_off(grades, pass_sum, wrong):
    assert is_wrong(judged(*grades), pass_sum) is wrong


def test_the_columns_are_means_over_runs_and_the_overall_is_their_sum():
    row = scores(
        answer(1, "a", judged(2, 1, 2, 2)), answer(2, "b", judged(0, 1, 2, 1)), answer(3, "c", judged(1, 1, 2, 0))
    )
    assert [getattr(row, axis).value for axis in AXES] == [1.0, 1.0, 2.0, 1.0]
    assert row.overall.value == pytest.approx(5.0)
    assert (row.overall.n, row.overall.n_sources, row.overall.unscored) == (3, 3, 0)
    assert row.by_modality["ct"] == row.overall


def test_an_interval_counts_sources_and_stays_on_the_scale():
    one_source = scores(*(answer(i, "a", judged(2, 2, 2, i % 3)) for i in range(6)))
    assert (one_source.overall.low, one_source.overall.high) == (None, None)
    few = scores(
        answer(1, "a", judged(2, 2, 2, 2)), answer(2, "b", judged(2, 2, 2, 2)), answer(3, "c", judged(0, 2, 2, 2))
    )
    assert few.completeness.low == 0.0
    assert few.completeness.high == 2.0
    assert few.overall.high == 8.0


def test_silence_has_grade_zero_on_each_axis_and_is_not_unscored():
    row = scores(answer(1, "a", judged(2, 2, 2, 2)), answer(2, "b", answer="", level="", scored=False, evaluated=True))
    assert row.overall.value == 4.0
    assert (row.overall.n, row.overall.unscored) == (2, 0)
    assert row.level_accuracy.value == 1.0


def test_what_was_not_judged_is_in_no_mean_and_its_level_still_counts():
    row = scores(answer(1, "a", evaluated=False), answer(2, "b", evaluated=False, level="reject"), judge="")
    assert row.overall.value is None
    assert (row.overall.n, row.overall.unscored) == (0, 2)
    assert (row.level_accuracy.value, row.level_accuracy.n) == (1.0, 2)


def test_without_a_reply_or_a_level_in_the_reference_the_level_has_no_grade():
    lost = answer(1, "a", answer="", level="", evaluated=False)
    vague = answer(2, "b", judged(2, 2, 2, 2), gold="A fine image.")
    row = scores(lost, vague, answer(3, "c", judged(2, 2, 2, 2)))
    assert (row.level_accuracy.n, row.level_accuracy.unscored) == (1, 2)


@pytest.fixture
def verdicts(tmp_path: Path) -> Iterator[VerdictStore]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'evaluation.sqlite'}")
    METADATA.create_all(engine)
    yield VerdictStore(engine)
    engine.dispose()


def reader(verdicts: VerdictStore, chat: ScriptedChat) -> DescriptionReader:
    def open_judge(endpoint: str, run_id: str, work_id: str) -> JudgeCalls:
        if endpoint != chat.name:
            raise NotFound("There is no endpoint of this name.", field="judge", value=endpoint)
        return ChatJudge(chat)

    return DescriptionReader(open_judge, verdicts)


def request(judge: str = "scripted", **said: int) -> pb.StartEvaluateRequest:
    return pb.StartEvaluateRequest(operation_id="run/full/0/evaluate_dev", judge=judge, **said)


def nothing(done: int, total: int) -> None:
    pass


def always(grade: int) -> ScriptedChat:
    return ScriptedChat(lambda request: json.dumps({"grade": grade}))


def test_a_judged_description_is_right_from_the_pass_on(verdicts: VerdictStore) -> None:
    replies = {("1", 0): (REJECT, GOOD)}
    described = reader(verdicts, always(1)).read(request(description_pass=4), replies, nothing)
    strict = reader(verdicts, always(1)).read(request(), replies, nothing)
    assert (described.readings["1", 0].is_right, strict.readings["1", 0].is_right) == (True, False)
    assert strict.pass_sum == 5
    assert described.judge == "scripted, prompt 1"
    assert described.anchors == {"faithful": 4.0, "partial": 4.0, "contrary": 4.0}


def test_silence_is_wrong_and_is_shown_to_no_judge(verdicts: VerdictStore) -> None:
    chat = always(2)
    replies = {("1", 0): (GOOD, ""), ("1", 1): (GOOD, " \n"), ("1", 2): (GOOD, "<think>It is good.</think>")}
    for judge in ("scripted", ""):
        readings = reader(verdicts, chat).read(request(judge), replies, nothing).readings
        assert all(one.judgement is None and one.failure is None for one in readings.values())
    assert all("It is good." not in asked.text for asked in chat.asked)


def test_thoughts_are_no_part_of_a_description(verdicts: VerdictStore) -> None:
    chat = always(2)
    replies = {("1", 0): (GOOD, f"<think>{REJECT}</think>{USABLE}")}
    described = reader(verdicts, chat).read(request(), replies, nothing)
    assert described.readings["1", 0].level == "usable"
    assert not any("<think>" in asked.text for asked in chat.asked)


def test_without_a_judge_a_description_has_a_level_and_a_reason(verdicts: VerdictStore) -> None:
    described = reader(verdicts, always(2)).read(request(""), {("1", 0): (GOOD, USABLE)}, nothing)
    reading = described.readings["1", 0]
    assert (reading.level, reading.judgement, described.judge, described.anchors) == ("usable", None, "", {})
    assert isinstance(reading.failure, FailedPrecondition)
    assert "--judge" in (reading.failure.remedy or "")


def test_a_judge_that_the_site_does_not_have_is_refused_before_anything_is_asked(verdicts: VerdictStore) -> None:
    with pytest.raises(NotFound):
        reader(verdicts, always(2)).require_judge(request("gpt-9"))


def test_where_nothing_is_described_the_judge_is_asked_nothing(verdicts: VerdictStore) -> None:
    chat = always(2)
    assert reader(verdicts, chat).read(request(), {}, nothing).readings == {}
    assert chat.asked == []
