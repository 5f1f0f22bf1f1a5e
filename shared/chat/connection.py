"""HTTP to one OpenAI-compatible server: a deadline for the whole of a try, a bounded reply, and no way elsewhere.

The `openai` package speaks the protocol, `shared.chat.network` is the wire under it. No redirect is followed, and no proxy of the
environment is used. The deadline begins before the server's name is looked up.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import openai

from shared.chat.lookups import Lookups
from shared.chat.network import Network, TooLargeError, Transport
from shared.errors import (
    BudgetExhausted,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)

#: A server that asks for more patience than this is not believed, in seconds.
_LONGEST_RETRY_AFTER = 86_400.0
_REFUSED = {404: NotFound, 401: PermissionDenied, 403: PermissionDenied, 407: PermissionDenied}
_BUSY = (409, 425, 429, 500, 502, 503, 529)
#: The server, or what stands before it, gave up waiting for what may go on behind it.
_WAITED = (408, 499, 504, 524)
#: Nothing has been sent yet.
_NOT_SENT = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout, httpcore2.UnsupportedProtocol)
_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, httpx2.HTTPError, ssl.SSLError)


class Connection:
    """One server. Safe to use from several threads.

    Args:
        base_url: http(s)://host[:port]/v1 or the like.
        key: Gives the bearer token as it is now; "" where the server asks for none.
        ca_file: Authority that signed its certificate (PEM); None: those of the system.
        timeout_seconds: Longest that one try may take in all, once it has begun.
        max_in_flight: Most tries at a time; further ones wait before they begin.
        field: Names the server in errors, such as "endpoints.gpt-4o".
        clock: Seconds that only grow.
        lookups: Finds the addresses of the server's name; None: by the system.
    """

    def __init__(
        self,
        base_url: str,
        key: Callable[[], str],
        ca_file: Path | None,
        timeout_seconds: float,
        max_in_flight: int,
        field: str,
        clock: Callable[[], float] = time.monotonic,
        lookups: Lookups | None = None,
    ) -> None:
        self._field = field
        self._timeout_seconds = timeout_seconds
        self._network = Network(clock, lookups or Lookups())
        self._places = threading.BoundedSemaphore(max_in_flight)
        transport = Transport(self._network, key, ca_file, max_in_flight)
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key="none",  # not the one of the environment; the transport sends the endpoint's
            max_retries=0,  # each try has its accounts
            http_client=httpx2.Client(transport=transport, follow_redirects=False, trust_env=False),
        )

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """What a POST of JSON brings, tried once.

        Raises:
            MedqError: As `Chat.complete` has it.
        """
        with self._trying():
            answer: httpx2.Response = self._client.post(path, body=dict(body), cast_to=httpx2.Response)
        return self._content(answer)

    def get(self, path: str) -> bytes:
        """What a GET brings, tried once; `path` is appended to the base URL, or is a whole URL. Raises as `post`."""
        with self._trying():
            answer: httpx2.Response = self._client.get(path, cast_to=httpx2.Response)
        return self._content(answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _content(self, answer: httpx2.Response) -> bytes:
        if answer.status_code != 200:
            raise DataLoss(f"The endpoint answered with status {answer.status_code}.", field=self._field)
        return answer.content

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """One try, and what becomes of its errors. The server's own words are not passed on."""
        try:
            with self._places, self._network.within(self._timeout_seconds):
                yield
        except TooLargeError:
            remedy = "Look at what answers there: no model says so much."
            raise DataLoss("The endpoint's answer is too large.", field=self._field, remedy=remedy) from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except (openai.APIConnectionError, *_BROKEN) as error:
            raise self._broken(error) from None

    def _broken(self, error: BaseException) -> MedqError:
        """No answer: not sent at all, or nobody knows what became of it."""
        causes = (error, error.__cause__, error.__context__)
        if any(isinstance(cause, (*_NOT_SENT, httpx2.ConnectError, ssl.SSLError)) for cause in causes):
            remedy = "Does it run, is the address right, and may this process reach it?"
            return Unavailable("The endpoint cannot be reached.", field=self._field, remedy=remedy)
        if any(isinstance(cause, httpcore2.TimeoutException) for cause in causes):
            return DeadlineExceeded(
                "The endpoint gave no whole answer in time.",
                field=self._field,
                value=f"{self._timeout_seconds:g} s",
                remedy="Let a request take longer, or fewer be in flight.",
            )
        remedy = "Look at the server, and at what stands before it."
        return DeadlineExceeded("The endpoint broke off its answer.", field=self._field, remedy=remedy)

    def _refusal(self, error: openai.APIStatusError) -> MedqError:
        """What a status means."""
        status = error.status_code
        said = f"The endpoint refused with status {status}."
        if status == 429 and error.code == "insufficient_quota":
            return BudgetExhausted(said, field=self._field, remedy="The account at the server is empty.")
        if status in _BUSY:
            busy = Unavailable(said, field=self._field, remedy="Wait, or let fewer be in flight.")
            busy.retry_after = _retry_after(error.response.headers)
            return busy
        if status in _WAITED:
            return DeadlineExceeded(said, field=self._field, remedy="Look at the server; it took too long.")
        if kind := _REFUSED.get(status):
            remedy = (
                "Is the address right, and is the model served under its name?"
                if kind is NotFound
                else "Look at the key, and at its rights."
            )
            return kind(said, field=self._field, remedy=remedy)
        if 300 <= status < 400:
            remedy = "Name the address that it leads to, if you trust that: no redirect is followed."
            return FailedPrecondition(said, field=self._field, remedy=remedy)
        remedy = "Look at the length of the prompt, and at what the model can do."
        return InvalidArgument(said, field=self._field, remedy=remedy)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: as milliseconds, seconds, or a date; None where it says nothing that can be meant."""
    try:
        milliseconds = headers.get("retry-after-ms")
        seconds = float(milliseconds) / 1000 if milliseconds is not None else float(headers["retry-after"])
    except KeyError:
        return None
    except ValueError:
        try:
            seconds = parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = max(0.0, seconds)
    return seconds if 0 <= seconds <= _LONGEST_RETRY_AFTER else None
