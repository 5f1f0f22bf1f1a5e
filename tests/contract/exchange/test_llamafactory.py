"""The real loader of LLaMA-Factory reads what `medq dataset export` writes, unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.rows.training import Dropped
from studies.tiny_model import build_tiny_checkpoint
from tests.contract.exchange.test_dataset_export import export, lines
from tests.support.resting_run import RestingRun
from tests.support.rows import build

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ROOT / ".tools" / "llamafactory"
LOADER = ROOT / "tests" / "support" / "llamafactory_loader.py"


@pytest.fixture(scope="module")
def packages() -> Path:
    if not (PACKAGES / "llamafactory").is_dir():
        pytest.skip("LLaMA-Factory is not installed: `make .tools/llamafactory` gets it from the package index.")
    return PACKAGES


def test_llamafactory_loads_and_tokenizes_each_sample_with_its_image(packages: Path, tmp_path: Path):
    run = RestingRun(tmp_path / "run")
    decisions = [run.decision(number) for number in range(3)]
    run.train_on(decisions, [run.replayed(0)], dropped=[build(Dropped)])
    run.close()
    export(run, tmp_path / "set")
    checkpoint = tmp_path / "checkpoint"
    build_tiny_checkpoint(checkpoint, ["What is wrong with image 0?", "Noise", "Motion"], seed=0)
    command = [sys.executable, LOADER, packages, tmp_path / "set", checkpoint]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HF_HOME": str(tmp_path / "hf")})
    assert ended.returncode == 0, ended.stderr[-4000:]
    samples = json.loads(ended.stdout.splitlines()[-1])
    written = lines(tmp_path / "set" / "train.jsonl")
    assert len(samples) == len(written) == 4
    for sample, row in zip(samples, written, strict=True):
        question, answer = (turn["value"] for turn in row["conversations"])
        assert sample["images"] == [str(tmp_path / "set" / row["images"][0])]
        assert question.removeprefix("<image>\n") in sample["question"]
        assert sample["question"].count("<img>") == 1
        assert sample["answer"].split("<|im_end|>")[0] == answer
