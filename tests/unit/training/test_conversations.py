import json
from pathlib import Path

import pytest

from services.training.domain.conversations import Sample, sample_of
from services.training.job.sample_encoder import read_samples
from shared.errors import FailedPrecondition, InvalidArgument
from shared.rows.training import Conversation, Turn
from tests.support.rows import build


def _row(question: str = "<image>\nIs it sharp?", answer: str = "B", speaker: str = "gpt") -> Conversation:
    turns = (Turn(speaker="human", value=question), Turn(speaker=speaker, value=answer))  # type: ignore[arg-type]
    return build(Conversation, id="s1", images=("images/a.png",), conversations=turns)


def test_row_becomes_question_and_answer_without_placeholder() -> None:
    assert sample_of(_row()) == Sample("s1", "images/a.png", "Is it sharp?", "B")


@pytest.mark.parametrize("row", [_row(question="no picture"), _row(answer=" "), _row(speaker="human")])
def test_other_turns_are_invalid_and_name_the_row(row: Conversation) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sample_of(row)
    assert caught.value.value == "s1"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"images": ["a.png", "b.png"]},
        {"conversations": "text"},
        {"conversations": [{"from": "human", "value": "<image> a"}]},
        {"conversations": [{"from": "robot", "value": "<image> a"}, {"from": "gpt", "value": "B"}]},
    ],
)
def test_other_shapes_are_invalid_and_name_the_line(tmp_path: Path, changes: dict[str, object]) -> None:
    turns = [{"from": "human", "value": "<image>\nIs it sharp?"}, {"from": "gpt", "value": "B"}]
    good = {"id": "s1", "images": ["images/a.png"], "conversations": turns}
    path = tmp_path / "train.jsonl"
    path.write_text(f"{json.dumps(good)}\n\n{json.dumps(good | changes)}\n")
    with pytest.raises(InvalidArgument, match=r"Line 3 of train\.jsonl"):
        read_samples(path)


def test_a_file_without_a_row_is_nothing_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(FailedPrecondition, match="nothing to train on"):
        read_samples(tmp_path / "train.jsonl")
