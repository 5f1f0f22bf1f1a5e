"""Two arms side by side over the real services: each gives what it gives alone, also where they are killed again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.finished_run import lasting, read_report, remembered_costs
from tests.support.kill_points import kill_after
from tests.support.killing import kill_at_random
from tests.support.medq_processes import Ended, run_medq
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(900)
ARMS = ["failure_driven", "random"]


def test_two_arms_that_were_killed_leave_what_two_undisturbed_ones_leave(
    study: Path, medq: Callable[..., Ended], pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    # Beside the files that it names; the number of moments lies around a thousand, most of which a restart does not pass again.
    config = write_config(study / "two-arms.yaml", arms=ARMS, rounds=1)
    moments = [int(moment) for moment in np.random.default_rng(11).integers(150, 450, size=5)]
    killed = pool.submit(kill_at_random, config, tmp_path / "killed", kill_after, moments)
    alone = write_config(study / "one-arm.yaml", arms=ARMS[1:], rounds=1)
    other = pool.submit(run_medq, "run", "--config", alone, "--out", tmp_path / "alone", "--yes")
    calm = tmp_path / "calm"
    ended = medq("run", "--config", config, "--out", calm, "--yes")
    assert ended.code == 0, ended.err
    out = killed.result().out
    assert lasting(out) == lasting(calm)
    assert (out / "answers.jsonl").read_bytes() == (calm / "answers.jsonl").read_bytes()
    report = read_report(calm)
    assert other.result().code == 0
    assert report["arms"]["random"]["rounds"] == read_report(tmp_path / "alone")["arms"]["random"]["rounds"]
    steps = report["measured"]["steps"]
    operations = {arm: [one["operation_id"] for one in steps if one["arm"] == arm] for arm in ARMS}
    assert operations["random"][:3] == operations["failure_driven"][:3]  # the base model is evaluated once
    settled = [
        Counter(entry.cost.key for entry in remembered_costs(folder, pool) if entry.state == "settled")
        for folder in (calm, out)
    ]
    assert settled[0] == settled[1]
