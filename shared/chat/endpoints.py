"""The endpoints of the site: who may be asked, at which price, and what may be sent to them.

The file that the variable MEDQ_ENDPOINTS names; docs/endpoints.md shows one. It belongs to the site: a run's file says the name
of an endpoint and nothing else of it. What may be sent is `nothing` until somebody says otherwise.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from shared.errors import FailedPrecondition, InvalidArgument, MedqError, NotFound, PermissionDenied
from shared.limits import NAME
from shared.regular_files import read_regular
from shared.settings import ENDPOINTS, Section
from shared.yaml_mapping import read_mapping

#: What an endpoint may be sent; each holds what stands before it.
MayReceive = Literal["nothing", "text", "images"]
_RECEIVES: tuple[MayReceive, ...] = ("nothing", "text", "images")
#: Words that stand where a run's file else names an endpoint or an encoder.
RESERVED = frozenset({"simulated", "review", "none", "statistics"})
PAGE = "docs/endpoints.md"
_MOST_FILE_BYTES = 256 * 1024
_MOST_KEY_BYTES = 8192
#: No token costs more, in US dollars a million.
_LARGEST_PRICE = 1e6


class Prices(Section):
    """US dollars for a million tokens; 0 is free."""

    into: float = Field(alias="in", ge=0, le=_LARGEST_PRICE, allow_inf_nan=False)
    out: float = Field(ge=0, le=_LARGEST_PRICE, allow_inf_nan=False)

    @property
    def is_free(self) -> bool:
        """Whether nothing costs anything."""
        return self.into == 0 and self.out == 0


class Endpoint(Section):
    """One model behind one address.

    Attributes:
        base_url: http(s)://host[:port]/v1 or the like; plain http only on this machine, unless `is_plaintext_allowed`.
        model: Its name there.
        key_file: Holds the bearer token alone; None where the server asks for none.
        ca_file: Authority that signed the server's certificate (PEM); None: those of the system.
        usd_per_million: Required, so that a budget is never a guess.
        prices_of: The day of the price list; may be left out where nothing costs anything.
        timeout_seconds: Longest that one try may take in all.
        max_in_flight: Most tries at a time from one process.
        tries: How often a call is tried in all where it may go through later.
        patience_seconds: Longest that a call waits between its tries, in all.
        may_receive: "nothing", "text", or "images" (and text).
        image_tokens: The most tokens that an image is counted as there: what is reserved for it.
        is_plaintext_allowed: Key, questions and images may go over the network unencrypted.
    """

    base_url: str = Field(max_length=1000)
    model: str = Field(min_length=1, max_length=200)
    key_file: Path | None = None
    ca_file: Path | None = None
    usd_per_million: Prices
    prices_of: date | None = None
    timeout_seconds: float = Field(120.0, gt=0, le=3600)
    max_in_flight: int = Field(8, ge=1, le=256)
    tries: int = Field(5, ge=1, le=20)
    patience_seconds: float = Field(300.0, ge=0, le=86_400)
    may_receive: MayReceive = "nothing"
    image_tokens: int = Field(1445, ge=1, le=1_000_000)
    is_plaintext_allowed: bool = False

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # its text quotes the value
            is_address = False
        if not is_address or not re.fullmatch(r"[!-~]+", url) or re.search(r"[@?#\\]", url):
            raise ValueError("give http(s)://host[:port]/path, without a user, a password or a query")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_whole(self) -> Endpoint:
        if self.base_url.startswith("http:") and not self.is_loopback and not self.is_plaintext_allowed:
            raise ValueError("use https, or set is_plaintext_allowed: true where the network itself is encrypted")
        if self.prices_of is None and not self.usd_per_million.is_free:
            raise ValueError("prices_of is missing: the day of the price list, such as 2026-11-01")
        return self

    @property
    def host(self) -> str:
        """Its host, with the port where one is named."""
        return urlsplit(self.base_url).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        name = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"

    def covers(self, what: MayReceive) -> bool:
        """Whether this may be sent to it."""
        return _RECEIVES.index(what) <= _RECEIVES.index(self.may_receive)


def read_endpoints(path: Path | None) -> dict[str, Endpoint]:
    """The endpoints of a file by name; none where no file is named. Relative paths in it start from its folder.

    Raises:
        FailedPrecondition: It cannot be read or is not of the form; no text of it is quoted but names of fields and endpoints.
    """
    if path is None:
        return {}
    file = Path(os.path.realpath(path))
    try:
        text = read_regular(file, _MOST_FILE_BYTES).decode()
        entries = read_mapping(text, PAGE)
    except UnicodeDecodeError:
        raise _bad(path, "It is not UTF-8.") from None
    except MedqError as error:
        raise _bad(path, error.message, error.remedy) from None
    return {_name(path, number, name): _endpoint(path, name, entries[name]) for number, name in enumerate(entries, 1)}


def read_key(path: Path | None) -> str:
    """The bearer token of a file; "" where no file is named.

    Raises:
        FailedPrecondition: It cannot be read, or holds something else than one token.
    """
    if path is None:
        return ""
    try:
        key = read_regular(Path(os.path.realpath(path)), _MOST_KEY_BYTES).decode("ascii").strip()
    except (InvalidArgument, UnicodeDecodeError):
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise FailedPrecondition(
            "The file holds no key.",
            field="key_file",
            value=path.name,
            remedy="It is a file that this process may read, and holds one key and nothing else.",
        )
    return key


def require_endpoint(name: str, endpoints: Mapping[str, Endpoint], may_receive: MayReceive, field: str) -> Endpoint:
    """The endpoint that an input names, where it may be sent what is needed.

    Args:
        name: As the input says it.
        endpoints: Those of the site.
        may_receive: What will be sent.
        field: The input, for the error: "annotate.oracle".

    Raises:
        NotFound: The site has none of this name.
        PermissionDenied: The site does not allow that it is sent this.
    """
    endpoint = endpoints.get(name)
    if endpoint is None:
        known = f"The site has: {', '.join(sorted(endpoints))}." if endpoints else "The site has none."
        raise NotFound(
            "There is no endpoint of this name.",
            field=field,
            value=name,
            remedy=f"{known} Endpoints stand in the file that {ENDPOINTS} names; {PAGE} shows one.",
        )
    if not endpoint.covers(may_receive):
        raise PermissionDenied(
            f"The endpoint may receive {endpoint.may_receive}, and this needs {may_receive}.",
            field=field,
            value=name,
            remedy=f"Whoever answers for the site sets may_receive: {may_receive} in the file that {ENDPOINTS} names.",
        )
    return endpoint


def _name(path: Path, number: int, name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise _bad(path, f"The name of entry {number} is none: up to 40 letters, digits, '.', '_', '-'.")
    if name in RESERVED:
        raise _bad(path, f"No endpoint may be called {name}: the word means something else in a run's file.")
    return name


def _endpoint(path: Path, name: str, entry: object) -> Endpoint:
    try:
        endpoint = Endpoint.model_validate(entry)
    except ValidationError as error:
        raise _bad(path, _fault(name, error.errors(include_url=False, include_input=False)[0])) from None
    folder = path.absolute().parent
    files = {field: getattr(endpoint, field) for field in ("key_file", "ca_file")}
    return endpoint.model_copy(update={field: folder / file for field, file in files.items() if file is not None})


def _fault(name: str, detail: ErrorDetails) -> str:
    """What is wrong with an entry; an unknown key is not quoted, since it may be a secret in the wrong place."""
    if detail["type"] == "extra_forbidden":
        return f"{name} has an unknown key; known are {', '.join(Endpoint.model_fields)}."
    place = ".".join([name, *map(str, detail["loc"])])
    return f"{place}: {detail['msg']}."


def _bad(path: Path, what: str, remedy: str = "") -> FailedPrecondition:
    return FailedPrecondition(
        f"The file of endpoints is not of the form. {what}",
        field=ENDPOINTS,
        value=path.name,
        remedy=remedy or f"{PAGE} shows the file.",
    )
