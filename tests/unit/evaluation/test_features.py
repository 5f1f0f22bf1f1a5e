import numpy as np
import pytest

from services.evaluation.domain.features import joint_features
from shared.errors import InvalidArgument


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_rows_have_unit_norm_and_cosines_are_the_weighted_mean_of_the_parts(weight):
    rng = np.random.default_rng(0)
    visual, text = rng.normal(size=(6, 5)), rng.normal(size=(6, 3))
    joint = joint_features(visual, text, weight)
    cosines = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (visual, text)]
    expected = weight * cosines[0] @ cosines[0].T + (1 - weight) * cosines[1] @ cosines[1].T
    assert joint.dtype == np.float32
    np.testing.assert_allclose(joint @ joint.T, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("visual", "text", "weight"),
    [
        (np.ones((2, 2)), np.ones((1, 2)), 0.5),
        (np.ones((1, 2)), np.ones((1, 2)), 1.5),
        (np.zeros((1, 2)), np.ones((1, 2)), 0.5),
        (np.full((1, 2), np.nan), np.ones((1, 2)), 0.5),
        (np.ones(2), np.ones((2, 1)), 0.5),
    ],
)
def test_vectors_without_direction_or_partner_are_refused(visual, text, weight):
    with pytest.raises(InvalidArgument):
        joint_features(visual, text, weight)
