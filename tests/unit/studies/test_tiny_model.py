from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from studies.tiny_model import build_tiny_checkpoint, image_sequence_length

TEXTS = ["Does this image show noise?\nA. Yes\nB. No", "What degradation does this image show?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    build_tiny_checkpoint(path, TEXTS, seed=3)
    return path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    build_tiny_checkpoint(tmp_path, list(reversed(TEXTS)), seed=3)
    assert _files(tmp_path) == _files(folder)


def test_another_seed_changes_the_weights_alone(folder: Path, tmp_path: Path) -> None:
    build_tiny_checkpoint(tmp_path, TEXTS, seed=4)
    one, other = _files(tmp_path), _files(folder)
    assert [name for name in one if one[name] != other[name]] == ["model.safetensors"]


def test_auto_classes_load_it_and_it_is_tiny(folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert type(model).__name__ == "InternVLForConditionalGeneration"
    assert 400_000 < n_parameters < 800_000


@pytest.mark.parametrize("shape", [(96, 96, 3), (40, 300, 3), (500, 200, 3)])
def test_any_image_becomes_the_same_number_of_tokens(folder: Path, shape: tuple[int, ...]) -> None:
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    image = np.zeros(shape, dtype=np.uint8)
    inputs = processor(text=[processor.image_token], images=[[image]], return_tensors="pt")
    tokens = inputs["input_ids"][0].tolist()
    assert tokens.count(processor.image_token_id) == image_sequence_length(96)
    assert inputs["pixel_values"].shape == (1, 3, 96, 96)


@pytest.mark.parametrize("text", ["Does this image show noise?", "Ist es naïve? 影 🙂\t\n", "<b>x_9%</b>"])
def test_any_text_survives_encoding(folder: Path, text: str) -> None:
    tokenizer = AutoProcessor.from_pretrained(folder, local_files_only=True).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_building_does_not_touch_the_global_random_state(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build_tiny_checkpoint(tmp_path, TEXTS, seed=9)
    assert torch.rand(1).equal(expected)
