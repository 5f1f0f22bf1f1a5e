"""Replies whose meaning is beyond debate, by category and language; outcomes derived by hand.

`templates.jsonl` is each wording with each option, `worded.jsonl` worded one by one; `held_out.jsonl` was worded before the
rules and not read until they stood; `hard.jsonl` was worded against them. The twelve files `blind_*.jsonl` were each worded
before the rules were mended on them, one after the other; on the tenth they were not mended. The eleventh was worded by
someone who had seen neither the rules nor the other files.
"""

import json
from collections import defaultdict
from pathlib import Path

from services.evaluation.domain.scoring import strict_choice

REPLIES = Path(__file__).parents[2] / "data" / "replies"
OPTIONS = json.loads((REPLIES / "options.json").read_text(encoding="utf-8"))
SILENT = {"negation", "two_letters", "refusal", "empty", "held_negation", "held_two", "held_refusal", "hard_silent"}


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
        wrong = [
            f"  {row['reply']!r}: {row['read']} for {row['expected']}"
            for row in group
            if row["read"] != row["expected"]
        ]
        lines += [f"{language} {category}: {len(group) - len(wrong)}/{len(group)}", *wrong]
    return "\n".join(lines)


BLIND = [row for number in range(1, 13) for row in read(f"blind_{number:02}")]
WORDED = read("worded") + read("held_out") + read("hard") + BLIND
ROWS = read("templates") + WORDED


def agreement(rows):
    """The share of the rows that expect a letter and get it."""
    letters = [row for row in rows if row["expected"]]
    return sum(row["read"] == row["expected"] for row in letters) / len(letters)


def test_there_are_enough_replies():
    assert len({(row["reply"], row["options"]) for row in ROWS}) >= 1000


def test_english_replies_give_the_letter_that_was_meant():
    english = [row for row in ROWS if row["language"] == "en"]
    worded = [row for row in WORDED if row["language"] == "en"]
    assert agreement(english) >= 0.97, disagreements(english)
    assert agreement(worded) >= 0.97, disagreements(worded)


def test_replies_in_each_other_language_give_the_letter_that_was_meant():
    for language in ("zh", "de", "fr", "es", "ja"):
        rows = [row for row in ROWS if row["language"] == language]
        assert agreement(rows) >= 0.9, disagreements(rows)


def test_a_letter_is_hardly_ever_invented():
    silent = [row for row in ROWS if row["expected"] is None]
    assert sum(row["read"] is not None for row in silent) <= 0.01 * len(silent), disagreements(silent)


def test_negations_two_letters_refusals_and_empty_replies_give_no_letter_at_all():
    invented = [row for row in ROWS if row["category"] in SILENT and row["read"]]
    assert not invented, disagreements(invented)
