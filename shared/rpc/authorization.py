"""Decides of each call whether it may happen, before anything of it does, and notes what was refused and what changes something.

Streams are decided when they begin. Health is open; without any auth setting nothing is decided and everything is allowed.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import Message

from medq.operations.v1.operations_pb2 import DownloadDatasetRequest
from shared.errors import MedqError, PermissionDenied
from shared.logs import get_audit_logger
from shared.objects.store import SCHEME
from shared.operations import ID
from shared.rpc.callers import Authenticator
from shared.rpc.input_names import remember_caller
from shared.rpc.rights import OPEN_SERVICES, Caller, is_audited, roles_of
from shared.settings import AuthSection

_DIGEST = "[0-9a-f]{64}"
_URI = re.compile(SCHEME + _DIGEST)
_FORMS = {
    "operation_id": ID,
    "run_id": ID,
    "task_id": re.compile("[0-9a-f]{32}"),
    "image_id": re.compile(_DIGEST),
    "uri": _URI,
    "image_uri": _URI,
}


def authorization(service: str, auth: AuthSection) -> Authorization | None:
    """What a server needs to know its callers; None where no setting names any.

    Raises:
        InvalidArgument: Settings that do not go together.
        FailedPrecondition: A file cannot be read or is not of the form.
    """
    if not (auth.tokens_file or auth.oidc_issuer or auth.jwks_file):
        return None
    return Authorization(service, Authenticator(auth))


class Authorization:
    """Lets a call through whose caller has a role that may call the method.

    Args:
        service: For the audit log.
        authenticator: Finds out who calls.
    """

    def __init__(self, service: str, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._audit = get_audit_logger(service)

    def admit(self, method: str, context: grpc.ServicerContext) -> Caller | None:
        """Who calls, before anything of the call's message is read; None where everybody may.

        Raises:
            Unauthenticated, PermissionDenied, Unavailable: The call may not happen.
        """
        if method.split("/")[1] in OPEN_SERVICES:
            return None
        caller: Caller | None = None
        try:
            names: Any = context.auth_context().get("x509_common_name", [])  # a list, whatever the stubs say
            caller = self._authenticator.identify(context.invocation_metadata(), names)
            _check(caller, method)
            remember_caller(context, caller)
        except MedqError as error:
            self._note(caller, method, None, context, decision="denied", reason=error.reason, why=error.message)
            raise
        return caller

    def note_allowed(self, caller: Caller, method: str, request: Any, context: grpc.ServicerContext) -> None:
        """Note a call that changes something or gives data away, and what it names."""
        if is_audited(method):
            self._note(caller, method, request, context, decision="allowed")

    def _note(
        self, caller: Caller | None, method: str, request: Any, context: grpc.ServicerContext, **decided: str
    ) -> None:
        who = {"caller": caller.name, "known_by": caller.known_by} if caller else {"caller": ""}
        self._audit.info("call", method=method, peer=context.peer(), **who, **named(request), **decided)


def _check(caller: Caller, method: str) -> None:
    """Refuse a caller without the right.

    Raises:
        PermissionDenied: None of its roles may call the method.
    """
    allowed = roles_of(method)
    if not caller.roles & allowed:
        raise PermissionDenied(
            "The caller has no right to this call.",
            field="method",
            value=method,
            remedy=f"It needs one of the roles {', '.join(sorted(allowed))}."
            if allowed
            else "Nobody may call it: it has no row in the table of rights.",
        )


def named(request: Any) -> dict[str, str | int]:
    """What a request names, ids, a dataset, an image, where it is of the form; no other field of it reaches the log."""
    if not isinstance(request, Message):
        return {}
    texts = {name: str(getattr(request, name, "")) for name in _FORMS}
    found: dict[str, str | int] = {name: text for name, text in texts.items() if _FORMS[name].fullmatch(text)}
    if isinstance(request, DownloadDatasetRequest):
        found["n_files"] = len(request.file_names)  # 0: all
    return found
