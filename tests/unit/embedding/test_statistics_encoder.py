import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.ports import Pixels
from shared.errors import InvalidArgument
from studies.images.degradations import degrade
from studies.images.phantoms import MODALITIES, make_phantom


def pixels_of(modality: str, seed: int, degradation: str = "none", severity: str = "none") -> Pixels:
    image = make_phantom(modality, seed, 64)
    image = degrade(image, modality, degradation, severity, np.random.default_rng(seed))
    levels = np.rint(255 * image).astype(np.uint8)
    return levels[..., None] if levels.ndim == 2 else levels


@pytest.fixture(scope="module")
def encoder() -> StatisticsEncoder:
    return StatisticsEncoder()


def test_rows_are_of_unit_norm_and_do_not_depend_on_their_neighbours(encoder: StatisticsEncoder) -> None:
    images = [pixels_of(modality, 1) for modality in MODALITIES]
    together = encoder.embed_images(images)
    alone = np.concatenate([encoder.embed_images([image]) for image in images])
    assert together.dtype == np.float32
    assert together.shape == (5, encoder.dimension)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)


def test_two_encoders_of_the_same_constants_are_the_same(encoder: StatisticsEncoder) -> None:
    other = StatisticsEncoder()
    assert other.encoder_id == encoder.encoder_id
    image = [pixels_of("ct", 3)]
    np.testing.assert_array_equal(other.embed_images(image), encoder.embed_images(image))


def test_an_image_is_nearer_to_one_that_was_degraded_alike(encoder: StatisticsEncoder) -> None:
    """24 noisy and 24 clean heads of different sources: the mean cosine within a kind exceeds that between kinds."""
    noisy = encoder.embed_images([pixels_of("mri", i, "noise", "severe") for i in range(24)])
    clean = encoder.embed_images([pixels_of("mri", 100 + i) for i in range(24)])
    within = [(group @ group.T)[np.triu_indices(24, 1)].mean() for group in (noisy, clean)]
    assert min(within) > (noisy @ clean.T).mean() + 0.2


def test_the_papers_threshold_keeps_a_minority_of_a_mixed_pool(encoder: StatisticsEncoder) -> None:
    """100 clean phantoms of five modalities, 4,950 pairs: fewer than one pair in five is above 0.75, and some are."""
    rows = encoder.embed_images([pixels_of(modality, seed) for modality in MODALITIES for seed in range(20)])
    share = ((rows @ rows.T)[np.triu_indices(100, 1)] > 0.75).mean()
    assert 0.001 < share < 0.2


def test_grey_saved_as_colour_embeds_alike(encoder: StatisticsEncoder) -> None:
    grey = pixels_of("ct", 5)
    rows = encoder.embed_images([grey, np.repeat(grey, 3, axis=2)])
    assert rows[0] @ rows[1] > 0.9999


def test_large_and_flat_images_embed_to_finite_rows(encoder: StatisticsEncoder) -> None:
    images = [np.zeros((16, 16, 1), np.uint8), np.full((700, 300, 3), 255, np.uint8), np.zeros((16, 999, 1), np.uint8)]
    assert np.isfinite(encoder.embed_images(images)).all()


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (15, 64, 1)])
def test_other_shapes_are_refused(encoder: StatisticsEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgument):
        encoder.embed_images([np.zeros(shape, np.uint8)])


def test_texts_are_hashed_words_of_unit_norm(encoder: StatisticsEncoder) -> None:
    texts = ["Is motion visible?", "is MOTION visible ?"]
    rows = encoder.embed_texts(texts)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    words = HashingVectorizer(
        n_features=encoder.embed_texts([]).shape[1],
        ngram_range=(1, 2),
        token_pattern=r"\w+|[^\w\s]",
        alternate_sign=False,
    )
    np.testing.assert_allclose(rows, words.transform(texts).toarray(), atol=1e-6)
    assert encoder.embed_texts([]).shape == (0, encoder.embed_texts(["noise"]).shape[1])
    with pytest.raises(InvalidArgument):
        encoder.embed_texts(["fine", "  "])
