"""What a servicer checks in a request before an operation is noted: typed errors that name the field and the remedy."""

from __future__ import annotations

import re

from shared.errors import InvalidArgument
from shared.events.bus import LARGEST_INTEGER
from shared.objects.store import digest_of

_PAGE_TOKEN = re.compile(r"[0-9]{0,18}")  # a 64-bit number


def require_uri(field: str, uri: str) -> None:
    """Refuse what is not the URI of an object.

    Raises:
        InvalidArgument: The URI is empty or not `sha256:` and 64 lower-case hex digits.
    """
    try:
        digest_of(uri)
    except InvalidArgument as error:
        raise InvalidArgument(error.message, field=field, value=uri, remedy=error.remedy) from None


def require_between(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside `low..high`, ends included; NaN is outside.

    Raises:
        InvalidArgument: It is outside.
    """
    if not low <= value <= high:
        raise InvalidArgument(
            "The number is out of range.", field=field, value=value, remedy=f"Choose {low:g}..{high:g}."
        )


def require_round(number: int) -> None:
    """Refuse a round that an event could not carry.

    Raises:
        InvalidArgument: It is above 2**31 - 1.
    """
    require_between("round", number, 0, LARGEST_INTEGER)


def require_text(field: str, value: str) -> None:
    """Refuse an empty text.

    Raises:
        InvalidArgument: It is empty.
    """
    if not value:
        raise InvalidArgument("The field must be set.", field=field, remedy="Name it.")


def read_page_token(token: str) -> int | None:
    """The sequence number that a page token names; None where there is none.

    Raises:
        InvalidArgument: No service has given out such a token.
    """
    if not _PAGE_TOKEN.fullmatch(token):
        raise InvalidArgument(
            "Not a page token of this service.",
            field="page_token",
            value=token,
            remedy="Pass next_page_token of the page before, or nothing.",
        )
    return int(token) if token else None
