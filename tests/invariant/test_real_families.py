"""Qwen2.5-VL and InternVL3 by their real loading paths: asked, trained, saved, loaded and asked again, images of mixed size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from services.evaluation.adapters.transformers_model import TransformersModel
from services.evaluation.ports import Generation, Prompt, Sampling
from services.training.domain.conversations import Sample
from services.training.domain.loss import sft_loss
from services.training.job.finetune import finetune, load_processor, load_trainable
from services.training.job.sample_encoder import SampleEncoder
from services.training.job.spec import TrainingSpec
from shared.checkpoints import exchange, user_prompt
from shared.errors import InvalidArgument
from studies.released_families import build_checkpoint
from studies.released_sizes import TINY
from tests.support.stopping import StopAt, StoppedError

SHAPES = [(40, 40), (60, 200), (300, 90), (130, 170), (56, 56), (210, 70)]
"""(height, width) of the images: one tile or several, few patches or many."""
QUESTION = "Is this image dark?\nA. Yes\nB. No"
CANDIDATES = ("A", "B", "No Yes")
DESCRIPTION = "The image is dark, and its noise is strong. Overall, the quality of this image is poor."
WARM = Sampling(seed=3, temperature=1.0, max_new_tokens=6)
GREEDY = Sampling(seed=3, temperature=0.0, max_new_tokens=6)


@pytest.fixture(scope="module", params=sorted(TINY))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoint")
    build_checkpoint(request.param, folder)
    return folder


@pytest.fixture(scope="module")
def images() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*shape, 3), dtype=np.uint8) // (1 + i % 2 * 7) for i, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def prompts(images: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> list[Prompt]:
    return [
        Prompt(f"item-{i}", run, image, QUESTION + " Yes" * (i % 3)) for i, image in enumerate(images) for run in (0, 1)
    ]


@pytest.fixture(scope="module")
def data(images: list[np.ndarray[Any, np.dtype[np.uint8]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters and descriptions about images of mixed size."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
        turns = [
            {"from": "human", "value": f"<image>\n{QUESTION if i % 3 else 'Describe the quality of this image.'}"},
            {"from": "gpt", "value": "AB"[i % 2] if i % 3 else DESCRIPTION},
        ]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def spec_of(checkpoint: Path, data: Path, output: Path, **changes: Any) -> TrainingSpec:
    paths = {
        "model_folder": checkpoint,
        "train_file": data / "train.jsonl",
        "image_folder": data,
        "output_folder": output,
    }
    settings = {"learning_rate": 1e-2, "epochs": 8, "batch_size": 3, "checkpoint_every": 3, "device": "cpu"}
    return TrainingSpec.model_validate(paths | settings | changes)


@pytest.fixture(scope="module")
def trained(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSpec:
    spec = spec_of(checkpoint, data, tmp_path_factory.mktemp("trained"))
    finetune(spec)
    return spec


def all_answers(folder: Path, prompts: list[Prompt], batch_size: int) -> list[Generation]:
    """Sampled, greedy, and by likelihood."""
    model = TransformersModel(folder, "cpu", batch_size=batch_size)
    asked = [replace(prompt, candidates=CANDIDATES) for prompt in prompts]
    return [*model.generate(prompts, WARM), *model.generate(prompts, GREEDY), *model.generate(asked, WARM)]


def assert_alike(answers: list[Generation], others: list[Generation]) -> None:
    assert [answer.text for answer in answers] == [answer.text for answer in others]
    for answer, other in zip(answers, others, strict=True):
        assert answer.token_logprobs == pytest.approx(other.token_logprobs, abs=2e-4)


def test_answers_about_images_of_mixed_size_do_not_depend_on_the_batch(checkpoint: Path, prompts: list[Prompt]) -> None:
    together = all_answers(checkpoint, prompts, batch_size=64)
    assert_alike(together, all_answers(checkpoint, prompts, batch_size=1))
    assert len({answer.text for answer in together[: len(prompts)]}) > len(SHAPES)
    assert {answer.text for answer in together[2 * len(prompts) :]} <= set(CANDIDATES)


def test_log_probabilities_are_those_of_a_plain_pass(checkpoint: Path, prompts: list[Prompt]) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    plain = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    model = TransformersModel(checkpoint, "cpu")
    for prompt in prompts[::4]:
        before, after = exchange(processor, prompt.text, DESCRIPTION)
        assert before == user_prompt(processor, prompt.text)
        asked = replace(prompt, candidates=(DESCRIPTION,))
        inputs = processor(text=[before + after], images=[[prompt.image]], return_tensors="pt")
        n = len(processor.tokenizer(after, add_special_tokens=False)["input_ids"])
        with torch.inference_mode():
            logits = plain(**inputs).logits[0, -n - 1 : -1].log_softmax(-1)
        expected = logits.gather(1, inputs["input_ids"][0, -n:, None])[:, 0].tolist()
        assert model.generate([asked], GREEDY)[0].token_logprobs == pytest.approx(expected, abs=2e-4)


def test_sampling_habits_of_the_release_change_nothing(checkpoint: Path, prompts: list[Prompt], tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    ends = {"eos_token_id": json.loads((checkpoint / "generation_config.json").read_text())["eos_token_id"]}
    (tmp_path / "generation_config.json").write_text(json.dumps(ends))
    assert_alike(all_answers(checkpoint, prompts, 64), all_answers(tmp_path, prompts, 64))


@pytest.mark.parametrize("reduction", ["token_mean", "sample_sum"])
def test_the_loss_of_a_batch_of_mixed_sizes_is_that_of_its_samples(
    checkpoint: Path, data: Path, reduction: Any
) -> None:
    encoder = SampleEncoder(load_processor(checkpoint), data)
    model = load_trainable(checkpoint).eval()
    samples = [
        Sample(f"s{i}", f"{i}.png", QUESTION + " Yes" * (i % 3), ["A", DESCRIPTION][i % 2]) for i in range(len(SHAPES))
    ]

    def loss(batch: list[Sample]) -> float:
        inputs = encoder(batch)
        labels = inputs.pop("labels")
        with torch.inference_mode():
            return float(sft_loss(model(**inputs).logits, labels, reduction, 1))

    assert loss(samples) == pytest.approx(sum(loss([sample]) for sample in samples), rel=1e-4)


def test_training_lowers_the_loss_and_its_result_is_asked_like_the_base(
    trained: TrainingSpec, checkpoint: Path, prompts: list[Prompt]
) -> None:
    curve = [point["loss"] for point in json.loads((trained.result_folder / "training.json").read_text())["loss_curve"]]
    assert np.mean(curve[-2:]) < np.mean(curve[:2]) / 2
    together = all_answers(trained.result_folder, prompts, 64)
    assert_alike(together, all_answers(trained.result_folder, prompts, 1))
    assert [one.text for one in together] != [one.text for one in all_answers(checkpoint, prompts, 64)]


def weights_of(folder: Path) -> Iterator[tuple[str, tuple[int, ...], torch.dtype]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                yield name, tuple(tensor.shape), tensor.dtype


def test_the_result_has_the_names_of_the_release_and_every_habit(trained: TrainingSpec, checkpoint: Path) -> None:
    base, result = list(weights_of(checkpoint)), list(weights_of(trained.result_folder))
    assert {(name, shape) for name, shape, _ in base} == {(name, shape) for name, shape, _ in result}
    assert {dtype for *_, dtype in base} == {torch.bfloat16}
    assert {dtype for *_, dtype in result} == {torch.float32}
    habits = [json.loads((f / "generation_config.json").read_text()) for f in (checkpoint, trained.result_folder)]
    for name, value in habits[0].items():
        assert habits[1][name] == value, name
    assert type(load_processor(checkpoint)) is type(load_processor(trained.result_folder))


@pytest.mark.parametrize("family", sorted(TINY))
@pytest.mark.parametrize("is_tied", [True, False])
def test_tied_words_stay_tied_and_others_apart(family: str, is_tied: bool, data: Path, tmp_path: Path) -> None:
    build_checkpoint(family, tmp_path / "base", 1, replace(TINY[family], is_tied=is_tied))
    spec = spec_of(tmp_path / "base", data, tmp_path / "out", epochs=1)
    finetune(spec)
    model = AutoModelForImageTextToText.from_pretrained(spec.result_folder)
    words_in, words_out = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert (words_in is words_out) == is_tied
    assert torch.equal(words_in, words_out) == is_tied


def test_the_longest_sample_is_counted_as_the_processor_writes_it(checkpoint: Path, data: Path) -> None:
    encoder = SampleEncoder(load_processor(checkpoint), data)
    samples = [Sample(f"s{i}", f"{i}.png", QUESTION, "A") for i in range(len(SHAPES))]
    lengths = [encoder([sample])["input_ids"].shape[1] for sample in samples]
    assert len(set(lengths)) > 2
    assert encoder.check_lengths(samples, 2048).tokens == max(lengths)
    with pytest.raises(InvalidArgument) as refused:
        encoder.check_lengths(samples, max(lengths) - 1)
    assert refused.value.value == f"s{int(np.argmax(lengths))}"


def test_stopped_and_resumed_training_gives_the_same_bytes(
    trained: TrainingSpec, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    spec = spec_of(checkpoint, data, tmp_path)
    with pytest.raises(StoppedError):
        finetune(spec, [StopAt(5)])
    finetune(spec)
    for path in trained.result_folder.iterdir():
        assert (spec.result_folder / path.name).read_bytes() == path.read_bytes(), path.name
