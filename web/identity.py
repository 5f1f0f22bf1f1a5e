"""Who is logged in: what a token or a cookie makes of a caller; `caller` is what every route but the login stands on."""

from __future__ import annotations

import secrets
import time
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from shared.errors import MedqError, Unauthenticated
from shared.logs import get_audit_logger
from shared.rpc.bearer import AUTHORIZATION, SCHEME
from shared.rpc.callers import Authenticator
from shared.rpc.channels import Channels
from shared.rpc.rights import Caller, Role
from web.calls import Services
from web.oidc import issuer_client
from web.pages import page
from web.protection import bearer_of, cookie_name
from web.sessions import Session, Sessions
from web.settings import WebSettings


class Logins:
    """Who may come in, and how.

    Args:
        settings: The issuer, the tokens, how long a login holds.
        sessions: Seals what a login gives.
        start_token: Where the services ask nobody: the token that was printed when the pages were started.
        owner: Where the services ask nobody: the name under which decisions stand.
    """

    def __init__(self, settings: WebSettings, sessions: Sessions, start_token: str, owner: str) -> None:
        self._settings = settings
        self._sessions = sessions
        self._start_token = start_token
        self._owner = owner
        self._audit = get_audit_logger("web")
        self._authenticator = Authenticator(settings.auth) if settings.knows_callers else None
        #: The services ask nobody, and one person may come in: by the token of this start.
        self.is_embedded = self._authenticator is None
        self.oidc = issuer_client(settings) if settings.login.client_id else None

    def caller_of(self, token: str) -> Caller:
        """Who has this token.

        Raises:
            Unauthenticated: Nobody.
        """
        if self._authenticator is not None:
            return self._authenticator.identify([(AUTHORIZATION, SCHEME + token)], ())
        if not secrets.compare_digest(token.encode(), self._start_token.encode()):
            raise Unauthenticated(
                "The token is not the one of this start.", remedy="It is printed where `medq serve` runs."
            )
        return Caller(self._owner, frozenset(Role), "start")

    def session_of(self, token: str, end: float | None = None) -> Session:
        """The session of a token.

        Args:
            token: As it was sent.
            end: When it ends, in seconds since 1970; None: it does not say so.

        Raises:
            Unauthenticated: Nobody has it.
        """
        return self._session(self.caller_of(token), token, end)

    def _session(self, caller: Caller, token: str, end: float | None) -> Session:
        last = time.time() + self._settings.login.hours * 3600
        passed_on = "" if self.is_embedded else token
        roles = tuple(sorted(role.value for role in caller.roles))
        return Session(caller.name, roles, passed_on, min(last, end or last))

    def let_in(self, request: Request, token: str, following: str, end: float | None = None) -> Response:
        """The answer that carries the cookie and goes on to a page of ours.

        Args:
            request: The last of the login.
            token: What they came with.
            following: Where they wanted to go.
            end: When the token ends, in seconds since 1970; None: it does not say so.

        Raises:
            Unauthenticated, Unavailable: Nobody has the token; it cannot be said.
            FailedPrecondition: No cookie can hold it.
        """
        caller: Caller | None = None
        try:
            caller = self.caller_of(token)
            session = self._session(caller, token, end)
            cookie = self._sessions.seal(session)
        except MedqError as error:
            self.note(request, "login", caller, decision="denied", reason=error.reason, why=error.message)
            raise
        self.note(request, "login", caller, decision="allowed")
        response = RedirectResponse(own_path(following), 303)
        lasts = int(session.end - time.time())
        response.set_cookie(
            cookie_name(self._settings), cookie, lasts, secure=self._settings.is_https, httponly=True, samesite="lax"
        )
        return response

    def note(self, request: Request, event: str, caller: Caller | None, **decided: str) -> None:
        """Write a line of the audit log: who came or went, and from where; never a token."""
        who = {"caller": caller.name, "known_by": caller.known_by} if caller else {"caller": ""}
        self._audit.info(event, peer=request.client.host if request.client else "", **who, **decided)

    def let_out(self) -> Response:
        """The answer that takes the cookie away."""
        response = RedirectResponse("/login", 303)
        response.delete_cookie(
            cookie_name(self._settings), secure=self._settings.is_https, httponly=True, samesite="lax"
        )
        return response

    def page(self, request: Request, following: str, error: str = "") -> Response:
        """The page on which people come in."""
        return page(
            request,
            "login.html",
            status=401 if error else 200,
            following=own_path(following),
            error=error,
            has_oidc=self.oidc is not None,
            is_embedded=self.is_embedded,
        )


def logins_of(request: Request) -> Logins:
    """The logins of the app that a request is for."""
    found: Logins = request.app.state.logins
    return found


def caller(request: Request) -> Services:
    """The services in the name of whoever asks: by the bearer token of the request, or by the cookie.

    Raises:
        Unauthenticated: Nobody is known.
    """
    token = bearer_of(request)
    session: Session | None = request.state.session if token is None else logins_of(request).session_of(token)
    if session is None:
        raise Unauthenticated("Nobody is logged in.", remedy="Log in; a program sends `Authorization: Bearer TOKEN`.")
    channels: Channels = request.app.state.channels
    peer = request.client.host if request.client else ""
    return Services(channels, session, request.app.state.settings.call_seconds, peer)


#: The first argument of a route that somebody must be logged in for.
As = Annotated[Services, Depends(caller)]


def own_path(path: str) -> str:
    """A path of these pages; anything that leads elsewhere becomes the first page."""
    parts = urlsplit(path)
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return path if is_ours and path.isprintable() else "/"
