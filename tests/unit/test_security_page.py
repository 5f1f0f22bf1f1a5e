"""The page on security: each claim names the tests that show it, and they exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = PAGE[PAGE.index("## Threats") : PAGE.index("## Settings")]
ROWS = [line for line in THREATS.splitlines() if line.startswith("| ") and not line.endswith("| shown by |")]


def test_every_claim_names_what_shows_it():
    assert len(ROWS) > 15
    assert [row for row in ROWS if not re.search(r"`(test_\w+|make \w+)`[^|]*\|$", row)] == []


def test_the_tests_that_the_page_names_exist():
    known = set()
    for path in (ROOT / "tests").rglob("*.py"):
        known.update(re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8")))
    assert set(re.findall(r"`(test_\w+)`", PAGE)) - known == set()
