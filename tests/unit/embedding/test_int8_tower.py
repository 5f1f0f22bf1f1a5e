"""The image tower in whole numbers: made where it stays near the weights, refused elsewhere, and an encoder of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedding.adapters.encoder_folders import INT8_FACTS, INT8_TOWER, read_encoder_folder
from services.embedding.adapters.encoders import SiteEncoders
from services.embedding.adapters.int8_tower import LEAST_COSINE
from services.embedding.adapters.make_int8 import LEAST_IMAGES, make_int8
from services.embedding.quantise import sample
from shared.errors import FailedPrecondition, InvalidArgument
from tests.support.encoder_folders import save_clip, save_open_clip
from tests.support.pictures import picture, write_pool

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the exporter, in libraries
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
IMAGES = [picture(seed)[:, :, None] for seed in range(LEAST_IMAGES)]
OTHERS = [picture(100 + seed, 48)[:, :, None] for seed in range(6)]


@pytest.fixture(scope="module", params=[save_open_clip, save_clip])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = request.param(tmp_path_factory.mktemp("int8") / "encoder")
    make_int8(read_encoder_folder(folder), IMAGES)
    return folder


def test_its_vectors_stay_near_those_of_the_weights_on_images_that_it_was_not_made_with(made: Path) -> None:
    eager = SiteEncoders({"lab": made}, is_int8_used=False, device="cpu").get("lab")
    small = SiteEncoders({"lab": made}, device="cpu").get("lab")
    vectors = small.embed_images(OTHERS)
    assert vectors.dtype == np.float32
    assert np.sum(eager.embed_images(OTHERS) * vectors, axis=1).min() >= LEAST_COSINE
    assert not np.array_equal(eager.embed_images(OTHERS), vectors)
    np.testing.assert_array_equal(small.embed_images(OTHERS[2:3])[0], vectors[2])
    np.testing.assert_array_equal(small.embed_texts(["noise"]), eager.embed_texts(["noise"]))


def test_it_is_an_encoder_of_its_own_and_taken_only_where_the_settings_say_so(made: Path, tmp_path: Path) -> None:
    small = SiteEncoders({"lab": made}, device="cpu").get("lab")
    eager = SiteEncoders({"lab": made}, is_int8_used=False, device="cpu").get("lab")
    assert small.encoder_id.startswith("lab-int8-")
    assert eager.encoder_id == f"lab-{read_encoder_folder(made).digest[:16]}"
    without = Path(shutil.copytree(made, tmp_path / "without", ignore=shutil.ignore_patterns("*int8*")))
    assert SiteEncoders({"lab": without}, device="cpu").get("lab").encoder_id == eager.encoder_id


def test_the_facts_say_of_what_it_was_made_and_how_near_it_is(made: Path) -> None:
    facts = json.loads((made / INT8_FACTS).read_text())
    assert facts["encoder_digest"] == read_encoder_folder(made).digest
    assert facts["n_images"] == LEAST_IMAGES
    assert LEAST_COSINE <= facts["least_cosine"] <= facts["mean_cosine"] <= 1.0 + 1e-6


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"least_cosine": 0.98}, "states a cosine below"),
        ({"least_cosine": None}, "states a cosine below"),
        ({"encoder_digest": "0" * 64}, "not made of these weights"),
        ({"sha256": "0" * 64}, "another file"),
    ],
)
def test_one_that_is_far_or_of_other_weights_is_refused(made: Path, tmp_path: Path, changed: object, what: str) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "folder"))
    facts = json.loads((folder / INT8_FACTS).read_text())
    (folder / INT8_FACTS).write_text(json.dumps(facts | changed))
    with pytest.raises(FailedPrecondition, match=what):
        SiteEncoders({"lab": folder}, device="cpu").get("lab")


def test_nothing_is_written_where_the_vectors_would_not_stay_near(tmp_path: Path) -> None:
    folder = save_open_clip(tmp_path / "encoder")
    with pytest.raises(FailedPrecondition, match="too far from the weights"):
        make_int8(read_encoder_folder(folder), IMAGES, least_cosine=0.999999)
    assert not (folder / INT8_TOWER).exists()


def test_a_sample_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="too small"):
        make_int8(read_encoder_folder(save_clip(tmp_path / "encoder")), IMAGES[:-1])


def test_a_sample_is_read_as_an_ingest_reads_it(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool", 3)
    (pool / "broken.png").write_bytes(b"no image")
    found: list[NDArray[np.uint8]] = sample(pool)
    assert [pixels.shape[2] for pixels in found] == [1, 1, 1]
