"""The quality level that a description closes with: the one place that reads it, for routing, checks and scores alike."""

from __future__ import annotations

import re

from shared.rows.vocabulary import QUALITY_LADDER

_LEVEL = re.compile(
    rf"\bquality\s+of\s+(?:this|the)\s+image\s+is\W{{0,5}}({'|'.join(QUALITY_LADDER)})\b", re.IGNORECASE
)


def closing_phrase(level: str) -> str:
    """The sentence that a description of a level ends with, as MedQ-Bench asks for it."""
    return f"Overall, the quality of this image is {level}."


def closing_level(text: str) -> str:
    """The level that a description closes with: "Overall, the quality of this image is ...".

    Args:
        text: A description.

    Returns: "good", "usable" or "reject", the last one named in such a phrase, whatever its case and marks around it; ""
        where there is none, as for "is not good".
    """
    levels = _LEVEL.findall(text)
    return levels[-1].lower() if levels else ""
