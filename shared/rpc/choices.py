"""The names under which people choose a value of a proto enum, derived from the proto."""

from __future__ import annotations

import re
from collections.abc import Mapping

from google.protobuf.descriptor import EnumDescriptor


def choices(enum: EnumDescriptor) -> Mapping[str, int]:
    """Name to number of the values of an enum, the unspecified one left out.

    Args:
        enum: Such as `pb.Strategy.DESCRIPTOR`, whose `STRATEGY_FAILURE_DRIVEN` is `failure_driven`.
    """
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}
