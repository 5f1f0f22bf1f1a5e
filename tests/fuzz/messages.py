"""Random protobuf messages, made from descriptors alone; and valid ones with some fields changed.

A text is drawn by the name of its field, so that a URI often is one of an object that exists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.mutations import Rng, below

Names = Mapping[str, Sequence[str]]
_INTEGERS = (
    0,
    1,
    2,
    7,
    100,
    1000,
    65_536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -1,
    -(2**31),
)
_FLOATS = (0.0, 1.0, 0.5, -1.0, 1e-320, 1e308, math.inf, -math.inf, math.nan, 3.0, 100.0, 1e-9)
#: Whole numbers of each kind of field, in bits; a negative number is one that the sign is kept of.
_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1), FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1), FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}  # fmt: skip
_TEXTS = (
    "", " ", "a", "A" * 300, "x" * 100_000, "\0", "a\0b", "é", "e\u0301", "\u202e", "\U0001f9e0", "a/b", "../..", "//[", "/",
    "file://[", "file:///", "file://elsewhere/a", "file:///%00", "sha256:", "sha256:" + "0" * 64, "sha256:" + "F" * 64,
    "%s%n{}", "'; DROP TABLE operations; --", "%", "_", "\\", "\n", "nan", "-1", "9" * 30, "0", "pool", "dev", "ct", "CT",
    "http://127.0.0.1:1/", "A", "\ufeff", "\x7f", "a\r\nb", "=1+1", "${HOME}", "{{7*7}}", "true",
)  # fmt: skip
_MOST_REPEATS = (0, 1, 1, 2, 3, 50, 2000)
_MOST_REPEATED = 50
_DEEPEST = 4


def random_message(descriptor: Descriptor, rng: Rng, names: Names, depth: int = 0) -> Message:
    """A message of which each field is set or not.

    Args:
        descriptor: Its type.
        rng: Decides.
        names: Texts that mean something, by the name or the end of the name of a field.
        depth: Messages around it.
    """
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if rng.random() < 0.7:
            set_field(message, field, rng, names, depth)
    return message


def changed_message(valid: Message, rng: Rng, names: Names) -> Message:
    """A copy of a valid message with one to three fields set anew, cleared or repeated."""
    message = type(valid)()
    message.CopyFrom(valid)
    for _ in range(int(rng.integers(1, 4))):
        place = message
        fields = place.DESCRIPTOR.fields
        if not fields:
            break
        field = fields[below(rng, len(fields))]
        while _is_single_message(field) and place.HasField(field.name) and rng.random() < 0.8:
            place = getattr(place, field.name)
            field = place.DESCRIPTOR.fields[below(rng, len(place.DESCRIPTOR.fields))]
        if rng.random() < 0.15:
            place.ClearField(field.name)
        elif field.is_repeated and rng.random() < 0.4 and not _is_map(field):
            values = list(getattr(place, field.name))[:_MOST_REPEATED]  # what was repeated may be repeated again
            getattr(place, field.name).extend(values * _MOST_REPEATS[below(rng, len(_MOST_REPEATS))])
        else:
            set_field(place, field, rng, names, 1)
    return message


def set_field(message: Message, field: FieldDescriptor, rng: Rng, names: Names, depth: int) -> None:
    """Give a field another value."""
    message.ClearField(field.name)
    if _is_map(field):
        entry = field.message_type.fields_by_name
        for _ in range(below(rng, 8)):
            key = _value(entry["key"], rng, names)
            getattr(message, field.name)[key] = _value(entry["value"], rng, names)
    elif field.is_repeated:
        target = getattr(message, field.name)
        n = _MOST_REPEATS[below(rng, len(_MOST_REPEATS))]
        if field.message_type is not None:
            n = min(n, 50)
            target.extend(random_message(field.message_type, rng, names, depth + 1) for _ in range(n))
        else:
            first = [_value(field, rng, names) for _ in range(min(n, 3))]
            first = [value for value in first if not isinstance(value, str) or len(value) * n < 2**20]
            target.extend((first * n)[:n])
    elif field.message_type is not None:
        if depth < _DEEPEST:
            getattr(message, field.name).CopyFrom(random_message(field.message_type, rng, names, depth + 1))
    else:
        setattr(message, field.name, _value(field, rng, names))


def _value(field: FieldDescriptor, rng: Rng, names: Names) -> Any:
    make: Callable[[FieldDescriptor, Rng, Names], Any] = _MAKERS.get(field.cpp_type, _integer)
    return make(field, rng, names)


def _text(field: FieldDescriptor, rng: Rng, names: Names) -> str | bytes:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.bytes(below(rng, 200))
    known = next((texts for end, texts in names.items() if field.name.endswith(end)), ())
    if known and rng.random() < 0.75:
        return known[below(rng, len(known))]
    return _TEXTS[below(rng, len(_TEXTS))]


def _integer(field: FieldDescriptor, rng: Rng, names: Names) -> int:
    low, high = _BITS[field.cpp_type]
    return min(max(_INTEGERS[below(rng, len(_INTEGERS))], low), high)


def _float(field: FieldDescriptor, rng: Rng, names: Names) -> float:
    return _FLOATS[below(rng, len(_FLOATS))]


def _enum(field: FieldDescriptor, rng: Rng, names: Names) -> int:
    known = field.enum_type.values
    return (-1, 99, 2**31 - 1)[below(rng, 3)] if rng.random() < 0.2 else known[below(rng, len(known))].number


_MAKERS: dict[int, Callable[[FieldDescriptor, Rng, Names], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: _text,
    FieldDescriptor.CPPTYPE_DOUBLE: _float,
    FieldDescriptor.CPPTYPE_FLOAT: _float,
    FieldDescriptor.CPPTYPE_BOOL: lambda field, rng, names: bool(rng.random() < 0.5),
    FieldDescriptor.CPPTYPE_ENUM: _enum,
}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_single_message(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.is_repeated
