import json
from pathlib import Path

import pytest

from studies.base_model import BaseTraining, base_spec, pretrain_base
from studies.folder import write_study
from studies.plan import StudyPlan

TRAINING = BaseTraining(epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, StudyPlan(n_base=10, n_pool=0, n_dev=0, n_test=0, n_replay=0, size=32))
    return folder


@pytest.fixture(scope="module")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain_base(study, tmp_path_factory.mktemp("base"), TRAINING)


def test_every_question_and_one_caption_an_image_are_trained_on(study: Path, trained: Path) -> None:
    rows = [json.loads(line) for line in base_spec(study, trained.parent, TRAINING).train_file.read_text().splitlines()]
    captions = [row for row in rows if row["id"].startswith("caption-")]
    assert len({row["images"][0] for row in captions}) == len(captions) == 10
    assert len(rows) == 40
    assert json.loads((trained / "training.json").read_text())["n_samples"] == 40


def test_answers_are_the_letters_of_the_study(study: Path, trained: Path) -> None:
    rows = [json.loads(line) for line in base_spec(study, trained.parent, TRAINING).train_file.read_text().splitlines()]
    answers = {row["conversations"][1]["value"] for row in rows if not row["id"].startswith("caption-")}
    assert answers <= set("ABCD")


def test_same_study_and_settings_give_the_same_bytes(study: Path, trained: Path, tmp_path: Path) -> None:
    again = pretrain_base(study, tmp_path, TRAINING)
    for path in sorted(trained.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes()
