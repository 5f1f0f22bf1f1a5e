"""Tables of keys and values that are too many for memory: on disk, in a file without a name that goes with whoever made it.

SQLite makes the file where `TMPDIR` says, else in /var/tmp or /tmp, and unlinks it at once: a kill leaves nothing behind. Nothing
is synced.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K", str, int, bytes)
_CACHE_KIB = 16_384
_AT_ONCE = 500  # rows between two looks at the file


class Spill:
    """The file; safe to use from several threads."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        self._connection.execute("BEGIN").close()  # never ended: to end one for each row would take longer than the row

    def table(self, name: str, key: type[K]) -> Table[K]:
        """A new table with keys of this type; `name` is an identifier of SQL."""
        return Table(self._connection, self._lock, name)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Table(Generic[K]):
    """Keys of one type, each with a value; made by `Spill.table`.

    Texts are ordered by their characters, bytes and numbers as such.
    """

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, name: str) -> None:
        self._connection, self._lock, self._name = connection, lock, name
        with lock:
            connection.execute(f"CREATE TABLE {name} (key PRIMARY KEY, value) WITHOUT ROWID")

    def add(self, key: K, value: bytes = b"") -> bool:
        """Add a key unless it is there, with its value; whether it was added."""
        with self._lock:
            added = self._connection.execute(f"INSERT OR IGNORE INTO {self._name} VALUES (?, ?)", (key, value))
            return added.rowcount == 1

    def put(self, key: K, value: bytes) -> None:
        """Add a key, or give it another value."""
        with self._lock:
            self._connection.execute(f"INSERT OR REPLACE INTO {self._name} VALUES (?, ?)", (key, value))

    def remove(self, key: K) -> None:
        """Take a key out, if it is there."""
        with self._lock:
            self._connection.execute(f"DELETE FROM {self._name} WHERE key = ?", (key,))

    def get(self, key: K) -> bytes | None:
        """The value of a key; None where there is no such key."""
        with self._lock:
            found = self._connection.execute(f"SELECT value FROM {self._name} WHERE key = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def items(self, begin: K | None = None, end: K | None = None) -> Iterator[tuple[K, bytes]]:
        """Keys and values from `begin` on and below `end`, in order; values may be changed meanwhile."""
        sign = ">="
        while True:
            bounds = {f"key {sign} ?": begin, "key < ?": end}
            given = {text: bound for text, bound in bounds.items() if bound is not None}
            where = " AND ".join(given) or "true"
            query = f"SELECT key, value FROM {self._name} WHERE {where} ORDER BY key LIMIT {_AT_ONCE}"
            with self._lock:
                found = self._connection.execute(query, list(given.values())).fetchall()
            yield from found
            if len(found) < _AT_ONCE:
                return
            begin, sign = found[-1][0], ">"

    def __len__(self) -> int:
        with self._lock:
            count: int = self._connection.execute(f"SELECT count(*) FROM {self._name}").fetchone()[0]
        return count
