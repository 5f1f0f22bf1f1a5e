"""A run as it goes: server-sent events, each with the part of the page that says where the run stands.

A stream ends with the run, with the browser, or after a bounded time; the browser then asks again, with its login.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import BudgetExhausted, MedqError
from shared.status import typed
from web.console.standing import Standing
from web.pages import part

#: How often the controller is asked, in seconds.
PERIOD_SECONDS = 2.0
#: How long a stream lasts at most.
_LONGEST_SECONDS = 600.0


class Streams:
    """The streams that are open in this process of the pages.

    Args:
        most: So many at a time.
    """

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.n_open = 0


def follow(request: Request, look: Callable[[], Standing]) -> Response:
    """The stream of a run.

    Args:
        request: Who asks; the stream ends when they go.
        look: Asks where the run stands; blocks.

    Raises:
        BudgetExhausted: Too many streams are open.
    """
    streams: Streams = request.app.state.streams
    if streams.n_open >= streams.most:
        raise BudgetExhausted("Too many pages follow runs.", remedy="Load the page again to see where the run stands.")
    return _Counted(_events(request, look), streams)


class _Counted(StreamingResponse):
    """A stream that counts as open while it is answered, however that ends."""

    def __init__(self, content: AsyncIterator[str], streams: Streams) -> None:
        # nginx would otherwise hold events back until a buffer is full.
        super().__init__(content, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.n_open += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.n_open -= 1


async def _events(request: Request, look: Callable[[], Standing]) -> AsyncIterator[str]:
    end, last = time.monotonic() + _LONGEST_SECONDS, ""
    while time.monotonic() < end and not await request.is_disconnected():
        try:
            standing = await run_in_threadpool(look)
        except Exception as error:
            yield _event("gone", _message(error))
            return
        told = part("console/standing.html", standing=standing)
        yield _event("standing", told) if told != last else ": still\n\n"
        last = told
        if not standing.is_at_work:
            yield _event("end", "")
            return
        await asyncio.sleep(PERIOD_SECONDS)


def _event(name: str, data: str) -> str:
    """An event; its data are JSON, so that no line of a page ends it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _message(error: Exception) -> str:
    found: MedqError = typed(error)
    return found.message
