from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import FailedPrecondition
from shared.reloaded import Reloaded, read_file


def _number(path: Path) -> int:
    text = read_file(path, "number").decode()
    if not text.isdigit():
        raise FailedPrecondition("No number.", remedy="Write one.")
    return int(text)


def test_a_value_follows_its_file_and_is_made_once_a_change(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    n_loads = []

    def load() -> int:
        n_loads.append(1)
        return _number(file)

    value = Reloaded([file], load, "a number")
    assert [value.get(), value.get()] == [1, 1]
    file.write_text("22")
    assert [value.get(), value.get()] == [22, 22]
    assert len(n_loads) == 2


def test_a_secret_that_is_swapped_by_a_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: `file -> ..data/file`, `..data -> ..2026_11_21`, and the inner link is swapped."""
    for version in ("1", "2"):
        (tmp_path / f"..v{version}").mkdir()
        (tmp_path / f"..v{version}" / "number").write_text(version)
    (tmp_path / "..data").symlink_to("..v1")
    file = tmp_path / "number"
    file.symlink_to("..data/number")
    value = Reloaded([file], lambda: _number(file), "a number")
    assert value.get() == 1
    (tmp_path / "..next").symlink_to("..v2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert value.get() == 2


def test_a_broken_or_missing_file_keeps_the_value(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    value = Reloaded([file], lambda: _number(file), "a number")
    file.write_text("broken")
    assert value.get() == 1
    file.unlink()
    assert value.get() == 1
    file.write_text("333")
    assert value.get() == 333


def test_what_is_broken_at_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="cannot be read"):
        Reloaded([tmp_path / "absent"], lambda: _number(tmp_path / "absent"), "a number")
