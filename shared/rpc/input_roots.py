"""Where the paths that callers name may lead: one rule for every service that reads such paths."""

from __future__ import annotations

from pathlib import Path

from shared.paths import ANYWHERE
from shared.rpc.channels import is_local
from shared.settings import InputSettings


def roots_of(settings: InputSettings) -> tuple[Path, ...]:
    """The folders in which the paths that callers name must lie.

    They are those of the setting. Without it, a service that this machine alone reaches reads what its user names, and one
    that other machines reach reads nothing.
    """
    return settings.input_roots or (ANYWHERE if is_local(settings.listen) else ())
