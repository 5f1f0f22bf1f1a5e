"""The routes by which people come in, by the site's OIDC issuer or by a token, and go out."""

from __future__ import annotations

from typing import Annotated, Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import StarletteOAuth2App
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from httpx2 import HTTPError

from shared.errors import Unauthenticated
from shared.rpc.rights import Caller
from web.identity import logins_of, own_path
from web.oidc import no_issuer

_LONGEST_TOKEN = 8_192

router = APIRouter(include_in_schema=False)


@router.get("/login")
def show(request: Request, next: str = "/", token: str = "") -> Response:
    """The login page; with the token of this start, in."""
    logins = logins_of(request)
    # Any other token has no place in an address: proxies log it, and a link would log somebody in as another.
    return _by_token(request, token, next) if token and logins.is_embedded else logins.page(request, next)


@router.post("/login")
def by_token(
    request: Request,
    token: Annotated[str, Form(max_length=_LONGEST_TOKEN)],
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Come in with a token."""
    return _by_token(request, token.strip(), next)


def _by_token(request: Request, token: str, following: str) -> Response:
    logins = logins_of(request)
    try:
        return logins.let_in(request, token, following)
    except Unauthenticated as error:
        return logins.page(request, following, f"{error.message} {error.remedy}")


@router.get("/login/oidc")
async def to_issuer(request: Request, next: str = "/") -> Response:
    """Go to the issuer."""
    client = _oidc(request)
    request.session["next"] = own_path(next)
    url = f"{request.app.state.settings.url}/login/callback"
    try:
        response: Response = await client.authorize_redirect(request, url)
    except HTTPError as error:
        raise no_issuer() from error
    return response


@router.get("/login/callback")
async def from_issuer(request: Request) -> Response:
    """Come back from the issuer with a code."""
    logins, client = logins_of(request), _oidc(request)
    following = str(request.session.get("next", "/"))
    try:
        answered: dict[str, Any] = await client.authorize_access_token(request)  # type: ignore[no-untyped-call]
        name = "id_token" if request.app.state.settings.login.is_id_token_used else "access_token"
        end = answered.get("expires_at")
        response = logins.let_in(request, str(answered.get(name, "")), following, end)
    except HTTPError as error:
        raise no_issuer() from error
    except OAuthError:
        why = "The issuer did not let you in."
        logins.note(request, "login", None, decision="denied", reason=Unauthenticated.reason, why=why)
        return logins.page(request, following, f"{why} Try again.")
    except Unauthenticated as error:
        return logins.page(request, following, f"{error.message} {error.remedy}")
    request.session.clear()
    return response


@router.post("/logout")
def leave(request: Request) -> Response:
    """Go out."""
    logins, session = logins_of(request), request.state.session
    if session is not None:
        logins.note(request, "logout", Caller(session.name, frozenset(), "cookie"))
    return logins.let_out()


def _oidc(request: Request) -> StarletteOAuth2App:
    client = logins_of(request).oidc
    if client is None:
        raise Unauthenticated("This site has no OIDC login.", remedy="Come in with a token.")
    return client
