"""Replies whose meaning is beyond debate, by category and language; outcomes derived by hand.

`templates.jsonl` is each wording with each option, `worded.jsonl` worded one by one, `held_out.jsonl` worded before the rules and kept
out of their making.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from services.evaluation.domain.scoring import strict_choice

REPLIES = Path(__file__).parents[2] / "data" / "replies"
OPTIONS = json.loads((REPLIES / "options.json").read_text(encoding="utf-8"))
SILENT = {"negation", "two_letters", "refusal", "empty", "held_negation", "held_two", "held_refusal"}


def read(name):
    """The rows of one file, each with the letter that is read."""
    rows = [json.loads(line) for line in (REPLIES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{**row, "read": strict_choice(row["reply"], OPTIONS[row["options"]])} for row in rows]


def disagreements(rows):
    """One line per category: agreeing, all, and each reply that is read otherwise."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["language"], row["category"]].append(row)
    lines = []
    for (language, category), group in sorted(groups.items()):
        wrong = [f"  {row['reply']!r}: {row['read']} for {row['expected']}" for row in group if row["read"] != row["expected"]]
        lines += [f"{language} {category}: {len(group) - len(wrong)}/{len(group)}", *wrong]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys
    print(disagreements([row for name in sys.argv[1:] for row in read(name)]))
