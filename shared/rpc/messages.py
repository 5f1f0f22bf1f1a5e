"""What a message may be, whatever its method: it can be read, its lists and texts are bounded, no text holds NUL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

from google.protobuf.message import DecodeError, Message

from shared.errors import InvalidArgument

#: Most values of a repeated field or a map: as many ids as an answer of 4 MiB can name.
MOST_VALUES = 20_000
#: Longest text of a field that stands not below, in characters: a path, a key, a URI.
MOST_CHARACTERS = 4096
#: Longest id or name, whatever the message: tables have indices on them.
NAMES = dict.fromkeys(
    (
        "operation_id",
        "run_id",
        "arm",
        "image_id",
        "image_ids",
        "split",
        "modality",
        "id_prefix",
        "page_token",
        "encoder",
        "encoder_id",
        "task_id",
        "task_ids",
        "reviewer",
        "judge",
    ),
    200,
)
#: Message and field to its longest text, in characters.
LONG_TEXTS = {
    "ValidateRunRequest.config_yaml": 256 * 1024,
    "StartRunRequest.config_yaml": 256 * 1024,
    "EstimateRunRequest.config_yaml": 256 * 1024,
    "StoredReply.options": 2_000,
    "StoredReply.answer": 2_000,
    "StoredReply.prediction": 100_000,
    "DecideTaskRequest.answer": 20_000,
    "ReopenTaskRequest.reason": 2_000,
    "EmbedTextsRequest.texts": 100_000,  # a question, five options and an answer, each as long as a benchmark may have it
}


def read_message(raw: bytes, deserialize: Callable[[bytes], Any] | None) -> Any:
    """The message that came over the wire.

    Args:
        raw: Its bytes.
        deserialize: Reads them; None where the handler does.

    Raises:
        InvalidArgument: They are not such a message, a list in it is too long, or a text is, or holds NUL.
    """
    if deserialize is None:
        return raw
    try:
        message = deserialize(raw)
    except DecodeError:
        raise InvalidArgument(
            "The message cannot be read.", remedy="Use a client that is made from the protos of this release."
        ) from None
    if isinstance(message, Message):
        _check(message, "")
    return message


def _check(message: Message, prefix: str) -> None:
    for field, value in message.ListFields():
        name, place = f"{prefix}{field.name}", f"{message.DESCRIPTOR.name}.{field.name}"
        if field.enum_type is not None and value not in field.enum_type.values_by_number:
            raise InvalidArgument("There is no such value.", field=name, value=value, remedy="Use one of the proto.")
        for part in _parts(name, value):
            if isinstance(part, str):
                _check_text(name, place, part)
            elif isinstance(part, Message):
                _check(part, f"{name}.")


def _parts(name: str, value: Any) -> Iterable[Any]:
    """What may hold text in a field, be it a value, a list or a map."""
    if isinstance(value, str | Message):
        return (value,)
    if not isinstance(value, Collection):
        return ()
    if len(value) > MOST_VALUES:
        raise InvalidArgument(
            "There are too many values.", field=name, value=len(value), remedy=f"At most {MOST_VALUES} a call."
        )
    return chain(value.keys(), value.values()) if isinstance(value, Mapping) else value


def _check_text(name: str, place: str, text: str) -> None:
    most = LONG_TEXTS.get(place) or NAMES.get(name, MOST_CHARACTERS)
    if len(text) > most:
        raise InvalidArgument(
            "The text is too long.", field=name, value=f"{len(text)} characters", remedy=f"At most {most} characters."
        )
    if "\0" in text:
        raise InvalidArgument("A text holds the character NUL.", field=name, remedy="Leave it out.")
