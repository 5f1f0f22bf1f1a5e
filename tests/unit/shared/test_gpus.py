"""GPUs by the names that CUDA takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.gpus import visible_gpus


@pytest.mark.parametrize(
    ("said", "seen"), [("", ()), ("-1", ()), ("2,3", ("2", "3")), ("GPU-a", ("GPU-a",)), (None, ("0", "1"))]
)
def test_what_the_environment_names_is_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, seen: tuple[str, ...]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    for name in ("nvidia0", "nvidia7", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus(tmp_path) == seen
