"""Severities: both cost the same measured loss of quality in every modality."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES
from studies.images.phantoms import make_phantom
from studies.images.quality_loss import quality_loss
from studies.images.severities import RANGES, TARGETS, TOLERANCE, median_loss
from studies.images.strengths import strengths

CELLS = [(modality, name) for modality, names in DEGRADATIONS.items() for name in names if name != NONE]


def test_each_degradation_has_a_strength_for_each_severity_and_the_severe_one_is_stronger() -> None:
    table = strengths()
    assert [(modality, name) for modality, names in table.items() for name in names] == CELLS
    for modality, name in CELLS:
        mild, severe = (table[modality][name][severity] for severity in SEVERITIES)
        assert RANGES[name][0] <= mild < severe <= RANGES[name][1]


@pytest.mark.parametrize(("modality", "name"), [("mri", "noise"), ("ct", "rings"), ("fundus", "defocus")])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_strength_costs_its_target(modality: str, name: str, severity: str) -> None:
    loss = median_loss(modality, DEGRADATIONS[modality][name], strengths()[modality][name][severity])
    assert loss == pytest.approx(TARGETS[severity], rel=TOLERANCE)


def test_equal_images_lose_nothing() -> None:
    for modality in DEGRADATIONS:
        image = make_phantom(modality, 1)
        assert quality_loss(image, image) == 0.0


def test_without_air_and_at_one_scale_the_loss_is_one_minus_ssim() -> None:
    rng = np.random.default_rng(0)
    clean = np.kron(rng.uniform(0.3, 0.9, (24, 24)), np.ones((4, 4)))
    darker = 0.8 * clean  # the same at every scale, since blocks of four are flat
    options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    scales = [clean[::step, ::step] for step in (1, 2, 4)]
    wanted = np.mean([1 - structural_similarity(one, 0.8 * one, **options)[1].mean() for one in scales])
    assert quality_loss(clean, darker) == pytest.approx(wanted)


def test_what_happens_in_the_air_alone_is_no_loss() -> None:
    image = np.zeros((96, 96))
    image[8:40, 8:40] = 0.7
    noisy = image.copy()
    noisy[70:, 70:] = 0.3
    assert quality_loss(image, noisy) == pytest.approx(0.0, abs=1e-9)
