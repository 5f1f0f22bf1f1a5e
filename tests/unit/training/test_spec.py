import json
from pathlib import Path

import pytest

from services.training.job.spec import TrainingSpec, read_spec
from shared.errors import InvalidArgument

PATHS = {"model_folder": "/m", "train_file": "/t.jsonl", "image_folder": "/i", "output_folder": "/o"}
REQUIRED = PATHS | {"batch_size": 8}


def test_defaults_are_the_papers() -> None:
    spec = TrainingSpec.model_validate(REQUIRED)
    assert (spec.learning_rate, spec.epochs, spec.steps) == (2e-5, 3, 0)


def test_settings_hold_no_path() -> None:
    assert not set(TrainingSpec.model_validate(REQUIRED).settings) & set(PATHS)


@pytest.mark.parametrize(("field", "value"), [("learning_rat", 1), ("epochs", 0), ("loss_reduction", "sum")])
def test_bad_field_is_named(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(REQUIRED | {field: value}))
    with pytest.raises(InvalidArgument) as caught:
        read_spec(path)
    assert caught.value.field == field


def test_absent_file_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="has no file"):
        read_spec(tmp_path / "absent.json")
