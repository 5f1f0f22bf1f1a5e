"""How many of the stored replies are read as a person reads them.

`python -m benchmarks.replies` prints, for each file of `tests/data/replies` and each language: the share of the replies with a
letter that give it, and of those without a letter the share in which one is invented.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from services.evaluation.domain.scoring import strict_choice

FOLDER = Path("tests/data/replies")


def main() -> None:
    """Print one line per file and language."""
    options = json.loads((FOLDER / "options.json").read_text(encoding="utf-8"))
    sys.stdout.write(f"{'file':<10} {'language':<9} {'read right':>20} {'invented':>20}\n")
    for file in sorted(FOLDER.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        by_language: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_language["en" if row["language"] == "en" else "others"].append(row)
        for language, group in sorted(by_language.items()):
            read = [(row["expected"], strict_choice(row["reply"], options[row["options"]])) for row in group]
            letters = [expected == choice for expected, choice in read if expected]
            invented = [choice is not None for expected, choice in read if not expected]
            sys.stdout.write(f"{file.stem:<10} {language:<9} {_share(letters):>20} {_share(invented):>20}\n")


def _share(hits: list[bool]) -> str:
    return f"{sum(hits)} of {len(hits)} ({sum(hits) / max(1, len(hits)):.3f})"


if __name__ == "__main__":
    main()
