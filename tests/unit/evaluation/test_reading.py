"""Ways of reading replies: rules, the likeliest of given replies, and a judge whose word is kept."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.evaluation.store import METADATA, VerdictStore
from services.evaluation.work.reading import Asked, ReplyReader, candidates
from shared.chat.messages import ChatReply, ChatRequest, Usage
from shared.errors import FailedPrecondition, MedqError, PermissionDenied, Unavailable

OPTIONS = {"A": "Noise", "B": "Motion", "C": "None"}
RAMBLING = "It looks as if the patient had breathed."


class ScriptedJudge:
    """A `JudgeCalls` that says what it was told to, and notes the replies that it was asked about."""

    model = "judge-1"

    def __init__(self, said: Mapping[str, str | MedqError | None]) -> None:
        self._said = said
        self.asked: list[str] = []

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        return {key: self._reply(request.text) for key, request in requests.items()}

    def _reply(self, text: str) -> ChatReply | MedqError:
        reply = json.loads(text.rpartition("\n\n")[2])["reply"]
        self.asked.append(reply)
        said = self._said[reply]
        if isinstance(said, PermissionDenied):
            raise said
        return said if isinstance(said, MedqError) else ChatReply(said or "Z", is_cut=False, usage=Usage())


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
    readings = ReplyReader(verdicts).read(_asked("A", RAMBLING, "", "  "), "judge", "letter", judge, _nothing)
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
        readings = ReplyReader(verdicts).read(_asked(RAMBLING, "I cannot say."), "judge", "letter", judge, _nothing)
        assert [one.choice for one in readings] == ["B", None]
    assert sorted(judge.asked) == ["I cannot say.", RAMBLING]


def test_the_verdict_of_another_judge_is_not_taken(verdicts: VerdictStore) -> None:
    ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", ScriptedJudge({RAMBLING: "B"}), _nothing)
    other = ScriptedJudge({RAMBLING: "A"})
    other.model = "judge-2"
    assert ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", other, _nothing)[0].choice == "A"


def test_a_judge_that_is_down_leaves_replies_unscored_and_is_asked_again_later(verdicts: VerdictStore) -> None:
    down = ScriptedJudge({RAMBLING: Unavailable("The model server does not answer.")})
    (reading,) = ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", down, _nothing)
    assert reading.choice is None
    assert isinstance(reading.failure, Unavailable)
    up = ScriptedJudge({RAMBLING: "B"})
    assert ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", up, _nothing)[0].choice == "B"


def test_a_judge_that_is_down_is_not_asked_about_every_reply(verdicts: VerdictStore) -> None:
    replies = [f"{RAMBLING} {i}" for i in range(200)]
    down = ScriptedJudge(dict.fromkeys(replies, Unavailable("The model server does not answer.")))
    readings = ReplyReader(verdicts).read(_asked(*replies), "judge", "letter", down, _nothing)
    assert all(reading.failure for reading in readings)
    assert len(down.asked) < len(replies)


def test_a_judge_that_refuses_us_ends_the_work(verdicts: VerdictStore) -> None:
    judge = ScriptedJudge({RAMBLING: PermissionDenied("The model server refused: 401.")})
    with pytest.raises(PermissionDenied):
        ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", judge, _nothing)


def test_a_judge_that_is_not_named_is_refused(verdicts: VerdictStore) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        ReplyReader(verdicts).read(_asked(RAMBLING), "judge", "letter", None, _nothing)
    assert "evaluate.judge" in caught.value.remedy


@pytest.mark.parametrize(("form", "expected"), [("letter", ("A", "B", "C")), ("open", ("Noise", "Motion", "None"))])
def test_the_likeliest_is_read_back_as_its_letter(verdicts: VerdictStore, form: str, expected: tuple[str, ...]) -> None:
    given = candidates(OPTIONS, "likelihood", form)  # type: ignore[arg-type]
    assert given == expected
    readings = ReplyReader(verdicts).read(_asked(*given, "Good"), "likelihood", form, None, _nothing)  # type: ignore[arg-type]
    assert [reading.choice for reading in readings] == ["A", "B", "C", None]


def test_other_ways_let_the_model_write_freely() -> None:
    assert candidates(OPTIONS, "strict", "open") == ()


@pytest.mark.parametrize("extractor", ["strict", "official", "judge"])
def test_a_question_without_options_has_no_choice(verdicts: VerdictStore, extractor: str) -> None:
    free = [Asked("Describe it.", {}, reply) for reply in ("It is sharp.", "A", "A: no grain. B:")]
    readings = ReplyReader(verdicts).read(free, extractor, "letter", ScriptedJudge({}), _nothing)
    assert [reading.choice for reading in readings] == [None] * 3


def test_one_reply_that_the_judge_fails_at_does_not_keep_the_others_from_it(verdicts: VerdictStore) -> None:
    replies = [f"{RAMBLING} {i}" for i in range(200)]
    said: dict[str, str | MedqError | None] = dict.fromkeys(replies, "B")
    said[replies[0]] = Unavailable("The judge gave no verdict.")
    readings = ReplyReader(verdicts).read(_asked(*replies), "judge", "letter", ScriptedJudge(said), _nothing)
    assert [reading.choice for reading in readings] == [None, *["B"] * 199]
    assert [reading.failure is not None for reading in readings] == [True, *[False] * 199]
