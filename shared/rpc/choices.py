"""The names under which people choose a value of a proto enum, derived from the proto."""

from __future__ import annotations

import re
from collections.abc import Mapping

from google.protobuf.descriptor import EnumDescriptor

from shared.errors import InvalidArgument


def choices(enum: EnumDescriptor) -> Mapping[str, int]:
    """Name to number of the values of an enum, the unspecified one left out.

    Args:
        enum: Such as `pb.Strategy.DESCRIPTOR`, whose `STRATEGY_FAILURE_DRIVEN` is `failure_driven`.
    """
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


def name_of(enum: EnumDescriptor, number: int, unspecified: str) -> str:
    """The name of a value, the reverse of `choices`; 0 is what is taken where none was chosen.

    Raises: InvalidArgument: it has no such value; a newer client may know one.
    """
    if not number:
        return unspecified
    names = {value: name for name, value in choices(enum).items()}
    if number not in names:
        raise InvalidArgument(
            "There is no such value.",
            field=enum.name,
            value=number,
            remedy=f"Choose one of {', '.join(names.values())}.",
        )
    return names[number]
