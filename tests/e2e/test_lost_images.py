"""`medq evaluate` on an image that the object store has lost: the rest is evaluated, and the same command mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.medq_processes import Ended

pytestmark = pytest.mark.timeout(240)


def test_a_lost_image_is_unscored_and_the_same_command_evaluates_it(
    study: Path, tmp_path: Path, medq: Callable[..., Ended]
):
    out = tmp_path / "out"
    given = ("evaluate", "--model", study / "base-model" / "model", "--items", study / "test.tsv", "--out", out)
    undisturbed = medq(*given, "--max-new-tokens", 2)
    assert undisturbed.code == 0, undisturbed.err
    answers = (out / "answers.jsonl").read_bytes()
    items = {json.loads(line)["item_id"] for line in answers.splitlines()}
    lost = _an_image(out / "state")
    lost.unlink()

    partial = medq(*given, "--max-new-tokens", 3)  # the answers to two tokens are stored, those to three are not
    assert partial.code == 3
    assert "UNSCORED" in partial.err
    assert "not in the object store" in partial.err
    named = {json.loads(line)["item_id"] for line in (out / "unscored.jsonl").read_bytes().splitlines()}
    overall = json.loads((out / "scores.json").read_text())["perception"]["overall"]
    assert 0 < len(named) < len(items)
    assert (overall["n"], overall["unscored"]) == (len(items) - len(named), len(named))

    again = medq(*given, "--max-new-tokens", 3)
    assert again.code == 0, again.err
    assert lost.is_file()
    assert (out / "unscored.jsonl").read_bytes() == b""
    overall = json.loads((out / "scores.json").read_text())["perception"]["overall"]
    assert (overall["n"], overall["unscored"]) == (len(items), 0)


def _an_image(state: Path) -> Path:
    """A picture in the object store; all are of the table that was evaluated."""
    objects = sorted(path for path in (state / "objects" / "objects").rglob("*") if path.is_file())
    return next(path for path in objects if path.read_bytes().startswith(b"\x89PNG"))
