"""What a browser, or a program, sees of an error: the same text as every other caller, as a page or as JSON (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from shared import errors
from shared.errors import InvalidArgument, MedqError, Unauthenticated
from shared.logs import get_logger
from shared.status import typed
from web.pages import page

#: HTTP status of each error class, as google.rpc.Code maps them.
STATUS: dict[type[MedqError], int] = {
    errors.InvalidArgument: HTTPStatus.BAD_REQUEST,
    errors.FailedPrecondition: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.PermissionDenied: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.BudgetExhausted: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Cancelled: 499,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DataLoss: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
#: What is called by scripts and programs: it answers in JSON and leads nobody to the login.
API = "/api/"


def add_error_handlers(app: FastAPI) -> None:
    """Have an app answer errors in the form that its caller reads."""
    app.add_exception_handler(MedqError, answer_error)
    app.add_exception_handler(grpc.RpcError, answer_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, answer_error)


def problem(error: MedqError) -> dict[str, Any]:
    """An error as JSON: `type`, `title`, `status`, `detail`, and where there are any `field`, `value`, `remedy`."""
    status = STATUS[type(error)]
    return {"type": "about:blank", "title": error.reason, "status": status, "detail": error.message, **error.metadata}


def answer(request: Request, error: MedqError) -> Response:
    """An error as whoever asked reads it."""
    if request.url.path.startswith(API):
        return JSONResponse(problem(error), STATUS[type(error)], media_type="application/problem+json")
    if isinstance(error, Unauthenticated):
        return RedirectResponse(f"/login?{_next(request)}", HTTPStatus.SEE_OTHER)
    return page(request, "error.html", status=STATUS[type(error)], error=error)


def _next(request: Request) -> str:
    return urlencode({"next": request.url.path}) if request.method == "GET" else ""


async def answer_error(request: Request, error: Exception) -> Response:
    """Any error as whoever asked reads it; what is our own fault is logged."""
    found = typed(error)
    if isinstance(found, errors.Internal):
        get_logger("web").error("internal", error=type(error).__name__, exc_info=error)
    return answer(request, found)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return answer(request, InvalidArgument(f"The request is not of the form: {first['msg']}.", field=field))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer(request, errors.NotFound("There is no such page.", remedy="Begin at /."))
    return JSONResponse({"title": error.detail, "status": error.status_code}, error.status_code)
