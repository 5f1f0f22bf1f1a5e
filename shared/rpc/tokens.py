"""Callers that a file lists: by the digest of a token, never the token itself, or by a certificate's common name.

```
- name: lab-console
  sha256: 64 hex digits          # printed by `medq token`
  roles: [reader]
  expires: 2027-01-31            # optional: the last day on which it holds, UTC
- name: controller
  certificate: medq-controller   # common name; needs tls.is_client_certificate_required
  roles: [service]
```
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, date, datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from shared.errors import FailedPrecondition, Unauthenticated
from shared.reloaded import Reloaded, read_file
from shared.rpc.rights import Caller, Role

_PREFIX = "medq_"  # so that scanners for leaked secrets find one


class Entry(BaseModel):
    """One caller of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=200)
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$")
    certificate: str = Field("", max_length=200)
    roles: frozenset[Role] = Field(min_length=1)
    expires: date | None = None

    @model_validator(mode="after")
    def _is_known_by_one_thing(self) -> Entry:
        if bool(self.sha256) == bool(self.certificate):
            raise ValueError("give either sha256 or certificate")
        return self


class StaticCallers:
    """The callers of a file, read again when it changes.

    Raises:
        FailedPrecondition: The file cannot be read or is not of the form.
    """

    def __init__(self, path: Path) -> None:
        self._entries = Reloaded([path], lambda: _load(path), "tokens")

    def by_token(self, token: str) -> Caller | None:
        """Whose token this is; None if nobody's.

        Raises:
            Unauthenticated: It has expired.
        """
        return self._caller(hashlib.sha256(token.encode()).hexdigest(), "token")

    def by_certificate(self, common_name: str) -> Caller | None:
        """Whose certificate has this common name; None if nobody's.

        Raises:
            Unauthenticated: The entry has expired.
        """
        return self._caller(f"certificate {common_name}", "certificate")

    def _caller(self, key: str, known_by: str) -> Caller | None:
        entry = self._entries.get().get(key)
        if entry is None:
            return None
        if entry.expires is not None and datetime.now(UTC).date() > entry.expires:
            raise Unauthenticated(
                "The token has expired.", field="expires", value=entry.expires, remedy="Ask for a new one."
            )
        return Caller(entry.name, entry.roles, known_by)


def new_token() -> str:
    """A token that nobody guesses: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def entry_text(name: str, token: str, roles: list[Role], expires: date | None = None) -> str:
    """The lines that make a token valid once they stand in the file.

    Raises:
        ValidationError: The name or a role is not of the form.
    """
    entry = Entry.model_validate(
        {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "roles": roles, "expires": expires}
    )
    lines: dict[str, object] = {
        "name": entry.name,
        "sha256": entry.sha256,
        "roles": sorted(role.value for role in entry.roles),
    }
    if expires is not None:
        lines["expires"] = expires
    text: str = yaml.safe_dump([lines], sort_keys=False, default_flow_style=None)
    return text


def _load(path: Path) -> dict[str, Entry]:
    try:
        entries = TypeAdapter(list[Entry]).validate_python(yaml.safe_load(read_file(path, "auth.tokens_file")) or [])
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _bad(path, "it is not YAML") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _bad(path, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    found = {entry.sha256 or f"certificate {entry.certificate}": entry for entry in entries}
    if len(found) != len(entries):
        raise _bad(path, "two entries have the same token or certificate")
    return found


def _bad(path: Path, what: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The list of callers is not of the form: {what}.",
        field="auth.tokens_file",
        value=path.name,
        remedy="`medq token` prints an entry; docs/security.md shows the file.",
    )
