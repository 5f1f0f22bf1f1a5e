"""What a servicer checks in a request before an operation is noted: typed errors that name the field and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc

from shared.errors import Cancelled, InvalidArgument
from shared.events.bus import LARGEST_INTEGER
from shared.limits import OPERATION_ID_FORM
from shared.objects.store import digest_of
from shared.operations import ID

#: Most datasets, or files of one, that a request may name in a list.
MOST_NAMED = 1000

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


def require_different(field: str, values: Sequence[str], most: int = MOST_NAMED) -> None:
    """Refuse what stands twice, and more values than `most`.

    Raises:
        InvalidArgument: One is repeated, or there are too many.
    """
    if len(values) > most:
        raise InvalidArgument("There are too many values.", field=field, value=len(values), remedy=f"At most {most}.")
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidArgument("A value stands twice.", field=field, value=value, remedy="Name each once.")
        seen.add(value)


def require_uris(field: str, uris: Sequence[str], *, least: int = 0) -> None:
    """Refuse a list that is not one of different URIs of objects, at most `MOST_NAMED` of them.

    Raises:
        InvalidArgument: It has fewer than `least`, too many, one twice, or one that is no URI.
    """
    if len(uris) < least:
        raise InvalidArgument("At least one is needed.", field=field, remedy="Name a dataset.")
    require_different(field, uris)
    for uri in uris:
        require_uri(field, uri)


def require_prefix(field: str, prefix: str) -> None:
    """Refuse what no id begins with.

    Raises:
        InvalidArgument: It is not empty and not of the form of an id.
    """
    if prefix and not ID.fullmatch(prefix):
        raise InvalidArgument("No id begins like this.", field=field, value=prefix, remedy=OPERATION_ID_FORM)


def require_caller(context: grpc.ServicerContext) -> None:
    """Stop the work of a call that nobody waits for any more; asked between its pieces.

    Raises:
        Cancelled: The caller has gone, or the call has taken all of its time.
    """
    if not context.is_active():
        raise Cancelled("Nobody waits for this answer.")


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
