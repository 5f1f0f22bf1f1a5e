"""What holds for every request, whatever it asks: its size, its rate, who it is of, that it comes from our own pages; and what
browsers may do with the answer.

One middleware in front of all routes, so that no route can forget it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter

from shared.errors import BudgetExhausted, InvalidArgument, PermissionDenied
from shared.rpc.bearer import AUTHORIZATION, SCHEME
from web.errors import answer, answer_error
from web.sessions import Session, Sessions
from web.settings import WebSettings

MOST_BODY_BYTES = 256 << 10
#: How often an address may try to log in, in a minute.
_LOGINS_PER_MINUTE = 20
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What browsers that say it send of a request that our own page, or the person themselves, has made.
_OWN_SITE = frozenset({"same-origin", "none"})
#: Scripts, styles and pictures of our own host alone, no script or style in a page, in no frame of anybody.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer` browsers would not say where a form comes from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
Next = Callable[[Request], Awaitable[Response]]
#: Requests that were answered.
REQUESTS = Counter(
    "medq_web_requests_total", "Requests of browsers and programs, by route and status.", ["route", "code"]
)


class Protection:
    """The middleware.

    Args:
        settings: How browsers reach the pages, and how often.
        sessions: Opens cookies.
    """

    def __init__(self, settings: WebSettings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(settings.calls_per_minute)
        self._login_rate = RateLimitItemPerMinute(_LOGINS_PER_MINUTE)

    async def __call__(self, request: Request, follow: Next) -> Response:
        """Look at a request, have it answered, and say what browsers may do with the answer."""
        session = self._sessions.open(request.cookies.get(cookie_name(self._settings), ""))
        request.state.session = session
        try:
            self._require_rate(request, session)
            _require_size(request)
            self._require_own_page(request)
        except (BudgetExhausted, InvalidArgument, PermissionDenied) as error:
            response: Response = answer(request, error)
        else:
            response = await _followed(request, follow)
        REQUESTS.labels(_route(request), str(response.status_code)).inc()
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if self._settings.is_https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if not request.url.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _require_rate(self, request: Request, session: Session | None) -> None:
        address = request.client.host if request.client else ""
        is_free = self._limiter.hit(self._rate, session.name if session else address)
        if is_free and request.url.path == "/login" and (request.method == "POST" or "token" in request.query_params):
            is_free = self._limiter.hit(self._login_rate, "login", address)
        if not is_free:
            raise BudgetExhausted("Too many requests came in the last minute.", remedy="Wait a minute.")

    def _require_own_page(self, request: Request) -> None:
        """A change that a browser sends with the cookie comes from our own pages.

        Every browser names the origin of a change, and no page can make it name another one. Who names none is no browser. A
        bearer token comes from a program: no browser sends one by itself, and where one is sent the cookie does not count.
        """
        if request.method in _SAFE or bearer_of(request) is not None:
            return
        origin = request.headers.get("origin", "")
        is_other_site = request.headers.get("sec-fetch-site", "none") not in _OWN_SITE
        if is_other_site or origin not in self._settings.origins:
            raise PermissionDenied(
                "The request does not come from these pages.",
                field="origin",
                value=origin,
                remedy=f"Open {self._settings.url}; a program sends `Authorization: Bearer TOKEN`.",
            )


def cookie_name(settings: WebSettings) -> str:
    """Name of the session's cookie; browsers take `__Host-` from https and this host alone."""
    return "__Host-medq" if settings.is_https else "medq"


async def _followed(request: Request, follow: Next) -> Response:
    """The answer of the routes, whatever happens in them, so that each has the headers and is counted."""
    try:
        return await follow(request)
    except Exception as error:
        return await answer_error(request, error)


def bearer_of(request: Request) -> str | None:
    """The bearer token that was sent; None where there is none, or what was sent is of another kind."""
    sent = request.headers.get(AUTHORIZATION, "")
    return sent[len(SCHEME) :].strip() if sent[: len(SCHEME)].lower() == SCHEME.lower() else None


def _route(request: Request) -> str:
    """The route as it is declared, without what stands in its place in an address; "none" where none was reached."""
    return str(getattr(request.scope.get("route"), "path", "none"))


def _require_size(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > MOST_BODY_BYTES:
        raise InvalidArgument(
            "The request is too large.", field="content-length", remedy=f"At most {MOST_BODY_BYTES >> 10} KiB."
        )
