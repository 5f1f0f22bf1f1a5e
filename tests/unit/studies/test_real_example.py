from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import typer
import yaml
from PIL import Image

from shared.errors import AlreadyExists, InvalidArgument, NotFound
from studies.folder import COLUMNS
from studies.images.degradations import GREY_MODALITIES
from studies.images.phantoms import make_phantom
from studies.images.real_images import Source, folder_sources, read_image, wheel_sources
from studies.real_example import SPLITS, Region, deal, main, write_example


def read_rows(folder: Path, split: str) -> list[dict[str, str]]:
    name = "pool_answers.tsv" if split == "pool" else f"{split}.tsv"
    with (folder / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def save_phantoms(folder: Path, count: int) -> Path:
    folder.mkdir()
    for seed in range(count):
        pixels = (make_phantom("mri", seed, 64) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"scan{seed}.png")
    return folder


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "study"
    write_example(out, wheel_sources(), size=32)
    return out


def test_the_wheels_hold_six_usable_images_of_four_modalities() -> None:
    sources = wheel_sources()
    assert [source.modality for source in sources] == ["ct", "ct", "mri", "mri", "fundus", "histopathology"]
    for source in sources:
        image = read_image(source)
        assert image.ndim == (2 if source.modality in GREY_MODALITIES else 3)
        assert (image.min(), image.max()) >= (0.0, 0.5)
        assert image.max() <= 1.0
        assert image.std() > 0.05


def test_the_example_has_every_split_with_images_that_exist(example: Path) -> None:
    for split in SPLITS:
        rows = read_rows(example, split)
        assert tuple(rows[0]) == COLUMNS
        assert all((example / row["image_path"]).is_file() for row in rows)
        types = {"yes_no", "what", "how", *(["description"] if split == "pool" else [])}
        assert {row["question_type"] for row in rows} == types


def test_the_pool_has_dicom_files_as_they_came(example: Path) -> None:
    copies = sorted((example / "pool").glob("*.dcm"))
    originals = {source.path.read_bytes() for source in wheel_sources() if source.is_dicom}
    assert len(copies) == 2
    assert all(copy.read_bytes() in originals for copy in copies)


def test_where_a_modality_has_two_sources_training_and_evaluation_share_none(example: Path) -> None:
    training = {row["source_id"] for split in ("pool", "replay") for row in read_rows(example, split)}
    evaluation = {row["source_id"] for split in ("dev", "test") for row in read_rows(example, split)}
    description = json.loads((example / "study.json").read_text())
    assert training & evaluation == {"skimage-ihc", "skimage-retina"}
    assert description["in_training_and_evaluation"] == ["skimage-ihc", "skimage-retina"]
    assert "skimage-retina" in (example / "README.txt").read_text()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        write_example(tmp_path / name, wheel_sources()[:4], size=32)
        files = sorted(path for path in (tmp_path / name).rglob("*.*") if path.is_file())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("n_parts", [1, 2, 4])
@pytest.mark.parametrize("shape", [(50, 80), (81, 51, 3)])
def test_the_parts_of_an_image_cover_it_without_overlap(n_parts: int, shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    source = wheel_sources()[0]
    parts = [Region(source, part, n_parts).cut(image).ravel() for part in range(n_parts)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), image.ravel())


@pytest.mark.parametrize("n_patients", [2, 3, 4, 5, 9])
def test_no_patient_serves_training_and_evaluation(n_patients: int) -> None:
    sources = [
        Source(f"{patient}/{image}", "mri", Path(f"{patient}-{image}.png"), str(patient))
        for patient in range(n_patients)
        for image in range(2)
    ]
    regions = deal(sources, seed=3)
    patients = {split: {region.source.patient for region in regions[split]} for split in SPLITS}
    assert all(patients.values())
    assert not (patients["pool"] | patients["replay"]) & (patients["dev"] | patients["test"])
    if n_patients >= 3:
        assert not patients["dev"] & patients["test"]


def test_a_users_folder_is_read_with_one_patient_per_sub_folder(tmp_path: Path) -> None:
    folder = save_phantoms(tmp_path / "mine", 3)
    save_phantoms(folder / "anna", 2)
    assert [source.patient for source in folder_sources(folder, "mri")] == ["anna", "anna", "scan0", "scan1", "scan2"]


def test_a_users_folder_becomes_a_study_and_broken_files_are_named(tmp_path: Path) -> None:
    folder = save_phantoms(tmp_path / "mine", 4)
    (folder / "notes.png").write_text("this is no image")
    (folder / "cut.dcm").write_bytes(wheel_sources()[1].path.read_bytes()[:3000])
    main(tmp_path / "out", images=folder, modality="mri", size=48, seed=0)
    description = json.loads((tmp_path / "out" / "study.json").read_text())
    assert sorted(description["unusable"]) == ["cut.dcm", "notes.png"]
    assert description["n_sources"]["mri"] == 4
    assert description["in_training_and_evaluation"] == []
    run = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())
    assert run["data"]["dev_guarded"] is True
    assert run["evaluate"] == {"runs": 5, "extractor": "likelihood", "answer_form": "open"}
    for split in SPLITS:
        assert {row["modality"] for row in read_rows(tmp_path / "out", split)} == {"mri"}


def test_dev_is_not_guarded_where_two_patients_are_all_there_are(tmp_path: Path) -> None:
    folder = save_phantoms(tmp_path / "mine", 1)
    save_phantoms(folder / "anna", 3)
    main(tmp_path / "out", images=folder, model=tmp_path / "own", modality="mri", size=48, seed=0)
    run = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())
    assert run["data"]["dev_guarded"] is False
    assert run["evaluate"] == {"runs": 5, "max_new_tokens": 4}  # another model than the demo's writes letters


def test_colour_and_grey_files_fit_their_modality(tmp_path: Path) -> None:
    rgb, grey = tmp_path / "rgb.png", tmp_path / "grey.tif"
    Image.fromarray((make_phantom("fundus", 0, 64) * 255).astype(np.uint8)).save(rgb)
    Image.fromarray((make_phantom("mri", 0, 64) * 65535).astype(np.uint16)).save(grey)
    assert read_image(Source("a", "mri", rgb, "a")).shape == (64, 64)
    assert read_image(Source("b", "fundus", grey, "b")).shape == (64, 64, 3)
    assert read_image(Source("b", "mri", grey, "b")).max() == 1.0


def test_an_inverted_dicom_is_turned_over(tmp_path: Path) -> None:
    original = wheel_sources()[3]
    dataset = pydicom.dcmread(original.path)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.save_as(tmp_path / "inverted.dcm")
    inverted = read_image(Source("i", "mri", tmp_path / "inverted.dcm", "i"))
    np.testing.assert_allclose(inverted, 1.0 - read_image(original), atol=1e-12)


def test_a_folder_without_images_or_with_unreadable_ones_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        folder_sources(tmp_path / "nowhere", "mri")
    with pytest.raises(NotFound):
        folder_sources(tmp_path, "mri")
    with pytest.raises(InvalidArgument, match="modality"):
        folder_sources(tmp_path, "pet")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InvalidArgument, match="No usable image"):
        write_example(tmp_path / "out", folder_sources(tmp_path, "mri"))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(AlreadyExists):
        write_example(tmp_path, wheel_sources())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_fails_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        main(tmp_path / "out", images=tmp_path / "nowhere", modality="mri")
    assert caught.value.exit_code == 2
    assert "Give a folder of images" in capsys.readouterr().err
