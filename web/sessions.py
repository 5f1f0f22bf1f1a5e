"""Who is logged in: a sealed cookie that holds the bearer token, so that any replica can open it and none keeps anything.

The token goes on to the services with each call; they decide what it may do. Nothing of the cookie can be read or changed
outside (Fernet: AES-CBC with HMAC-SHA256).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import FailedPrecondition
from shared.reloaded import Reloaded, read_file

#: Longest cookie that browsers keep, in bytes, with room for its name and attributes.
_MOST_BYTES = 3_900


class Session(msgspec.Struct, frozen=True):
    """Somebody who is logged in.

    Attributes:
        name: As the services know them.
        roles: What they may be, for what pages show; the services decide.
        token: What the services are called with; "" where they ask nobody.
        end: When the login ends, in seconds since 1970.
    """

    name: str
    roles: tuple[str, ...]
    token: str
    end: float


class Sessions:
    """Seals and opens sessions.

    Args:
        key_file: Fernet keys, a line each: the first seals, all open, so that keys can be replaced. None: a key of this
            process, which ends all logins with it.
        clock: Gives seconds since 1970.

    Raises:
        FailedPrecondition: The file cannot be read or holds no key.
    """

    def __init__(self, key_file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        if key_file is None:
            own = MultiFernet([Fernet(Fernet.generate_key())])
            self._keys: Callable[[], MultiFernet] = lambda: own
        else:
            self._keys = Reloaded([key_file], lambda: _load(key_file), "session key").get

    def seal(self, session: Session) -> str:
        """The cookie of a session.

        Raises:
            FailedPrecondition: The token is longer than a cookie may be.
        """
        sealed = self._keys().encrypt(msgspec.json.encode(session)).decode()
        if len(sealed) > _MOST_BYTES:
            raise FailedPrecondition(
                "The token of the issuer is too long for a cookie.",
                field="login",
                value=f"{len(session.token)} characters",
                remedy="Have the issuer put fewer claims into it, or set login.is_id_token_used.",
            )
        return sealed

    def open(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is forged, of another key, or has ended."""
        try:
            session = msgspec.json.decode(self._keys().decrypt(cookie.encode()), type=Session)
        except (InvalidToken, msgspec.ValidationError, UnicodeEncodeError):
            return None
        return session if session.end > self._clock() else None


def _load(path: Path) -> MultiFernet:
    try:
        return MultiFernet([Fernet(line) for line in read_file(path, "login.key_file").split()])
    except ValueError:
        raise FailedPrecondition(
            "The file holds no key for sessions.",
            field="login.key_file",
            value=path.name,
            remedy="A key is 32 random bytes in URL-safe base64, one a line: `openssl rand -base64 32 | tr +/ -_`.",
        ) from None
