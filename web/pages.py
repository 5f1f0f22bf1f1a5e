"""How a page is made: the templates that report and pages share, and ours; everything is escaped."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from shared.pages.environment import page_environment
from web.sessions import Session

_TEMPLATES = page_environment("web")


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of a template, which sees who is logged in as `session` (None for nobody)."""
    session: Session | None = getattr(request.state, "session", None)
    text = _TEMPLATES.get_template(template).render(session=session, path=request.url.path, **values)
    return HTMLResponse(text, status)


def part(template: str, **values: Any) -> str:
    """A part of a page, as text."""
    return _TEMPLATES.get_template(template).render(**values)
