"""The routes of the pages, read from the app."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of each route, those of included routers too."""
    for route in app.routes:
        for found in route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else [route]:
            yield from ((method, found.path) for method in getattr(found, "methods", None) or ())
