import json
import os
from pathlib import Path

import pytest

from shared.checkpoints import checkpoint_files, require_checkpoint
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


def test_a_missing_shard_is_counted(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "part-1.safetensors")
    shards = {"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(shards))
    with pytest.raises(InvalidArgument, match="1 of the 2 weight files"):
        require_checkpoint(tmp_path)


def test_config_that_is_no_json_is_invalid(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("<html>")
    with pytest.raises(InvalidArgument, match=r"config\.json is not a JSON object"):
        require_checkpoint(tmp_path)


def _shards(folder: Path, names: object) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def test_the_files_of_a_checkpoint_are_those_of_known_names(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    _shards(tmp_path, {"a": "part-1.safetensors", "b": "part-2.safetensors"})
    for name in (
        "part-1.safetensors",
        "part-2.safetensors",
        "part-3.safetensors",
        "token",
        "modeling.py",
        ".env",
        "x.bin",
    ):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "code").mkdir()
    assert set(checkpoint_files(tmp_path)) == {
        "config.json", "model.safetensors.index.json", "part-1.safetensors", "part-2.safetensors", "tokenizer.json",
        "processor_config.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors", "chat_template.jinja"])
@pytest.mark.parametrize("target", ["outside", "/etc/passwd", "../outside", ".token", "/dev/zero"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, name: str, target: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    _write_checkpoint(folder)
    (tmp_path / "outside").write_text("SECRET")
    (folder / ".token").write_text("SECRET")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "outside" if target == "outside" else target)
    with pytest.raises(InvalidArgument, match=f"{name} is a link that leads out") as caught:
        checkpoint_files(folder)
    assert "SECRET" not in str(caught.value)


def test_a_snapshot_of_the_hugging_face_cache_may_lead_to_its_own_blobs(tmp_path: Path) -> None:
    model, other = tmp_path / "models--a--b", tmp_path / "models--c--d"
    folder = model / "snapshots" / "0123"
    for place in (folder, model / "blobs", other / "blobs"):
        place.mkdir(parents=True)
    _write_checkpoint(folder)
    for number, name in enumerate(("config.json", "model.safetensors", "tokenizer.json", "processor_config.json")):
        blob = f"{number}" * 40
        (folder / name).rename(model / "blobs" / blob)
        (folder / name).symlink_to(f"../../blobs/{blob}")
    assert checkpoint_files(folder)["config.json"] == model / "blobs" / ("0" * 40)
    require_checkpoint(folder)
    (other / "blobs" / ("9" * 40)).write_text("SECRET")
    (model / "blobs" / "token").write_text("SECRET")
    for target in (other / "blobs" / ("9" * 40), model / "blobs" / "token", model / "refs"):
        (folder / "vocab.txt").symlink_to(target)
        with pytest.raises(InvalidArgument, match=r"vocab.txt is a link that leads out"):
            checkpoint_files(folder)
        (folder / "vocab.txt").unlink()


@pytest.mark.parametrize(
    "names",
    [
        {"a": "../SECRET.safetensors"}, {"a": "/etc/SECRET"}, {"a": ".SECRET.bin"}, {"a": "SECRET"}, {"a": 5}, {"a": ["SECRET"]},
        {"a": {"b": "SECRET"}}, {}, [], "SECRET", None, {"a": "SECRET/x.bin"}, {"a": "SECRET.py"}, {"a": "SECRET\0.bin"},
    ],
)  # fmt: skip
def test_what_an_index_names_is_a_weight_file_beside_it(tmp_path: Path, names: object) -> None:
    _write_checkpoint(tmp_path)
    _shards(tmp_path, names)
    with pytest.raises(InvalidArgument, match="does not name the weight files beside it") as caught:
        checkpoint_files(tmp_path)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_pipe_and_a_folder_are_no_part_of_a_checkpoint(tmp_path: Path, name: str) -> None:
    _write_checkpoint(tmp_path)
    for make in (os.mkfifo, os.mkdir):
        (tmp_path / name).unlink()
        make(tmp_path / name)
        with pytest.raises(InvalidArgument, match=f"{name} cannot be used: this is no regular file"):
            checkpoint_files(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"[]", b"1" * 5000, b"SECRET", b'{"a":'])
def test_a_description_that_is_no_object_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    _write_checkpoint(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InvalidArgument, match=r"config\.json is not a JSON object") as caught:
        checkpoint_files(tmp_path)
    assert "SECRET" not in str(caught.value)


def test_a_huge_description_is_not_read(tmp_path: Path) -> None:
    _write_checkpoint(tmp_path)
    os.truncate(tmp_path / "config.json", 1 << 40)
    with pytest.raises(InvalidArgument, match=r"config\.json cannot be used: the file is too large"):
        checkpoint_files(tmp_path)
