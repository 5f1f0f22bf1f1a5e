"""The log of the queue: what reviewers and operators did, each entry bound to the one before by a hash.

The hash of an entry is SHA-256 of its canonical text, and the text holds the hash before. So whoever changes, removes, adds or
moves an entry changes every hash after it, and one hash that was noted elsewhere stands for all entries up to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DECIDE: Final = "decide"
UNDO: Final = "undo"
REOPEN: Final = "reopen"
LEASE: Final = "lease"
RELEASE: Final = "release"
CLOSE: Final = "close"
WITHDRAW: Final = "withdraw"
ASSIGN: Final = "assign"
PRIORITIZE: Final = "prioritize"


@dataclass(frozen=True)
class Act:
    """What somebody did.

    Attributes:
        kind: `DECIDE` and so on.
        actor: Who; "" where callers are not known, and of the work.
        task_id, revision: What it was about; "" and 0 of several tasks.
        details: What else there is to say, as JSON has it.
    """

    kind: str
    actor: str
    task_id: str = ""
    revision: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """An act in the log.

    Attributes:
        sequence: From 1, without a gap.
        text: Canonical JSON: names sorted, no spaces, UTF-8.
        hash: SHA-256 of the text, 64 hex digits.
    """

    sequence: int
    text: str
    hash: str


#: What stands before the first entry.
BEGIN: Final = Entry(0, "", "0" * 64)


def canonical(content: Mapping[str, Any]) -> str:
    """JSON of which each content has one: names sorted, no spaces, no NaN."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def entry_after(before: Entry, act: Act, at: float) -> Entry:
    """The entry of an act after another one.

    Args:
        before: The last one.
        act: What was done.
        at: When, in seconds since the epoch.
    """
    content = {
        "sequence": before.sequence + 1,
        "before": before.hash,
        "at": at,
        "kind": act.kind,
        "actor": act.actor,
        "task_id": act.task_id,
        "revision": act.revision,
        "details": act.details,
    }
    text = canonical(content)
    return Entry(before.sequence + 1, text, digest(text))


def fault_of(before: Entry, entry: Entry, columns: Mapping[str, Any]) -> str:
    """Why an entry cannot stand after another one, a phrase; "" where it can.

    Args:
        before: The one before, which is in order.
        entry: As it is stored.
        columns: What is stored beside its text, under the same names.
    """
    if entry.sequence != before.sequence + 1:
        return f"entry {before.sequence + 1} is missing"
    if digest(entry.text) != entry.hash:
        return "its text was changed: it has another hash"
    content = json.loads(entry.text)
    if content["before"] != before.hash:
        return "it does not follow from the entry before"
    if content["sequence"] != entry.sequence:
        return f"it was entry {content['sequence']}"
    changed = [name for name, value in columns.items() if content[name] != value]
    return f"the column {changed[0]} was changed" if changed else ""
