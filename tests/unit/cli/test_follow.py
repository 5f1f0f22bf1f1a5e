"""What a person who follows a run is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.follow import WaitHint
from medq.controller.v1 import controller_pb2 as pb


def test_each_wait_for_experts_is_told_once_and_its_commands_stand_on_whole_lines(capsys: pytest.CaptureFixture[str]):
    out = Path("/" + "a-long-name/" * 12)
    hint = WaitHint(out)
    for state in ("running", "waiting", "waiting", "running", "waiting", "succeeded"):
        hint.look(pb.Run(state=state))
    lines = capsys.readouterr().err.splitlines()
    assert lines.count(f"  medq review export --out {out} --to reviews.csv --images pictures") == 2
    assert lines.count(f"  medq review import --out {out} reviews.csv") == 2
