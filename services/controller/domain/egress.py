"""What a row of the audit of egress may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.chat.egress import PURPOSES
from shared.errors import InvalidArgument
from shared.limits import NAME

#: Most rows of a request, and the largest thing that leaves, in bytes.
MOST_ROWS, MOST_BYTES = 1000, 2**40
_FORMS = {
    "endpoint": NAME,
    "host": r"[!-~]{1,300}",
    "model": r"(?s:.{1,200})",
    "purpose": "|".join(PURPOSES),
    "key": r"(?s:.{1,300})",
    "image_id": "([0-9a-f]{64})?",
    "text_sha256": "[0-9a-f]{64}",
}


@dataclass(frozen=True)
class Leaving:
    """One thing that is about to leave: as `shared.chat.egress.Egress`, and the key of the call that it belongs to."""

    endpoint: str
    host: str
    model: str
    purpose: str
    key: str
    image_id: str
    text_sha256: str
    n_bytes: int


def require_valid(rows: Sequence[Leaving]) -> None:
    """Check rows that came from outside.

    Raises:
        InvalidArgument: There are none or too many, or one has not the form.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise InvalidArgument(
            "Too few or too many rows.", field="egress", value=len(rows), remedy=f"Send 1 to {MOST_ROWS}."
        )
    for row in rows:
        for name, form in _FORMS.items():
            value = getattr(row, name)
            if not re.fullmatch(form, value):
                raise InvalidArgument(
                    "A row of the audit has not the form.",
                    field=f"egress.{name}",
                    value=value,
                    remedy="protos/medq/controller/v1/controller.proto says what it is.",
                )
        if row.n_bytes > MOST_BYTES:
            raise InvalidArgument(
                "A row of the audit is out of range.",
                field="egress.n_bytes",
                value=row.n_bytes,
                remedy=f"Choose 0..{MOST_BYTES}.",
            )
