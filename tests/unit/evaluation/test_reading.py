"""Ways of reading replies: rules, the likeliest of given replies, and a judge whose word is kept."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.evaluation.store import METADATA, VerdictStore
from services.evaluation.work.reading import Asked, ReplyReader, candidates
from shared.errors import FailedPrecondition, MedqError, PermissionDenied, Unavailable

OPTIONS = {"A": "Noise", "B": "Motion", "C": "None"}
RAMBLING = "It looks as if the patient had breathed."


class ScriptedJudge:
    """Says what it was told to, and notes what it was asked."""

    name = "judge-1"

    def __init__(self, said: Mapping[str, str | MedqError | None]) -> None:
        self._said = said
        self.asked: list[str] = []

    def choose(self, question: str, options: Mapping[str, str], reply: str) -> str | None:
        self.asked.append(reply)
        said = self._said[reply]
        if isinstance(said, MedqError):
            raise said
        return said


@pytest.fixture
def verdicts(tmp_path: Path) -> Iterator[VerdictStore]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'evaluation.sqlite'}")
    METADATA.create_all(engine)
    yield VerdictStore(engine)
    engine.dispose()


def _asked(*replies: str) -> list[Asked]:
    return [Asked("What is wrong?", OPTIONS, reply) for reply in replies]


def _nothing(done: int, total: int) -> None:
    pass


def test_the_judge_is_asked_only_where_no_rule_reads_a_reply(verdicts: VerdictStore) -> None:
    judge = ScriptedJudge({RAMBLING: "B"})
    readings = ReplyReader(judge, verdicts).read(_asked("A", RAMBLING, "", "  "), "judge", "letter", _nothing)
    assert [(one.choice, one.is_judged) for one in readings] == [
        ("A", False),
        ("B", True),
        (None, False),
        (None, False),
    ]
    assert judge.asked == [RAMBLING]


def test_a_verdict_is_kept_also_that_no_option_is_meant(verdicts: VerdictStore) -> None:
    judge = ScriptedJudge({RAMBLING: "B", "I cannot say.": None})
    for _ in range(2):
        readings = ReplyReader(judge, verdicts).read(_asked(RAMBLING, "I cannot say."), "judge", "letter", _nothing)
        assert [one.choice for one in readings] == ["B", None]
    assert sorted(judge.asked) == ["I cannot say.", RAMBLING]


def test_the_verdict_of_another_judge_is_not_taken(verdicts: VerdictStore) -> None:
    ReplyReader(ScriptedJudge({RAMBLING: "B"}), verdicts).read(_asked(RAMBLING), "judge", "letter", _nothing)
    other = ScriptedJudge({RAMBLING: "A"})
    other.name = "judge-2"
    assert ReplyReader(other, verdicts).read(_asked(RAMBLING), "judge", "letter", _nothing)[0].choice == "A"


def test_a_judge_that_is_down_leaves_replies_unscored_and_is_asked_again_later(verdicts: VerdictStore) -> None:
    down = ScriptedJudge({RAMBLING: Unavailable("The model server does not answer.")})
    (reading,) = ReplyReader(down, verdicts).read(_asked(RAMBLING), "judge", "letter", _nothing)
    assert reading.choice is None
    assert isinstance(reading.failure, Unavailable)
    up = ScriptedJudge({RAMBLING: "B"})
    assert ReplyReader(up, verdicts).read(_asked(RAMBLING), "judge", "letter", _nothing)[0].choice == "B"


def test_a_judge_that_is_down_is_not_asked_about_every_reply(verdicts: VerdictStore) -> None:
    replies = [f"{RAMBLING} {i}" for i in range(200)]
    down = ScriptedJudge(dict.fromkeys(replies, Unavailable("The model server does not answer.")))
    readings = ReplyReader(down, verdicts).read(_asked(*replies), "judge", "letter", _nothing)
    assert all(reading.failure for reading in readings)
    assert len(down.asked) < len(replies)


def test_a_judge_that_refuses_us_ends_the_work(verdicts: VerdictStore) -> None:
    judge = ScriptedJudge({RAMBLING: PermissionDenied("The model server refused: 401.")})
    with pytest.raises(PermissionDenied):
        ReplyReader(judge, verdicts).read(_asked(RAMBLING), "judge", "letter", _nothing)


def test_what_a_judge_said_before_it_refused_us_is_kept_and_not_asked_again(verdicts: VerdictStore) -> None:
    replies = [f"{RAMBLING} {number}" for number in range(4)]
    judge = ScriptedJudge(dict.fromkeys(replies, "A"))
    refusing = ScriptedJudge({**dict.fromkeys(replies, "A"), replies[2]: PermissionDenied("No.")})
    with pytest.raises(PermissionDenied):
        ReplyReader(refusing, verdicts, concurrency=4).read(_asked(*replies), "judge", "letter", _nothing)
    readings = ReplyReader(judge, verdicts).read(_asked(*replies), "judge", "letter", _nothing)
    assert [reading.choice for reading in readings] == ["A"] * 4
    n_kept = len(replies) - len(judge.asked)
    assert n_kept == len(set(refusing.asked)) - 1
    assert replies[2] in judge.asked


def test_a_judge_that_is_not_set_is_refused_before_anything_is_asked(verdicts: VerdictStore) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        ReplyReader(None, verdicts).judge_of("judge")
    assert "MEDQ_EVALUATION_JUDGE__BASE_URL" in caught.value.remedy


@pytest.mark.parametrize(("form", "expected"), [("letter", ("A", "B", "C")), ("open", ("Noise", "Motion", "None"))])
def test_the_likeliest_is_read_back_as_its_letter(verdicts: VerdictStore, form: str, expected: tuple[str, ...]) -> None:
    given = candidates(OPTIONS, "likelihood", form)  # type: ignore[arg-type]
    assert given == expected
    readings = ReplyReader(None, verdicts).read(_asked(*given, "Good"), "likelihood", form, _nothing)  # type: ignore[arg-type]
    assert [reading.choice for reading in readings] == ["A", "B", "C", None]


def test_other_ways_let_the_model_write_freely() -> None:
    assert candidates(OPTIONS, "strict", "open") == ()


@pytest.mark.parametrize("extractor", ["strict", "official", "judge"])
def test_a_question_without_options_has_no_choice(verdicts: VerdictStore, extractor: str) -> None:
    free = [Asked("Describe it.", {}, reply) for reply in ("It is sharp.", "A", "A: no grain. B:")]
    readings = ReplyReader(ScriptedJudge({}), verdicts).read(free, extractor, "letter", _nothing)
    assert [reading.choice for reading in readings] == [None] * 3


def test_one_reply_that_the_judge_fails_at_does_not_keep_the_others_from_it(verdicts: VerdictStore) -> None:
    replies = [f"{RAMBLING} {i}" for i in range(200)]
    said: dict[str, str | MedqError | None] = dict.fromkeys(replies, "B")
    said[replies[0]] = Unavailable("The judge gave no verdict.")
    readings = ReplyReader(ScriptedJudge(said), verdicts).read(_asked(*replies), "judge", "letter", _nothing)
    assert [reading.choice for reading in readings] == [None, *["B"] * 199]
    assert [reading.failure is not None for reading in readings] == [True, *[False] * 199]
