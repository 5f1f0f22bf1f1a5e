"""Two processes under `torchrun` (gloo on the CPU) learn what one does, also where they were stopped."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.training.adapters.job_process import JobProcess, Workers
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingSpec
from shared.errors import Cancelled
from studies.released_families import build_checkpoint
from studies.released_sizes import TINY

N_SAMPLES = 8
TOLERANCE = 1e-4
"""Of a loss, relative: the parts of a batch are summed in another order."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=sorted(TINY))
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_checkpoint(request.param, folder / "base", 1)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_SAMPLES):
        Image.fromarray(rng.integers(0, 255, (40 + 30 * i, 60, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        # Answers of unequal length: a mean over tokens must count those of both processes.
        turns = [
            {"from": "human", "value": "<image>\nIs this image dark?"},
            {"from": "gpt", "value": "A" * (1 + i % 3)},
        ]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def spec_of(data: Path, output: Path) -> TrainingSpec:
    spec = TrainingSpec(
        model_folder=data / "base",
        train_file=data / "train.jsonl",
        image_folder=data,
        output_folder=output,
        learning_rate=1e-3,
        epochs=5,  # many steps after the first checkpoint, so that there is time to be called off
        batch_size=4,
        checkpoint_every=2,
        device="cpu",
    )
    spec.output_folder.mkdir()
    output.with_suffix(".json").write_text(spec.model_dump_json())
    return spec


def result_of(spec: TrainingSpec) -> dict[str, object]:
    return json.loads((spec.result_folder / "training.json").read_text())


def losses(report: dict) -> list[float]:
    return [point["loss"] for point in report["loss_curve"]]


def test_two_processes_stopped_in_the_middle_give_the_loss_curve_of_one(data: Path, tmp_path: Path) -> None:
    one, two = spec_of(data, tmp_path / "one"), spec_of(data, tmp_path / "two")
    JobProcess().run(tmp_path / "one.json", lambda step: None, lambda: False)
    steps: list[TrainingProgress] = []
    together = JobProcess(workers=Workers(per_node=2))
    with pytest.raises(Cancelled):
        together.run(tmp_path / "two.json", steps.append, lambda: bool(list(two.checkpoints_folder.glob("*/complete"))))
    assert not two.result_folder.exists()
    together.run(tmp_path / "two.json", steps.append, lambda: False)
    alone, shared = result_of(one), result_of(two)
    assert losses(shared) == pytest.approx(losses(alone), rel=TOLERANCE)
    assert len(losses(alone)) == 10
    assert shared["settings"] == alone["settings"]
    assert shared["n_parameters"] == alone["n_parameters"]


def curves(data: Path, tmp_path: Path) -> Iterator[dict]:
    for n in (1, 2):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"]
        out = tmp_path / f"{n}.json"
        program = ["-m", "tests.support.sharded_steps", str(data / "base"), str(data), str(out)]
        ended = subprocess.run([*torchrun, *program], capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert ended.returncode == 0, ended.stderr
        yield json.loads(out.read_text())


def test_two_processes_that_share_the_weights_give_the_loss_curve_of_one(data: Path, tmp_path: Path) -> None:
    alone, shared = curves(data, tmp_path)
    assert (alone["is_shared"], shared["is_shared"]) == (False, True)
    assert shared["curve"] == pytest.approx(alone["curve"], rel=TOLERANCE)
    assert alone["curve"][-1] < alone["curve"][0]
