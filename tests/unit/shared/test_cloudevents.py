from datetime import UTC, datetime

import pytest

from shared.errors import InvalidArgument
from shared.events.bus import Event, event_id
from shared.events.cloudevents import decode, encode

TYPE = "medq.embedding.image-ingested.v1"
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = Event(id="1", type=TYPE, source="medq/embedding", key="image", data=b"m", time=TIME, run_id="run", round=2)


def test_the_headers_are_those_of_cloudevents_binary_mode() -> None:
    assert encode(EVENT) == {
        "ce_id": "1",
        "ce_type": TYPE,
        "ce_source": "medq/embedding",
        "ce_specversion": "1.0",
        "ce_time": "2026-01-02T03:04:05Z",
        "ce_partitionkey": "image",
        "ce_runid": "run",
        "ce_round": "2",
        "ce_sequence": "0",
        "content-type": "application/protobuf",
    }


def test_a_decoded_event_is_the_encoded_one() -> None:
    assert decode(encode(EVENT), b"m") == EVENT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce_specversion", "0.3"),
        ("ce_id", ""),
        ("ce_time", "yesterday"),
        ("ce_time", "2026-01-02T03:04:05"),
        ("ce_round", "two"),
        ("ce_type", "medq.embedding.ingest.v1"),
        ("content-type", "application/json"),
    ],
)
def test_malformed_headers_are_invalid(header: str, value: str) -> None:
    with pytest.raises(InvalidArgument):
        decode(encode(EVENT) | {header: value}, b"m")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "medq.embedding.ingested.v1"},
        {"type": "medq.embedding.image-ingested"},
        {"id": ""},
        {"source": ""},
        {"round": -1},
        {"sequence": 2**31},
        {"time": datetime(2026, 1, 1)},
        {"attributes": {"Trace-Parent": "x"}},
    ],
)
def test_an_event_that_could_not_travel_is_invalid(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Event(**(vars(EVENT) | changes))
    assert caught.value.field == next(iter(changes))


def test_an_extension_may_not_pass_for_an_attribute_of_the_event() -> None:
    with pytest.raises(InvalidArgument, match="own"):
        encode(Event(**(vars(EVENT) | {"attributes": {"runid": "another"}})))


def test_event_ids_differ_when_their_parts_do() -> None:
    assert event_id("a", 1) == event_id("a", "1") != event_id("a1")
    assert len({event_id("a", "b"), event_id("ab", ""), event_id("b", "a"), event_id("a\0b")}) == 4
