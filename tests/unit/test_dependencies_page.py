"""`docs/dependencies.md` has a line for each package of `requirements/*.in`, and for no other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def asked_for() -> set[str]:
    """Names of the packages that the files name."""
    lines = [line for path in (ROOT / "requirements").glob("*.in") for line in path.read_text().splitlines()]
    return {re.split(r"[=<>]", line)[0].strip() for line in lines if line and not line.startswith(("#", "-"))}


def explained() -> list[str]:
    """What stands in the first column of the page, in order."""
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    first = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    without_remarks = [re.sub(r"\(.*?\)", "", cell) for cell in first]
    return [name for cell in without_remarks for name in re.findall(r"`([^`]+)`", cell)]


def test_each_package_is_explained_once_and_no_other_is() -> None:
    assert sorted(explained()) == sorted(asked_for())
