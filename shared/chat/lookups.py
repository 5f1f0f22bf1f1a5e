"""Names of servers, looked up in no more time than a caller has.

The system's own look-up takes no deadline, so it runs in a thread that nobody need wait for. There is at most one for a name at a
time: a resolver that hangs holds as many threads as the site has endpoints, and none of them keeps a process from ending.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

LookUp = Callable[..., list[tuple[Any, ...]]]
"""As `socket.getaddrinfo`."""


class Lookups:
    """Looks names up. Safe to use from several threads.

    Args:
        look_up: The system's.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._at_work: dict[tuple[str, int], Future[list[str]]] = {}

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """The addresses of a name, each once, in the system's order.

        Raises:
            TimeoutError: The system has not answered in so many seconds; whoever asks next waits for the same look-up.
            OSError: It knows no such name.
        """
        key = host, port
        with self._lock:
            found = self._at_work.get(key)
            if found is None:
                found = Future()
                threading.Thread(target=self._work, args=(key, found), name="chat-lookup", daemon=True).start()
                self._at_work[key] = found
        return found.result(seconds)

    def _work(self, key: tuple[str, int], found: Future[list[str]]) -> None:
        try:
            rows = self._look_up(*key, type=socket.SOCK_STREAM)
            found.set_result(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:  # a label that is empty or too long is no name either
            found.set_exception(OSError(str(error)))
        finally:
            with self._lock:
                self._at_work.pop(key, None)
