"""Decides of each call whether it may happen, before anything of it does, and notes what was refused and what changes something.

Streams are decided when they begin. Health is open; without any auth setting no interceptor is there and everything is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from shared.errors import MedqError, PermissionDenied
from shared.logs import get_audit_logger
from shared.operations import ID
from shared.rpc.callers import Authenticator
from shared.rpc.input_names import remember_caller
from shared.rpc.interceptors import Interceptor, rewrapped
from shared.rpc.rights import OPEN_SERVICES, Caller, is_audited, roles_of
from shared.settings import AuthSection

_IDS = ("operation_id", "run_id")


def authorization_interceptors(service: str, auth: AuthSection) -> list[AuthorizationInterceptor]:
    """What a server needs to know its callers; nothing where no setting names any.

    Raises:
        InvalidArgument: Settings that do not go together.
        FailedPrecondition: A file cannot be read or is not of the form.
    """
    if not (auth.tokens_file or auth.oidc_issuer or auth.jwks_file):
        return []
    return [AuthorizationInterceptor(service, Authenticator(auth))]


class AuthorizationInterceptor(Interceptor):
    """Lets a call through whose caller has a role that may call the method.

    Args:
        service: For the audit log.
        authenticator: Finds out who calls.
    """

    def __init__(self, service: str, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._audit = get_audit_logger(service)

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the handler of a method; an unknown method stays as it is."""
        handler, method = continuation(handler_call_details), handler_call_details.method
        if handler is None or method.split("/")[1] in OPEN_SERVICES:
            return handler

        def guarded(inner: Callable[..., Any]) -> Callable[..., Any]:
            def call(request: Any, context: grpc.ServicerContext) -> Any:
                self._admit(method, request, context)
                return inner(request, context)

            return call

        return rewrapped(handler, guarded, guarded)

    def _admit(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        caller: Caller | None = None
        try:
            names: Any = context.auth_context().get("x509_common_name", [])  # a list, whatever the stubs say
            caller = self._authenticator.identify(context.invocation_metadata(), names)
            _check(caller, method)
            remember_caller(context, caller)
        except MedqError as error:
            self._note(caller, method, request, context, decision="denied", reason=error.reason, why=error.message)
            raise
        if is_audited(method):
            self._note(caller, method, request, context, decision="allowed")

    def _note(
        self, caller: Caller | None, method: str, request: Any, context: grpc.ServicerContext, **decided: str
    ) -> None:
        who = {"caller": caller.name, "known_by": caller.known_by} if caller else {"caller": ""}
        self._audit.info("call", method=method, peer=context.peer(), **who, **_ids(request), **decided)


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


def _ids(request: Any) -> dict[str, str]:
    """The ids that a request names, where they are of the form: no other field of it reaches the log."""
    if not isinstance(request, Message):
        return {}
    named = {name: str(getattr(request, name, "")) for name in _IDS}
    return {name: value for name, value in named.items() if ID.fullmatch(value)}
