"""Two processes under `torchrun` (gloo on the CPU) learn what one does."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.training.adapters.job_process import JobProcess, Workers
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingSpec
from studies.tiny_model import build_tiny_checkpoint

N_SAMPLES = 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_tiny_checkpoint(folder / "base", ["Is this image dark?", "A", "B"], seed=1, image_size=32)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_SAMPLES):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        # Answers of unequal length: a mean over tokens must count those of both processes.
        turns = [
            {"from": "human", "value": "<image>\nIs this image dark?"},
            {"from": "gpt", "value": "A" * (1 + i % 3)},
        ]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_give_the_loss_curve_of_one(data: Path, tmp_path: Path) -> None:
    curves, models = [], []
    for name, workers in (("one", None), ("two", Workers(per_node=2))):
        spec = TrainingSpec(
            model_folder=data / "base",
            train_file=data / "train.jsonl",
            image_folder=data,
            output_folder=tmp_path / name,
            learning_rate=1e-3,
            epochs=2,
            batch_size=4,
            checkpoint_every=2,
            device="cpu",
        )
        spec.output_folder.mkdir()
        (tmp_path / f"{name}.json").write_text(spec.model_dump_json())
        steps: list[TrainingProgress] = []
        JobProcess(workers=workers).run(tmp_path / f"{name}.json", steps.append, lambda: False)
        curves.append(steps)
        models.append(json.loads((spec.result_folder / "training.json").read_text()))
    assert [step.step for step in curves[0]] == [1, 2, 3, 4]
    assert [step.loss for step in curves[1]] == pytest.approx([step.loss for step in curves[0]], rel=1e-4)
    assert models[0]["settings"] == models[1]["settings"]
    assert models[0]["n_parameters"] == models[1]["n_parameters"]
