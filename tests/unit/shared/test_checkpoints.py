import json
from pathlib import Path

import pytest

from shared.checkpoints import require_checkpoint
from shared.errors import InvalidArgument


def _write_checkpoint(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    for name in ("model.safetensors", "tokenizer.json", "processor_config.json"):
        (folder / name).write_bytes(b"")


def test_complete_folder_passes(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    require_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("missing", "word"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "tokenizer"),
        ("processor_config.json", "image processor"),
    ],
)
def test_missing_part_is_named_with_folder_and_remedy(tmp_path: Path, missing: str, word: str) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InvalidArgument) as caught:
        require_checkpoint(tmp_path)
    assert word in caught.value.message
    assert caught.value.value == str(tmp_path)
    assert caught.value.remedy


def test_missing_folder_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no such folder"):
        require_checkpoint(tmp_path / "absent")


def test_missing_shard_is_named(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "part-1.safetensors")
    shards = {"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(shards))
    with pytest.raises(InvalidArgument, match=r"part-2\.safetensors"):
        require_checkpoint(tmp_path)


def test_config_that_is_no_json_is_invalid(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("<html>")
    with pytest.raises(InvalidArgument, match=r"config\.json is not a JSON object"):
        require_checkpoint(tmp_path)
