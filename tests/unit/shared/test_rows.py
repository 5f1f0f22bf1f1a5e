"""The rows of datasets as a contract: what is written can be read, for ever; what breaks it is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from infra.row_examples import EXAMPLES
from infra.row_schemas import SCHEMAS, all_breaks, breaks, schema_of, schemas
from shared.errors import InvalidArgument
from shared.rows.annotation import Generation
from shared.rows.benchmark import Item
from shared.rows.encoding import from_json, from_lines, lines_of, to_json
from shared.rows.evaluation import Answer
from shared.rows.fields import Row
from shared.rows.images import Input
from shared.rows.kinds import KINDS, place_of, row_type
from shared.rows.training import Conversation, Lineage
from shared.settings import SERVICES
from tests.support.rows import build

TYPES = sorted(EXAMPLES, key=lambda row: row.__name__)


def test_every_row_of_every_kind_has_an_example() -> None:
    described = {file.content for kind in KINDS.values() for file in kind.files.values()}
    assert {content for content in described if not isinstance(content, str)} == set(TYPES)


def test_every_kind_names_services_as_writers_and_readers() -> None:
    known = {*SERVICES, "cli"}
    for kind in KINDS.values():
        assert {kind.writer, *(reader for file in kind.files.values() for reader in file.readers)} <= known


@pytest.mark.parametrize("row", TYPES)
def test_a_row_comes_back_as_it_was_written(row: type[Row]) -> None:
    line = to_json(EXAMPLES[row])
    assert from_json(line.encode(), row, "x") == EXAMPLES[row]
    assert list(from_lines([line.encode(), b"\n"], row, "x")) == [EXAMPLES[row]]
    keys = list(json.loads(line))
    assert keys == sorted(keys)


@pytest.mark.parametrize("row", TYPES)
def test_what_is_written_fits_the_published_schema(row: type[Row]) -> None:
    schema = schema_of(row, *place_of(row))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(EXAMPLES[row])), schema)


@pytest.mark.parametrize("row", TYPES)
def test_a_field_that_a_later_release_adds_is_passed_over(row: type[Row]) -> None:
    later = json.loads(to_json(EXAMPLES[row])) | {"added_later": 1}
    assert from_json(json.dumps(later).encode(), row, "x") == EXAMPLES[row]


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        (build(Item, image_id="short"), "image_id"),
        (build(Item, question=""), "question"),
        (build(Answer, round=-1), "round"),
        (build(Input, status="lost"), "status"),  # type: ignore[arg-type]
        (build(Answer, tokens=None), "tokens"),
    ],
)
def test_what_no_reader_would_take_is_not_written(row: Row, changed: str) -> None:
    with pytest.raises(InvalidArgument, match=changed):
        to_json(row)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_not_written(number: float) -> None:
    with pytest.raises(InvalidArgument, match="not finite"):
        to_json(build(Generation, token_logprobs=(number,)))


def test_what_is_not_json_is_named_by_its_line() -> None:
    lines = [to_json(build(Input)).encode(), b"{", b"\xff"]
    with pytest.raises(InvalidArgument, match=r"Line 2 of report\.jsonl .*not JSON"):
        list(from_lines(lines, Input, "report.jsonl"))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_are_the_same_however_a_file_is_cut(size: int) -> None:
    content = b"one\n\na longer line\n\nlast"
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    assert list(lines_of(pieces)) == content.split(b"\n")


def test_a_conversation_has_the_keys_of_sharegpt() -> None:
    turns = json.loads(to_json(build(Conversation)))["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt"]


def test_an_optional_field_is_left_out_where_it_says_nothing() -> None:
    assert "item_id" not in json.loads(to_json(build(Lineage)))


def test_rows_of_no_described_file_have_no_type() -> None:
    assert row_type("image-set", "vectors.npy") is None
    assert row_type("holidays", "images.jsonl") is None


def test_the_same_schema_breaks_nothing() -> None:
    assert all_breaks(SCHEMAS) == []


def _changed(**more: Any) -> Any:
    """The schema of items, to be broken."""
    return copy.deepcopy(schema_of(Item, "benchmark", "items.jsonl")) | more


def test_an_added_optional_field_and_another_wording_break_nothing() -> None:
    new = _changed(title="Other words")
    new["$defs"]["Item"]["properties"]["difficulty"] = {"type": "integer", "default": 0}
    new["$defs"]["Item"]["description"] = "Other words."
    assert breaks(_changed(), new) == []


def test_a_removed_field_breaks() -> None:
    new = _changed()
    del new["$defs"]["Item"]["properties"]["severity"]
    new["$defs"]["Item"]["required"].remove("severity")
    assert breaks(_changed(), new) == [
        "/$defs/Item/properties/severity: removed",
        "/$defs/Item/severity: no longer required",
    ]


def test_a_retyped_field_breaks() -> None:
    new = _changed()
    new["$defs"]["Item"]["properties"]["severity"] = {"type": "integer"}
    assert any("severity/type" in line for line in breaks(_changed(), new))


def test_a_narrower_field_breaks() -> None:
    new = _changed()
    new["$defs"]["Item"]["properties"]["severity"]["maxLength"] = 3
    assert breaks(_changed(), new) == ["/$defs/Item/properties/severity/maxLength: 3 was added"]


def test_a_newly_required_field_breaks() -> None:
    new = _changed()
    new["$defs"]["Item"]["properties"]["difficulty"] = {"type": "integer"}
    new["$defs"]["Item"]["required"].append("difficulty")
    assert breaks(_changed(), new) == ["/$defs/Item/difficulty: newly required"]


def test_a_file_or_kind_that_is_gone_breaks(tmp_path: Path) -> None:
    for name in ("image-set/v1/gone.jsonl", "gone/v1/rows.jsonl", "image-set/v9/images.jsonl"):
        path = tmp_path / f"{name}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert [line.rsplit(": ", 1)[1] for line in all_breaks(tmp_path)] == [
        "the kind was removed",
        "the file was removed",
        "its version is above that of the code",
    ]


def test_a_schema_of_an_earlier_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "image-set" / "v0" / "images.jsonl.schema.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert all_breaks(tmp_path) == []


def test_every_described_file_has_a_committed_schema() -> None:
    assert {path.relative_to(SCHEMAS) for path in SCHEMAS.rglob("*.json")} >= set(schemas())


#: Lines as release 0.1 wrote them. They stay readable within their version: never edit one, add those of later releases.
GOLDEN = Path(__file__).parents[2] / "data" / "rows"


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json*")), ids=lambda path: "/".join(path.parts[-3:]))
def test_rows_of_released_versions_are_still_read_whole(path: Path) -> None:
    kind, version, name = path.parts[-3:]
    if int(version.removeprefix("v")) < KINDS[kind].files[name].since:
        pytest.skip("the file says something else since then, and is refused")
    row = row_type(kind, name)
    assert row is not None
    for line in path.read_bytes().splitlines():
        read = json.loads(to_json(from_json(line, row, name)))
        assert read | json.loads(line) == read
