import json
from collections import Counter
from pathlib import Path

import pytest

from studies.base_model import BaseTraining, base_spec, pretrain_base, word_sample
from studies.folder import write_study
from studies.images.degradations import NONE
from studies.plan import StudyPlan
from studies.questions import PHRASES

TRAINING = BaseTraining(epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, StudyPlan(n_base=10, n_pool=0, n_dev=0, n_test=0, n_replay=0, size=32))
    return folder


@pytest.fixture(scope="module")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain_base(study, tmp_path_factory.mktemp("base"), TRAINING)


def test_every_question_one_description_and_a_word_for_every_fourth_image_are_trained_on(
    study: Path, trained: Path
) -> None:
    rows = [json.loads(line) for line in base_spec(study, trained.parent, TRAINING).train_file.read_text().splitlines()]
    descriptions = [row for row in rows if row["id"].startswith("description-")]
    assert len({row["images"][0] for row in descriptions}) == len(descriptions) == 10
    assert len(rows) == 43
    assert json.loads((trained / "training.json").read_text())["n_samples"] == 43


def test_answers_are_the_letters_of_the_study(study: Path, trained: Path) -> None:
    rows = [json.loads(line) for line in base_spec(study, trained.parent, TRAINING).train_file.read_text().splitlines()]
    answers = {row["conversations"][1]["value"] for row in rows if row["id"].isdigit()}
    assert answers <= set("ABCD")


def test_same_study_and_settings_give_the_same_bytes(study: Path, trained: Path, tmp_path: Path) -> None:
    again = pretrain_base(study, tmp_path, TRAINING)
    for path in sorted(trained.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_words_are_of_every_degradation_of_the_modality_and_say_nothing_of_the_image(
    study: Path, trained: Path
) -> None:
    rows = [
        {"index": str(index), "image_path": "base/0.png", "modality": "ct", "attribute": "noise"}
        for index in range(200)
    ]
    named = Counter(word_sample(row).answer for row in rows)
    assert set(named) == {phrase for name, phrase in PHRASES["ct"].items() if name != NONE}
    assert min(named.values()) > 20
