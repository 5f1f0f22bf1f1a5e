import pytest

from services.training.domain.conversations import Sample, parse_row
from shared.errors import InvalidArgument


def _row(**changes: object) -> dict[str, object]:
    turns = [{"from": "human", "value": "<image>\nIs it sharp?"}, {"from": "gpt", "value": "B"}]
    return {"id": "s1", "image": "images/a.png", "conversations": turns} | changes


def test_row_becomes_question_and_answer_without_placeholder() -> None:
    assert parse_row(_row(), 1) == Sample("s1", "images/a.png", "Is it sharp?", "B")


def test_list_of_one_image_is_read() -> None:
    row = _row(images=["b.png"])
    del row["image"]
    assert parse_row(row, 1).image == "b.png"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"images": ["a.png", "b.png"]},
        {"conversations": "text"},
        {"conversations": [{"from": "human", "value": "<image> a"}]},
        {"conversations": [{"from": "human", "value": "no picture"}, {"from": "gpt", "value": "B"}]},
        {"conversations": [{"from": "human", "value": "<image> a"}, {"from": "gpt", "value": " "}]},
    ],
)
def test_other_shapes_are_invalid_and_name_the_line(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match="Line 7 ") as caught:
        parse_row(_row(**changes), 7)
    assert caught.value.remedy
