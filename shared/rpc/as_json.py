"""Messages as JSON: one rule for `medq --json` and the REST API, so that both show the same fields under the names of the proto.

It is the JSON mapping of protobuf: 64-bit whole numbers are texts, moments are RFC 3339. What is not set is left out, what is
empty stands there.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def to_json(message: Message) -> dict[str, Any]:
    """A message as what JSON knows."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found
