"""The composition root of the pages: routes, protection, logins."""

from __future__ import annotations

import secrets

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

from shared.errors import FailedPrecondition
from shared.rpc.channels import Channels, is_local
from shared.version import VERSION
from web import login
from web.api.routes import add_api
from web.console import galleries, lineage, starting
from web.console import routes as console
from web.console.live import Streams
from web.errors import add_error_handlers
from web.identity import Logins
from web.protection import Protection
from web.review import routes as review
from web.sessions import Sessions
from web.settings import WebSettings

#: How long somebody may take at the issuer, in seconds.
_AT_ISSUER_SECONDS = 600


def create_app(settings: WebSettings, channels: Channels, *, start_token: str = "", owner: str = "") -> FastAPI:
    """The pages and the REST API.

    Args:
        settings: Addresses, logins, rates.
        channels: To the services, without a token: each call carries that of whoever is logged in.
        start_token: Where the services ask nobody: lets the one person in who has it.
        owner: Their name.

    Raises:
        FailedPrecondition: Pages that the network reaches and that let everybody in; a file of the settings cannot be used.
        InvalidArgument: Settings that do not go together.
    """
    if not settings.knows_callers and not (start_token and is_local(settings.listen)):
        raise FailedPrecondition(
            "Pages that others can reach must know who comes.",
            field="listen",
            value=settings.listen,
            remedy="Set auth.tokens_file or auth.oidc_issuer as the services have it, or listen on 127.0.0.1.",
        )
    app = FastAPI(title="MedQ-Engine", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    sessions = Sessions(settings.login.key_file)
    app.state.settings, app.state.channels = settings, channels
    app.state.streams = Streams()
    app.state.logins = Logins(settings, sessions, start_token, owner)
    app.add_api_route("/healthz", _health, response_class=PlainTextResponse, include_in_schema=False)
    add_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32)
        if settings.login.key_file is None
        else settings.login.key_file.read_text(),
        session_cookie="medq-login",
        max_age=_AT_ISSUER_SECONDS,
        https_only=settings.is_https,
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=Protection(settings, sessions))
    for router in (login.router, review.router, starting.router, lineage.router, galleries.router, console.router):
        app.include_router(router)
    add_api(app)
    app.mount("/static", StaticFiles(packages=[("web", "static"), ("shared.pages", "static")]))
    return app


def _health() -> str:
    """That pages are served, for probes: without a login, and whatever the services do."""
    return "ok"
