"""The public keys with which an OIDC issuer signs, from a file or from the issuer itself and from nowhere else."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from pydantic import BaseModel

from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.logs import get_logger
from shared.reloaded import Reloaded, read_file

ALGORITHMS = ("RS256", "ES256")
#: An issuer is asked at most so often, whatever callers send.
ASK_PERIOD_SECONDS = 60.0
#: Keys that the issuer has withdrawn are forgotten after so long.
_MAX_AGE_SECONDS = 3600.0
_FETCH_SECONDS = 5.0
_MAX_BYTES = 1_000_000
_MIN_RSA_BITS = 2048

Keys = Mapping[str, PyJWK]


class _Configuration(BaseModel):
    """What is read of an issuer's `.well-known/openid-configuration`."""

    issuer: str
    jwks_uri: str


class KeysOfFile:
    """Keys of a JWKS file, read again when it changes.

    Raises:
        FailedPrecondition: It cannot be read or holds no usable key.
    """

    def __init__(self, path: Path) -> None:
        self._keys = Reloaded([path], lambda: _parse(read_file(path, "auth.jwks_file"), path.name), "JWKS")

    def find(self, kid: str) -> PyJWK | None:
        """The key of this id, if there is one."""
        return self._keys.get().get(kid)


class KeysOfIssuer:
    """Keys that the issuer publishes, asked for when a key is not known, at most once a minute.

    Args:
        issuer: An https URL; http on this machine alone.
        ca_file: Authority of its certificate; None for the system's.
        clock: Seconds that only grow.

    Raises:
        InvalidArgument: The issuer is no such URL.
    """

    def __init__(self, issuer: str, ca_file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._place = _place_of(issuer)
        self._ssl = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._asked_at = self._got_at = -float("inf")

    def find(self, kid: str) -> PyJWK | None:
        """The key of this id, if there is one.

        Raises:
            Unavailable: It is not known, and the issuer does not answer.
        """
        is_known = kid in self._keys
        is_old = self._clock() - self._got_at > _MAX_AGE_SECONDS
        # Who brings a known key waits for nobody: one caller asks, the others go on with what is there.
        if (not is_known or is_old) and self._lock.acquire(blocking=not is_known):
            try:
                if self._clock() - self._asked_at >= ASK_PERIOD_SECONDS:
                    self._ask()
            finally:
                self._lock.release()
        key = self._keys.get(kid)
        if key is None and self._got_at < self._asked_at:
            raise Unavailable("The keys of the tokens' issuer cannot be had.", remedy="Try again in a minute.")
        return key

    def _ask(self) -> None:
        self._asked_at = self._clock()
        try:
            self._keys = self._fetch()
        except (OSError, http.client.HTTPException, ValueError, FailedPrecondition) as error:
            get_logger("shared").error("issuer_keys_not_fetched", error=type(error).__name__)
        else:
            self._got_at = self._asked_at

    def _fetch(self) -> Keys:
        """The published keys.

        Raises:
            OSError: The issuer does not answer.
            ValueError: It does not answer as an OIDC issuer does, or names another place.
        """
        well_known = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        published = _Configuration.model_validate_json(self._get(urlsplit(well_known)))
        if published.issuer != self._issuer:
            raise ValueError
        keys_at = urlsplit(published.jwks_uri)
        if (keys_at.scheme, keys_at.netloc) != (self._place.scheme, self._place.netloc):
            get_logger("shared").error("issuer_keys_elsewhere", remedy="Fetch them into auth.jwks_file.")
            raise ValueError
        return _parse(self._get(keys_at), "jwks_uri")

    def _get(self, url: SplitResult) -> bytes:
        """One GET: no redirect, no proxy, at most a megabyte within seconds."""
        deadline = time.monotonic() + _FETCH_SECONDS
        port = url.port or (443 if url.scheme == "https" else 80)
        connection = (
            http.client.HTTPSConnection(str(url.hostname), port, timeout=_FETCH_SECONDS, context=self._ssl)
            if url.scheme == "https"
            else http.client.HTTPConnection(str(url.hostname), port, timeout=_FETCH_SECONDS)
        )
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise ValueError
            body = b""
            while piece := response.read1(65536):
                body += piece
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                    raise ValueError
            return body
        finally:
            connection.close()


def _place_of(issuer: str) -> SplitResult:
    place = urlsplit(issuer)
    if place.scheme == "https" and place.hostname:
        return place
    if place.scheme == "http" and place.hostname:
        if place.hostname == "localhost":
            return place
        try:
            if ipaddress.ip_address(place.hostname).is_loopback:
                return place
        except ValueError:
            pass
    raise InvalidArgument(
        "The issuer is no https address.",
        field="auth.oidc_issuer",
        value=issuer,
        remedy="Write it as the tokens' `iss` claim has it: https://host/path.",
    )


def _parse(content: bytes, where: str) -> Keys:
    """The keys that sign with an algorithm of ours, by their ids.

    Raises:
        FailedPrecondition: There is none.
    """
    try:
        listed: list[dict[str, Any]] = json.loads(content)["keys"]
        keys = {str(entry["kid"]): _key(entry) for entry in listed if _may_sign(entry)}
    except (ValueError, KeyError, TypeError, AttributeError):
        keys = {}
    usable = {kid: key for kid, key in keys.items() if key is not None}
    if not usable:
        raise FailedPrecondition(
            "No usable key in the issuer's key set.",
            field="auth.jwks_file",
            value=where,
            remedy=f"It must be a JWKS whose keys have a `kid` and sign with {' or '.join(ALGORITHMS)}.",
        )
    return usable


def _may_sign(entry: Mapping[str, Any]) -> bool:
    return entry.get("kty") in ("RSA", "EC") and entry.get("use", "sig") == "sig" and "kid" in entry


def _key(entry: dict[str, Any]) -> PyJWK | None:
    try:
        key = PyJWK.from_dict(entry)
    except PyJWTError:
        return None
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS
    return None if key.algorithm_name not in ALGORITHMS or is_short else key
