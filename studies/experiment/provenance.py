"""Which code and which protocol made results: the commit of the repository and the digest of its protocol."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The commit of the repository that this code lies in, with `+` where tracked files differ from it; "" outside one."""
    if not (_ROOT / ".git").exists():
        return ""
    head = _git("rev-parse", "HEAD")
    return head + ("+" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def protocol() -> str:
    """SHA-256 of docs/protocol.md, the first 16 hex digits; "" where it is not there."""
    page = _ROOT / "docs" / "protocol.md"
    return hashlib.sha256(page.read_bytes()).hexdigest()[:16] if page.is_file() else ""


def _git(*arguments: str) -> str:
    """What git prints; "" where there is no git or it fails."""
    try:
        found = subprocess.run(["git", "-C", _ROOT, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
