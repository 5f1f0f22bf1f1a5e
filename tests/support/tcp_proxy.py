"""A wire that tests can cut, hold and watch: TCP from a port of this machine to a server, byte by byte as it comes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHUNK_BYTES = 16_384


class TcpProxy:
    """Passes connections on to `host:port`; counts are of bytes that the server sent, over all connections.

    Attributes:
        address: host:port to connect to instead of the server.
        n_connections: How many were made.
        is_held: Set once `hold_after` has taken effect.
    """

    def __init__(
        self,
        target: str,
        *,
        on_connection: Callable[[], None] | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._on_connection = on_connection
        self._tls = _tls_of(certificate) if certificate else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.n_connections = 0
        self.is_held = threading.Event()
        self._never = threading.Event()
        self._flow = threading.Event()
        self._flow.set()
        self._lock = threading.Lock()
        self._n_until: int | None = None  # bytes until the next cut or hold
        self._n_each = 0
        self._n_piece = _CHUNK_BYTES
        self._delay_seconds = 0.0
        self._n_cuts = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut_after(self, n_bytes: int, times: int = 1) -> None:
        """Break the connection after so many more bytes, and each next one after as many again."""
        with self._lock:
            self._n_until = self._n_each = n_bytes
            self._n_cuts = times

    def hold_after(self, n_bytes: int) -> None:
        """Let so many more bytes through, then nothing until `release`."""
        with self._lock:
            self._n_until, self._n_cuts = n_bytes, 0

    def slow_down(self, seconds: float, n_bytes: int = _CHUNK_BYTES) -> None:
        """Let each piece of what the server sends, so many bytes at most, wait so long before it passes, until `release`."""
        self._delay_seconds, self._n_piece = seconds, n_bytes

    def release(self) -> None:
        """Let everything through again, at once."""
        with self._lock:
            self._n_until = None
        self._delay_seconds = 0.0
        self._flow.set()

    def close(self) -> None:
        """Break every connection and take no more."""
        self.release()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._sockets):
            _break(one)
        for thread in list(self._threads):
            thread.join(10)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            if self._on_connection:
                self._on_connection()
            try:
                if self._tls:
                    client = self._tls.wrap_socket(client, server_side=True)
                server = socket.create_connection(self._target, timeout=10)
            except OSError:  # the server is down, or the client does not trust the certificate
                client.close()
                continue
            server.settimeout(None)
            self._sockets += [client, server]
            self._start(self._pass_requests, client, server)
            self._start(self._pass_answers, server, client)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                server.sendall(data)
        _break(server)

    def _pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(self._n_piece):
                if self._delay_seconds:
                    self._never.wait(self._delay_seconds)
                while data:
                    self._flow.wait()
                    allowed, is_cut = self._allowed(len(data))
                    client.sendall(data[:allowed])
                    if is_cut:
                        return _break(client, server)
                    data = data[allowed:]
        _break(client, server)

    def _allowed(self, n: int) -> tuple[int, bool]:
        """How many of `n` bytes may pass now, and whether the connection breaks after them."""
        with self._lock:
            if self._n_until is None:
                return n, False
            if n < self._n_until:
                self._n_until -= n
                return n, False
            allowed, is_cut = self._n_until, self._n_cuts > 0
            if is_cut:
                self._n_cuts -= 1
                self._n_until = self._n_each if self._n_cuts else None
            else:
                self._flow.clear()
                self.is_held.set()
            return allowed, is_cut


@contextmanager
def tcp_proxy(
    target: str, *, on_connection: Callable[[], None] | None = None, certificate: tuple[Path, Path] | None = None
) -> Iterator[TcpProxy]:
    """A proxy for the time of a block.

    Args:
        target: host:port of the server.
        on_connection: Called before a connection is passed on.
        certificate: Certificate and key (PEM): the proxy speaks TLS, the server behind it does not.
    """
    proxy = TcpProxy(target, on_connection=on_connection, certificate=certificate)
    try:
        yield proxy
    finally:
        proxy.close()


def _tls_of(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def _break(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
