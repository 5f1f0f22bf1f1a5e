"""How a benchmark ends: a JSON object on standard output, a line for people on standard error, exit code 1 below the floor."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NoReturn


def end(figures: Mapping[str, Any], line: str, *, is_met: bool) -> NoReturn:
    """Report and leave.

    Args:
        figures: What was measured.
        line: The same in words.
        is_met: Whether every floor is met.
    """
    sys.stdout.write(json.dumps({**figures, "is_floor_met": is_met}, indent=1, sort_keys=True) + "\n")
    sys.stderr.write(("" if is_met else "BELOW THE FLOOR: ") + line + "\n")
    sys.exit(0 if is_met else 1)
