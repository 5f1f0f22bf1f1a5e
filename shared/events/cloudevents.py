"""Events as CloudEvents 1.0 in binary mode, as the Kafka protocol binding has it: attributes in headers, the
message as the value.

Source: CloudEvents 1.0.2, its Kafka binding, and its extension `partitionkey`.
Attributes without a value are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.errors import InvalidArgument
from shared.events.bus import Event

CONTENT_TYPE = "application/protobuf"
_SPECIFICATION_VERSION = "1.0"
_PREFIX = "ce_"
# Header -> field of `Event`, of the attributes that are plain text.
_TEXTS = {
    "ce_id": "id",
    "ce_type": "type",
    "ce_source": "source",
    "ce_partitionkey": "key",
    "ce_runid": "run_id",
    "ce_operationid": "operation_id",
    "ce_correlationid": "correlation_id",
    "ce_causationid": "causation_id",
}
_OWN_HEADERS = {*_TEXTS, "ce_specversion", "ce_time", "ce_round", "ce_sequence"}


def encode(event: Event) -> dict[str, str]:
    """The headers of an event; its value is `event.data`, its record key `event.key`.

    Raises:
        InvalidArgument: an extension attribute has the name of one of the event's own.
    """
    headers = {header: str(getattr(event, name)) for header, name in _TEXTS.items() if getattr(event, name)}
    headers |= {
        "ce_specversion": _SPECIFICATION_VERSION,
        "ce_time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "ce_round": str(event.round),
        "ce_sequence": str(event.sequence),
        "content-type": CONTENT_TYPE,
    }
    for name, text in event.attributes.items():
        if _PREFIX + name in _OWN_HEADERS:
            raise InvalidArgument("The attribute is one of the event's own.", field="attributes", value=name)
        if text:
            headers[_PREFIX + name] = text
    return headers


def decode(headers: Mapping[str, str], data: bytes) -> Event:
    """The event of these headers and this value; unknown `ce_` headers become its `attributes`.

    Raises:
        InvalidArgument: a required header is missing, the version or the content type is another one, or a
            value is malformed.
    """
    version, content_type = headers.get("ce_specversion"), headers.get("content-type", CONTENT_TYPE)
    if version != _SPECIFICATION_VERSION:
        raise InvalidArgument("Not a CloudEvent of version 1.0.", field="ce_specversion", value=version)
    if content_type != CONTENT_TYPE:
        raise InvalidArgument("Not a protobuf message.", field="content-type", value=content_type)
    texts = {name: headers.get(header, "") for header, name in _TEXTS.items()}
    others = {name.removeprefix(_PREFIX): text for name, text in headers.items() if name.startswith(_PREFIX)}
    own = {name.removeprefix(_PREFIX) for name in _OWN_HEADERS}
    try:
        return Event(
            **texts,
            data=data,
            time=datetime.fromisoformat(headers.get("ce_time", "")),
            round=int(headers.get("ce_round", "0")),
            sequence=int(headers.get("ce_sequence", "0")),
            attributes={name: text for name, text in others.items() if name not in own},
        )
    except ValueError as error:
        raise InvalidArgument(f"A malformed header: {error}", field="headers") from None
