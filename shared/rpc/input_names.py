"""Keeps the names of inputs from those who only look: a file's name may be a patient's (`shared.rows.kinds.names_inputs`)."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from shared.errors import PermissionDenied
from shared.rows.kinds import names_inputs
from shared.rpc.rights import NAMES_READERS, Caller

_CALLER = "medq_caller"


def remember_caller(context: grpc.ServicerContext, caller: Caller) -> None:
    """Note with a call who makes it."""
    setattr(context, _CALLER, caller)


def caller_of(context: grpc.ServicerContext) -> Caller | None:
    """Who makes a call; None where callers are not known."""
    return getattr(context, _CALLER, None)


def require_right_to_names(context: grpc.ServicerContext, kind: str, names: Iterable[str]) -> None:
    """Refuse files of a dataset that name inputs to a caller who may not have them; without callers everybody may.

    Raises:
        PermissionDenied: One of the files names inputs, and the caller has none of the roles that may read it.
    """
    caller = caller_of(context)
    if caller is None or caller.roles & NAMES_READERS:
        return
    refused = sorted(name for name in names if names_inputs(kind, name))
    if refused:
        raise PermissionDenied(
            "The file says how inputs are named, and a name may be a patient's.",
            field="file_names",
            value=refused[0],
            remedy=f"Name the other files; this one needs one of the roles {', '.join(sorted(NAMES_READERS))}.",
        )
