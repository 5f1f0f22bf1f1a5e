"""Encoders with weights: from folders as they are published, held against the libraries called directly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from services.embedding.adapters.encoders import SiteEncoders
from services.embedding.domain.vectors import unit_rows
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.support.encoder_folders import save_clip, save_open_clip, save_siglip

TEXTS = ["is there motion ?", "noise", "an mri of a blur"]
SAVE = {"open_clip": save_open_clip, "clip": save_clip, "siglip": save_siglip}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp("encoders") / name) for name, save in SAVE.items()}


@pytest.fixture(scope="module")
def encoders(folders: dict[str, Path]) -> SiteEncoders:
    return SiteEncoders(folders, device="cpu")


def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (50 + 20 * i, 90, 1 if i % 2 else 3), dtype=np.uint8) for i in range(4)]


def as_pil(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0]).convert("RGB") if pixels.shape[2] == 1 else Image.fromarray(pixels)


def test_a_folder_of_open_clip_gives_what_open_clip_gives(
    folders: dict[str, Path], encoders: SiteEncoders, tmp_path: Path
) -> None:
    whole = save_open_clip(
        tmp_path / "whole", has_text_config=True
    )  # with what BiomedCLIP's configuration names by a hub
    config = json.loads((whole / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": str(whole), "hf_tokenizer_name": str(whole)}
    (whole / "open_clip_config.json").write_text(json.dumps(config))
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{whole}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{whole}")
    with torch.inference_mode():
        model.eval()
        seen = [model.encode_image(transform(as_pil(one))[None])[0].numpy() for one in pictures()]
        read = model.encode_text(tokenizer(TEXTS)).numpy()
    encoder = encoders.get("open_clip")
    np.testing.assert_allclose(encoder.embed_images(pictures()), unit_rows(np.array(seen)), atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), unit_rows(read), atol=1e-5)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_checkpoint_of_transformers_gives_what_transformers_gives(
    folders: dict[str, Path], encoders: SiteEncoders, name: str
) -> None:
    model = AutoModel.from_pretrained(folders[name]).eval()
    processor, tokenizer = (kind.from_pretrained(folders[name]) for kind in (AutoImageProcessor, AutoTokenizer))
    tokens = tokenizer(TEXTS, padding="max_length", max_length=16, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        values = [processor(as_pil(one), return_tensors="pt") for one in pictures()]
        seen = [model.get_image_features(**value).pooler_output[0].numpy() for value in values]
        read = model.get_text_features(**tokens).pooler_output.numpy()
    encoder = encoders.get(name)
    np.testing.assert_allclose(encoder.embed_images(pictures()), unit_rows(np.array(seen)), atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), unit_rows(read), atol=1e-5)


@pytest.mark.parametrize("name", list(SAVE))
def test_an_image_has_the_same_vector_whatever_stands_beside_it(encoders: SiteEncoders, name: str) -> None:
    encoder, images = encoders.get(name), pictures()
    together = encoder.embed_images(images)
    assert together.dtype == np.float32
    assert together.shape == (4, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    for row, image in zip(together, images, strict=True):
        np.testing.assert_array_equal(encoder.embed_images([image])[0], row)
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS)[1:2], encoder.embed_texts(TEXTS[1:2]))
    assert encoder.embed_images([]).shape == (0, encoder.dimension)


def test_a_text_longer_than_the_tower_reads_is_cut(encoders: SiteEncoders) -> None:
    for name in SAVE:
        assert encoders.get(name).embed_texts(["noise " * 500]).shape[0] == 1


def test_a_text_without_a_sign_and_pixels_of_another_shape_are_refused(encoders: SiteEncoders) -> None:
    with pytest.raises(InvalidArgument, match="sign"):
        encoders.get("clip").embed_texts([" "])
    with pytest.raises(InvalidArgument, match="no image"):
        encoders.get("clip").embed_images([np.zeros((20, 20, 4), np.uint8)])


def test_the_id_is_of_name_weights_and_preprocessing(folders: dict[str, Path], tmp_path: Path) -> None:
    def id_of(folder: Path, name: str = "lab") -> str:
        return SiteEncoders({name: folder}, device="cpu").get(name).encoder_id

    first = id_of(folders["open_clip"])
    assert first.startswith("lab-")
    assert first == id_of(Path(shutil.copytree(folders["open_clip"], tmp_path / "copy")))
    (tmp_path / "copy" / "README.md").write_text("Not part of it.")
    assert first == id_of(tmp_path / "copy")
    assert id_of(folders["open_clip"], "clinic") == first.replace("lab", "clinic")
    assert id_of(save_open_clip(tmp_path / "other", seed=5)) != first
    config = json.loads((tmp_path / "copy" / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.5, 0.5, 0.5]
    (tmp_path / "copy" / "open_clip_config.json").write_text(json.dumps(config))
    assert id_of(tmp_path / "copy") != first


def test_an_encoder_is_found_by_its_name_or_its_id(encoders: SiteEncoders) -> None:
    encoder = encoders.get("clip")
    assert encoders.get(encoder.encoder_id) is encoder
    assert encoders.get("").encoder_id == encoders.get("statistics").encoder_id
    with pytest.raises(NotFound, match="holds another one"):
        encoders.get("clip-0123456789abcdef")


def test_an_unknown_name_is_refused_with_the_known_ones(encoders: SiteEncoders) -> None:
    for find in (encoders.require, encoders.get):
        with pytest.raises(NotFound) as caught:
            find("biomedclip")
        assert "clip, open_clip, siglip, statistics" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "left_out", "what"),
    [
        ("open_clip", "open_clip_pytorch_model.bin", "weights are missing"),
        ("open_clip", "open_clip_config.json", "config.json"),
        ("clip", "model.safetensors", "weights are missing"),
        ("clip", "preprocessor_config.json", "image processor is missing"),
    ],
)
def test_an_incomplete_folder_is_refused_and_says_what_is_missing(
    folders: dict[str, Path], tmp_path: Path, name: str, left_out: str, what: str
) -> None:
    folder = Path(shutil.copytree(folders[name], tmp_path / "folder"))
    (folder / left_out).unlink()
    with pytest.raises(FailedPrecondition, match=what) as caught:
        SiteEncoders({"lab": folder}).require("lab")
    assert caught.value.field == "encoder"


def test_a_link_that_leaves_the_folder_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["clip"], tmp_path / "folder"))
    (folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(FailedPrecondition, match="leads out of the folder"):
        SiteEncoders({"lab": folder}).require("lab")


def test_what_would_fetch_or_run_something_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for place, value in (
        ("vision_cfg", {"timm_model_name": "hf-hub:a/b"}),
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}),
    ):
        folder = Path(shutil.copytree(folders["open_clip"], tmp_path / place))
        config = json.loads((folder / "open_clip_config.json").read_text())
        config["model_cfg"][place] |= value
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        with pytest.raises(FailedPrecondition, match=r"timm|tokenizer"):
            SiteEncoders({"lab": folder}).get("lab")


def test_weights_that_are_a_program_are_not_run(folders: dict[str, Path], tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.write_text, (tmp_path / "ran", "yes")

    folder = Path(shutil.copytree(folders["open_clip"], tmp_path / "folder"))
    torch.save({"visual": Program()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(FailedPrecondition, match="cannot be loaded"):
        SiteEncoders({"lab": folder}).get("lab")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_model_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["open_clip"], tmp_path / "folder"))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 48
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(FailedPrecondition, match="cannot be loaded"):
        SiteEncoders({"lab": folder}).get("lab")


def test_torch_is_not_imported_where_no_encoder_with_weights_is_asked_for() -> None:
    program = (
        "import sys; from services.embedding.adapters.encoders import SiteEncoders; import services.embedding.main; "
        "SiteEncoders({'lab': '/nowhere'}).get('statistics'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
