"""What went wrong, with what it takes to see it again."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A finding that belongs to the round and to no case of it.
OF_THE_ROUND = -1


@dataclass(frozen=True)
class Finding:
    """A fault.

    Attributes:
        kind: "request" or "file".
        number: Which case, or `OF_THE_ROUND`.
        what: A sentence.
        case: What was sent or read, in a few words.
    """

    kind: str
    number: int
    what: str
    case: str = ""

    @property
    def alike(self) -> str:
        """What findings of one cause have in common, as a rule."""
        return f"{self.kind}: " + re.sub(r"[0-9a-f]{64}|[0-9]+|b?'[^']*'", "..", self.what)[:100]

    def line(self, seed: int, database: str) -> str:
        """The finding with the command that repeats it."""
        if self.number == OF_THE_ROUND:
            return f"{self.kind}s: {self.what}"
        again = f"--seed {seed} --only {self.kind}:{self.number}"
        if self.kind == "request":
            again += f" --database {database}"
        return f"{self.kind} {self.number} ({self.case}): {self.what}\n    again: python -m tests.fuzz {again}"
