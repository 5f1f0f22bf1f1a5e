"""What a person who follows a run is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.follow import WaitHint, Watch
from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2


def test_each_wait_for_experts_is_told_once_and_its_commands_stand_on_whole_lines(capsys: pytest.CaptureFixture[str]):
    out = Path("/" + "a-long-name/" * 12)
    hint = WaitHint(out)
    for state in ("running", "waiting", "waiting", "running", "waiting", "succeeded"):
        hint.look(pb.Run(state=state))
    lines = capsys.readouterr().err.splitlines()
    assert lines.count(f"  medq review export --out {out} --to reviews.csv --images pictures") == 2
    assert lines.count(f"  medq review import --out {out} reviews.csv") == 2


def test_each_pause_is_told_once(capsys: pytest.CaptureFixture[str]):
    hint = WaitHint(Path("out"))
    for state in ("running", "paused", "paused", "running", "paused", "succeeded"):
        hint.look(pb.Run(run_id="r1", state=state))
    assert capsys.readouterr().err.splitlines().count("  medq resume r1 --out out") == 2


def test_work_that_is_held_up_says_why_once(capsys: pytest.CaptureFixture[str]):
    why = "tries again in 60 s, since what it needs does not answer: The endpoint cannot be reached."
    progress = operations_pb2.Progress(done=3, total=30, unit="images", message=why)
    with Watch(is_quiet=False).shown() as watch:
        for state in ("RUNNING", "PENDING", "RUNNING", "PENDING"):
            state_number = operations_pb2.OperationState.Value(f"OPERATION_STATE_{state}")
            watch.show("annotate", operations_pb2.Operation(state=state_number, progress=progress))
    assert capsys.readouterr().err.splitlines() == ["annotate", f"annotate {why}"]
