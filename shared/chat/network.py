"""The wire under the client: a deadline for the whole of a try, a bounded reply, and nothing of this machine in what is sent.

A timeout of the HTTP library begins anew with every byte, so each step on a connection asks here what is left of its try.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

from shared.chat.lookups import Lookups

#: Largest reply, headers included: 4096 tokens with 20 rivals each have some 10 MiB.
MOST_REPLY_BYTES = 32 * 2**20
#: Looking a name up and connecting take no longer than this together, in seconds.
_CONNECT_SECONDS = 10.0
#: What is sent beside the request itself.
_HEADERS = (b"host", b"content-type", b"content-length", b"accept", b"connection")
_OWN_HEADERS = [(b"User-Agent", b"medq-engine"), (b"Accept-Encoding", b"identity")]


class TooLargeError(Exception):
    """The reply is larger than any that is expected."""


@dataclass
class _Try:
    """What is left of one try: until when, and how many bytes may still come."""

    deadline: float
    n_bytes: int = MOST_REPLY_BYTES


class _Tries(threading.local):
    """The try of each thread: a request is sent and its reply read in the thread that asked."""

    current: _Try | None = None


class _Stream(httpcore2.NetworkStream):
    """A connection on which no read or write outlasts the try that is at work."""

    def __init__(self, inner: httpcore2.NetworkStream, network: Network) -> None:
        self._inner = inner
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, self._network.left(httpcore2.ReadTimeout))
        self._network.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._network.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._network.left(httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Network(httpcore2.NetworkBackend):
    """Connections whose every step looks at the try that is at work."""

    def __init__(self, clock: Callable[[], float], lookups: Lookups) -> None:
        self._inner = httpcore2.SyncBackend()
        self._lookups = lookups
        self._clock = clock
        self._tries = _Tries()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The time that this thread's requests have, in all."""
        self._tries.current = _Try(self._clock() + seconds)
        try:
            yield
        finally:
            self._tries.current = None

    def left(self, error: type[Exception]) -> float:
        """Seconds that are left; raises where there are none."""
        current = self._tries.current
        seconds = current.deadline - self._clock() if current is not None else 0.0
        if seconds <= 0:
            raise error("the try is over")
        return seconds

    def count(self, n_bytes: int) -> None:
        """Note what has come; raises where it is too much."""
        current = self._tries.current
        if current is not None:
            current.n_bytes -= n_bytes
            if current.n_bytes < 0:
                raise TooLargeError

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """See the base class. Looking the name up takes part of the time; its addresses are tried in their order."""
        end = self._clock() + min(_CONNECT_SECONDS, self.left(httpcore2.ConnectTimeout))
        try:
            addresses = self._lookups.addresses(host, port, end - self._clock())
        except TimeoutError:
            raise httpcore2.ConnectTimeout("the name was not looked up in time") from None
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from None
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in addresses:
            seconds = min(end - self._clock(), self.left(httpcore2.ConnectTimeout))
            if seconds <= 0:
                raise httpcore2.ConnectTimeout("connecting took too long")
            try:
                return _Stream(self._inner.connect_tcp(address, port, seconds, local_address, socket_options), self)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _Body(httpx2.SyncByteStream):
    """The bytes of a reply as they come, undecoded."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class Transport(httpx2.BaseTransport):
    """Sends what the protocol needs and nothing else; what comes back compressed is not unpacked."""

    def __init__(self, network: Network, key: Callable[[], str], ca_file: Path | None, most_connections: int) -> None:
        self._key = key
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl.create_default_context(cafile=ca_file),
            max_connections=most_connections,
            network_backend=network,
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """See the base class."""
        url, key = request.url, self._key()
        headers = [pair for pair in request.headers.raw if pair[0].lower() in _HEADERS] + _OWN_HEADERS
        if key:
            headers.append((b"Authorization", f"Bearer {key}".encode()))
        answer = self._pool.handle_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=headers,
                content=request.stream,
            )
        )
        headers = [pair for pair in answer.headers if pair[0].lower() != b"content-encoding"]
        return httpx2.Response(answer.status, headers=headers, stream=_Body(answer.stream))

    def close(self) -> None:
        """See the base class."""
        self._pool.close()
