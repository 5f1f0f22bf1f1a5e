"""Training trajectories of the tiny model: what must not change the result, and what must."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from transformers import TrainerCallback

from services.training.job.finetune import finetune
from services.training.job.model_files import COMPLETE
from services.training.job.spec import TrainingSpec
from shared.errors import InvalidArgument
from studies.tiny_model import build_tiny_checkpoint
from tests.support.stopping import StopAt, StoppedError

N_SAMPLES = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_tiny_checkpoint(folder / "base", ["Is this image dark?", "A", "B"], seed=1, image_size=32)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_SAMPLES):
        pixels = rng.integers(0, 255, (32 + i % 2, 32, 3), dtype=np.uint8) // (1 + i % 2 * 7)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        question = "<image>\nIs this image dark?" + " A" * (i % 3)
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "AB"[i % 2] * (1 + i % 2)}]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def _spec(data: Path, output: Path, **changes: Any) -> TrainingSpec:
    paths = {
        "model_folder": data / "base",
        "train_file": data / "train.jsonl",
        "image_folder": data,
        "output_folder": output,
    }
    settings = {"learning_rate": 1e-3, "epochs": 2, "batch_size": 2, "checkpoint_every": 2, "device": "cpu"}
    return TrainingSpec.model_validate(paths | settings | changes)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class _StopAtTheEnd(TrainerCallback):
    """Stands for a kill behind the last checkpoint: what goes on has no step left to make."""

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise StoppedError


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSpec:
    spec = _spec(data, tmp_path_factory.mktemp("undisturbed"))
    finetune(spec)
    return spec


@pytest.mark.parametrize("step", [1, 5, 9])
def test_stopped_and_resumed_training_gives_the_same_bytes(
    data: Path, tmp_path: Path, undisturbed: TrainingSpec, step: int
) -> None:
    spec = _spec(data, tmp_path)
    with pytest.raises(StoppedError):
        finetune(spec, [StopAt(step)])
    assert not spec.result_folder.exists()
    finetune(spec)
    assert _files(spec.result_folder) == _files(undisturbed.result_folder)


def test_training_stopped_behind_its_last_step_gives_the_same_bytes(
    data: Path, tmp_path: Path, undisturbed: TrainingSpec
) -> None:
    spec = _spec(data, tmp_path)
    with pytest.raises(StoppedError):
        finetune(spec, [_StopAtTheEnd()])
    finetune(spec)
    assert _files(spec.result_folder) == _files(undisturbed.result_folder)


def test_checkpoint_that_was_cut_off_is_not_used(data: Path, tmp_path: Path, undisturbed: TrainingSpec) -> None:
    spec = _spec(data, tmp_path)
    with pytest.raises(StoppedError):
        finetune(spec, [StopAt(5)])
    cut_off = spec.checkpoints_folder / "checkpoint-4"
    (cut_off / COMPLETE).unlink()
    (cut_off / "model.safetensors").write_bytes(b"half")
    finetune(spec)
    assert _files(spec.result_folder) == _files(undisturbed.result_folder)


def test_every_parameter_is_trained_and_counted(data: Path, undisturbed: TrainingSpec) -> None:
    report = json.loads((undisturbed.result_folder / "training.json").read_text())
    before = load_file(data / "base" / "model.safetensors")
    after = load_file(undisturbed.result_folder / "model.safetensors")
    assert report["n_trainable"] == report["n_parameters"] >= sum(w.numel() for w in before.values())
    moved = [name for name in before if not before[name].equal(after[name])]
    # Single patches sit in the middle of nothing: the bias of a key shifts no attention and gets no gradient.
    assert {name for name in before if name not in moved} <= {n for n in before if n.endswith("k_proj.bias")}


def test_progress_counts_each_step(undisturbed: TrainingSpec) -> None:
    lines = [json.loads(line) for line in undisturbed.progress_file.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, N_SAMPLES + 1))
    assert {line["n_steps"] for line in lines} == {N_SAMPLES}
    report = json.loads((undisturbed.result_folder / "training.json").read_text())
    assert [point["loss"] for point in report["loss_curve"]] == [line["loss"] for line in lines]


@pytest.mark.parametrize("reduction", ["token_mean", "sample_sum"])
def test_accumulated_step_equals_one_large_batch(data: Path, tmp_path: Path, reduction: str) -> None:
    curves = []
    for size, accumulation in ((4, 1), (1, 4)):
        spec = _spec(
            data, tmp_path / str(size), batch_size=size, gradient_accumulation=accumulation, loss_reduction=reduction
        )
        finetune(spec)
        report = json.loads((spec.result_folder / "training.json").read_text())
        curves.append([point["loss"] for point in report["loss_curve"]])
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


@pytest.mark.parametrize("reduction", ["token_mean", "sample_sum"])
def test_short_last_batch_weighs_as_its_samples_do(data: Path, tmp_path: Path, reduction: str) -> None:
    losses = []
    for size, accumulation in ((N_SAMPLES, 1), (8, 2)):  # 8 and 4 samples make the second one's step
        spec = _spec(
            data,
            tmp_path / str(size),
            batch_size=size,
            gradient_accumulation=accumulation,
            loss_reduction=reduction,
            epochs=1,
        )
        finetune(spec)
        losses.append(json.loads((spec.result_folder / "training.json").read_text())["loss_curve"][0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("steps", [4, 6, 15])  # less than a pass, one, two and a half
def test_a_number_of_steps_decides_in_place_of_epochs(data: Path, tmp_path: Path, steps: int) -> None:
    spec = _spec(data, tmp_path, steps=steps, warmup_ratio=0.5, epochs=9)
    finetune(spec)
    report = json.loads((spec.result_folder / "training.json").read_text())
    rates = [point["learning_rate"] for point in report["loss_curve"]]
    assert (report["n_steps"], len(rates)) == (steps, steps)
    assert rates.index(max(rates)) == (steps + 1) // 2  # the rate rises over half of the steps, and falls to the end
    assert {json.loads(line)["n_steps"] for line in spec.progress_file.read_text().splitlines()} == {steps}


def test_as_many_steps_as_two_epochs_have_give_the_same_weights(
    data: Path, tmp_path: Path, undisturbed: TrainingSpec
) -> None:
    spec = _spec(data, tmp_path, steps=N_SAMPLES, epochs=1)
    finetune(spec)
    weights = "model.safetensors"
    assert (spec.result_folder / weights).read_bytes() == (undisturbed.result_folder / weights).read_bytes()


@pytest.mark.parametrize("stop", [3, 7, 8])  # in the first pass, and in the second, which is not passed to its end
def test_training_of_a_number_of_steps_that_is_stopped_and_resumed_gives_the_same_bytes(
    data: Path, tmp_path: Path, stop: int
) -> None:
    specs = [_spec(data, tmp_path / name, steps=9) for name in ("undisturbed", "stopped")]
    with pytest.raises(StoppedError):
        finetune(specs[1], [StopAt(stop)])
    for spec in specs:
        finetune(spec)
    undisturbed, resumed = (_files(spec.result_folder) for spec in specs)
    assert resumed == undisturbed


def test_finished_training_is_not_repeated(undisturbed: TrainingSpec) -> None:
    finetune(undisturbed, [StopAt(1)])


def test_too_long_sample_is_named_before_the_first_step(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="max_length = 5") as caught:
        finetune(_spec(data, tmp_path, max_length=5))
    assert caught.value.value == "s0"
    assert not (tmp_path / "progress.jsonl").exists()


def test_unreadable_image_is_named_before_the_first_step(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read") as caught:
        finetune(_spec(data, tmp_path, image_folder=tmp_path))
    assert caught.value.value == "s0"
