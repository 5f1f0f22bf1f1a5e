"""The pre-flight check of memory, on checkpoints without weights and on what a forward pass really keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.training_gpu import memory_table
from services.training.domain.conversations import Sample
from services.training.domain.loss import sft_loss
from services.training.domain.memory import BatchSize, memory_needed
from services.training.job.finetune import load_processor, load_trainable
from services.training.job.memory import Devices, available_memory, model_size, require_memory
from services.training.job.sample_encoder import Longest, SampleEncoder
from shared.errors import FailedPrecondition, InvalidArgument
from studies.released_families import build_checkpoint
from studies.released_sizes import RELEASED, TINY

CPU = Devices(is_gpu=False, n_processes=1)


@pytest.mark.parametrize("family", sorted(TINY))
def test_the_estimate_is_what_a_forward_pass_keeps_within_a_half(family: str, tmp_path: Path):
    build_checkpoint(family, tmp_path / "base", 0, _wider(TINY[family]))
    Image.fromarray(np.zeros((200, 300, 3), dtype=np.uint8)).save(tmp_path / "0.png")
    encoder = SampleEncoder(load_processor(tmp_path / "base"), tmp_path)
    samples = [Sample("s", "0.png", "Is this image dark? " * 30, "It is dark and that is all. " * 4)] * 2
    longest = encoder.check_lengths(samples, 4096)
    model = load_trainable(tmp_path / "base")
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    batch = encoder(samples)
    labels = batch.pop("labels")
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        sft_loss(model(**batch).logits, labels)
    measured = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
    of = BatchSize(2, longest.tokens, 4 * longest.image_tokens, longest.answer_tokens)
    estimated = memory_needed(model_size(tmp_path / "base"), of, is_gpu=False).working
    assert measured <= estimated <= 1.6 * measured


def _wider(size: Any) -> Any:
    """Wide enough that pixels and masks weigh little beside layers."""

    def times(entries: Any) -> dict[str, Any]:
        widths = ("hidden_size", "intermediate_size", "out_hidden_size")
        return {name: value * 4 if name in widths else value for name, value in entries.items()}

    return replace(size, text=times(size.text), vision=times(size.vision), rotated=tuple(4 * n for n in size.rotated))


def test_a_model_too_large_for_the_machine_is_refused_before_its_weights_are_read(tmp_path: Path):
    family, size = RELEASED["InternVL3 8B"]
    build_checkpoint(family, tmp_path, size=_deeper(size, available_memory()), has_weights=False)
    with pytest.raises(FailedPrecondition, match=r"needs [\d.]+ GiB \(weights .* there are [\d.]+ GiB") as refused:
        require_memory(tmp_path, Longest(100, 50, 10), 1, CPU)
    assert refused.value.field == "model"


def _deeper(size: Any, available: int) -> Any:
    """As many layers as do not fit: a layer of this width has above 200 million parameters, of 16 bytes each."""
    return replace(size, text={**size.text, "num_hidden_layers": 1 + available // (16 * 200_000_000)})


def test_a_batch_too_large_for_the_machine_says_so(tmp_path: Path):
    build_checkpoint("internvl3", tmp_path, has_weights=False)
    with pytest.raises(FailedPrecondition) as refused:
        require_memory(tmp_path, Longest(100, 50, 10), 1 << 30, CPU)
    assert (refused.value.field, refused.value.value) == ("batch_size", str(1 << 30))
    assert "gradient_accumulation" in refused.value.remedy
    assert require_memory(tmp_path, Longest(100, 50, 10), 1, CPU).total < available_memory()


def test_an_image_that_the_model_does_not_take_is_named(tmp_path: Path):
    build_checkpoint("qwen2.5-vl", tmp_path, has_weights=False)
    Image.fromarray(np.zeros((1, 900, 3), dtype=np.uint8)).save(tmp_path / "0.png")
    with pytest.raises(InvalidArgument, match="900 x 1 pixels") as refused:
        SampleEncoder(load_processor(tmp_path), tmp_path).check_lengths([Sample("thin", "0.png", "?", "A")], 4096)
    assert refused.value.value == "thin"


def test_the_page_states_what_the_formula_gives():
    page = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert memory_table() in page
