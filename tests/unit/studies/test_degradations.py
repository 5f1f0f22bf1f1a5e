from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import fft2, fftfreq
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import iradon, radon

from shared.errors import InvalidArgument
from studies.images.ct_physics import add_cupping, back_project, detector_cells, project
from studies.images.degradations import DEGRADATIONS, GREY_MODALITIES, NONE, SEVERITIES, degrade
from studies.images.mri_physics import add_motion_ghosts, add_spikes, sampling_mask, undersample
from studies.images.phantoms import make_phantom

CELLS = [(modality, name) for modality, names in DEGRADATIONS.items() for name in names if name != NONE]


def test_each_modality_has_none_first_and_at_least_four_degradations() -> None:
    for names in DEGRADATIONS.values():
        assert next(iter(names)) == NONE
        assert len(names) >= 5


@pytest.mark.parametrize(("modality", "name"), CELLS)
def test_severe_is_farther_from_the_clean_image_than_mild(modality: str, name: str) -> None:
    distance = {severity: [] for severity in SEVERITIES}
    for seed in range(12):
        clean = make_phantom(modality, seed, 64)
        for severity in SEVERITIES:
            image = degrade(clean, modality, name, severity, np.random.default_rng(seed))
            distance[severity].append(peak_signal_noise_ratio(clean, image, data_range=1.0))
    assert np.mean(distance["severe"]) < np.mean(distance["mild"]) - 1.0


@pytest.mark.parametrize(("modality", "name"), CELLS)
@pytest.mark.parametrize("shape", [(64, 64), (53, 87)])
def test_a_degradation_is_pure_and_stays_in_the_unit_range(modality: str, name: str, shape: tuple[int, int]) -> None:
    channels = () if modality in GREY_MODALITIES else (3,)
    image = np.random.default_rng(0).random((*shape, *channels))
    before = image.copy()
    first, second = (degrade(image, modality, name, "severe", np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(first, second)
    assert first.shape == image.shape
    assert first.dtype == np.float64
    assert np.isfinite(first).all()
    assert first.min() >= 0.0
    assert first.max() <= 1.0


@pytest.mark.parametrize(("modality", "name"), CELLS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_image_is_no_error(modality: str, name: str, value: float) -> None:
    shape = (64, 64) if modality in GREY_MODALITIES else (64, 64, 3)
    degraded = degrade(np.full(shape, value), modality, name, "severe", np.random.default_rng(0))
    assert np.isfinite(degraded).all()


def test_optical_degradations_take_grey_images() -> None:
    for modality, name in CELLS:
        if modality not in GREY_MODALITIES:
            grey = make_phantom("mri", 0, 64)
            assert degrade(grey, modality, name, "mild", np.random.default_rng(0)).shape == grey.shape


def test_none_returns_the_image_unchanged() -> None:
    image = make_phantom("fundus", 0)
    np.testing.assert_array_equal(degrade(image, "fundus", NONE, NONE, np.random.default_rng(0)), image)


@pytest.mark.parametrize("acceleration", [1.5, 3.5])
def test_undersampling_keeps_the_measured_lines_and_zeroes_the_others(acceleration: float) -> None:
    image = make_phantom("mri", 1)
    mask = sampling_mask(96, acceleration, np.random.default_rng(0))
    spectrum = fft2(undersample(image, mask))
    np.testing.assert_allclose(spectrum[mask], fft2(image)[mask], atol=1e-9)
    np.testing.assert_allclose(spectrum[~mask], 0.0, atol=1e-9)


@pytest.mark.parametrize("acceleration", [1.5, 3.5])
@pytest.mark.parametrize("rows", [32, 53, 96, 512])
def test_the_mask_measures_the_stated_number_of_lines_and_the_whole_centre(acceleration: float, rows: int) -> None:
    for seed in range(20):
        mask = sampling_mask(rows, acceleration, np.random.default_rng(seed))
        assert mask.sum() == round(rows / acceleration)
        assert mask[np.abs(fftfreq(rows)) <= 0.04].all()


def test_motion_moves_the_object_along_the_phase_encoding_only() -> None:
    image = np.zeros((96, 96))
    image[40:56, 40:56] = 1.0
    ghosts = add_motion_ghosts(image, 0.06, np.random.default_rng(0))
    np.testing.assert_allclose(ghosts[:, :40], 0.0, atol=1e-12)
    assert ghosts[:36, 40:56].max() > 0.05


def test_a_spike_of_k_space_is_a_wave_of_its_amplitude() -> None:
    flat = np.full((96, 96), 0.5)
    waves = add_spikes(flat, 0.01, np.random.default_rng(0)) - flat
    spectrum = np.abs(fft2(waves)) / waves.size
    strong = np.sort(spectrum.ravel())[::-1]
    np.testing.assert_allclose(strong[:6], 0.005, atol=1e-9)  # three waves, each at a frequency and at its negative
    assert strong[6] < 1e-9


def test_beam_hardening_darkens_the_middle_more_than_the_rim() -> None:
    y, x = np.mgrid[:96, :96] - 47.5
    disc = np.where(np.hypot(y, x) < 40, 0.5, 0.0)
    lost = disc - add_cupping(disc, 0.3, np.random.default_rng(0))
    middle, rim = np.hypot(y, x) < 8, (np.hypot(y, x) > 32) & (np.hypot(y, x) < 37)
    assert lost[middle].mean() > 1.3 * lost[rim].mean() > 0.0


def test_the_projector_agrees_with_scikit_image() -> None:
    image = np.pad(make_phantom("ct", 0, 64), 16)
    angles = np.linspace(0.0, np.pi, 12, endpoint=False)
    ours = project(image, -angles)  # scikit-image turns the object, about a point half a pixel from our centre
    theirs = radon(image, np.degrees(angles), circle=True).T
    np.testing.assert_allclose(ours.sum(axis=1), image.sum(), rtol=1e-9)
    offset = (ours.shape[1] - theirs.shape[1]) // 2
    cut = ours[:, offset : offset + theirs.shape[1]]
    assert all(np.corrcoef(a, b)[0, 1] > 0.99 for a, b in zip(cut, theirs, strict=True))
    assert np.abs(cut - theirs).max() < 0.15 * theirs.max()


def test_filtered_back_projection_agrees_with_scikit_image() -> None:
    clean = make_phantom("ct", 2, 96)
    angles = np.linspace(0.0, np.pi, 180, endpoint=False)
    ours = back_project(project(clean, angles), angles, clean.shape)
    theirs = iradon(radon(clean, np.degrees(angles), circle=True), np.degrees(angles), circle=True)
    y, x = np.mgrid[:96, :96] - 47.5
    inside = np.hypot(y, x) < 46
    assert np.sqrt(np.mean((ours - theirs)[inside] ** 2)) < 0.015
    assert np.sqrt(np.mean((ours - clean)[inside] ** 2)) < 0.02


def test_projection_and_back_projection_fit_an_image_that_is_not_square() -> None:
    image = np.zeros((50, 90))
    image[10:40, 20:70] = 0.5
    angles = np.linspace(0.0, np.pi, 120, endpoint=False)
    sinogram = project(image, angles)
    assert sinogram.shape == (120, detector_cells(image.shape))
    assert np.sqrt(np.mean((back_project(sinogram, angles, image.shape) - image) ** 2)) < 0.05


def test_low_dose_noise_is_unbiased_where_nothing_is_clipped() -> None:
    flat = np.full((64, 64), 0.5)
    images = [degrade(flat, "ct", "noise", "mild", np.random.default_rng(seed)) for seed in range(40)]
    assert abs(np.mean(images) - 0.5) < 0.01


@pytest.mark.parametrize(
    ("modality", "name", "severity"),
    [("pet", "noise", "mild"), ("ct", "bubbles", "mild"), ("ct", "noise", "none"), ("ct", NONE, "mild")],
)
def test_an_unknown_cell_is_refused(modality: str, name: str, severity: str) -> None:
    with pytest.raises(InvalidArgument):
        degrade(np.zeros((64, 64)), modality, name, severity, np.random.default_rng(0))


@pytest.mark.parametrize(
    "image", [np.zeros((64, 64, 3)), np.zeros((64, 64, 4)), np.full((64, 64), 200.0), np.full((64, 64), np.nan)]
)
def test_an_image_that_ct_physics_would_get_wrong_is_refused(image: np.ndarray) -> None:
    with pytest.raises(InvalidArgument):
        degrade(image, "ct", "noise", "mild", np.random.default_rng(0))
