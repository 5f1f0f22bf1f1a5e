"""Serves the pages: uvicorn in a thread, beside whatever else the process does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import uvicorn
from fastapi import FastAPI

from shared.errors import FailedPrecondition, Unavailable
from shared.settings import TlsSection

_START_SECONDS = 20.0


def bind(listen: str) -> socket.socket:
    """A socket that listens at `host:port`; port 0 takes a free one.

    Raises:
        FailedPrecondition: The address is taken, or is none.
    """
    host, _, port = listen.rpartition(":")
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=128)
    except (OSError, ValueError, OverflowError):
        raise FailedPrecondition(
            "The address cannot be bound.", field="listen", value=listen, remedy="Is it taken? Choose another."
        ) from None


def bind_as_before(listen: str, note: Path) -> socket.socket:
    """A socket as `bind` gives it; where any port will do, the one that a file notes, if that is free.

    What a browser keeps belongs to one address: decisions that wait there are sent only where the pages come back to it.

    Args:
        listen: `host:port`.
        note: Holds the port that was taken first; written where it is missing.

    Raises:
        FailedPrecondition: As `bind`.
    """
    host, _, port = listen.rpartition(":")
    if port != "0":
        return bind(listen)
    if note.is_file():
        with suppress(FailedPrecondition):
            return bind(f"{host}:{note.read_text(encoding='ascii', errors='replace')[:5]}")
        return bind(listen)
    bound = bind(listen)
    note.write_text(address_of(bound).rpartition(":")[2], encoding="ascii")
    return bound


def address_of(bound: socket.socket) -> str:
    """`host:port` of a socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class WebServer:
    """Pages that answer while it is open.

    Args:
        app: The pages.
        bound: Where they answer; closed with the server.
        tls: With a certificate in it they answer by https, and by nothing else.
        trusted_proxies: Addresses or networks whose X-Forwarded-For is believed; nobody else's is.

    Raises:
        FailedPrecondition: Certificate or key cannot be used.
    """

    def __init__(
        self, app: FastAPI, bound: socket.socket, tls: TlsSection | None = None, trusted_proxies: Sequence[str] = ()
    ) -> None:
        self._bound = bound
        tls = tls or TlsSection()
        config = uvicorn.Config(
            app,
            log_config=None,  # what is logged, and how, is decided in one place: shared.logs
            access_log=False,  # addresses hold the token of a start
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_graceful_shutdown=5,
            limit_concurrency=512,
            ssl_certfile=tls.certificate_file,
            ssl_keyfile=tls.key_file,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError):
            raise FailedPrecondition(
                "The pages cannot use their certificate and its key.",
                field="tls.certificate_file",
                value=str(tls.certificate_file and tls.certificate_file.name),
                remedy="Both are PEM files, of one another, and the key is not encrypted.",
            ) from None
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="web", daemon=True)

    def start(self) -> None:
        """Answer; returns once it does.

        Raises:
            Unavailable: It does not, for a reason that the log says.
        """
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise Unavailable("The pages could not be started.", remedy="See the log.")
            time.sleep(0.02)

    def stop(self) -> None:
        """Finish what is being answered, and stop."""
        self._server.should_exit = True
        self._thread.join()
        self._bound.close()

    def __enter__(self) -> WebServer:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
