from __future__ import annotations

from pathlib import Path

from studies.base_model import read_rows
from studies.images.degradations import DEGRADATIONS
from studies.images.real_images import wheel_sources
from studies.real_slice import write_real_slice


def test_every_source_is_shown_with_every_degradation_of_its_modality_at_both_severities(tmp_path: Path) -> None:
    n_sources = write_real_slice(tmp_path)
    rows = read_rows(tmp_path / "real.tsv")
    shown = {(row["source_id"], row["attribute"], row["severity"]) for row in rows}
    sources = wheel_sources()
    assert n_sources == len({row["patient_id"] for row in rows}) == len(sources) == 6
    assert len(shown) == sum(2 * (len(DEGRADATIONS[source.modality]) - 1) + 1 for source in sources)
    assert {row["image_path"] for row in rows} == {f"real/{path.name}" for path in (tmp_path / "real").glob("*.png")}


def test_the_slice_is_the_same_on_every_call(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_real_slice(tmp_path / name)
    files = [sorted((tmp_path / name).rglob("*.*")) for name in ("first", "second")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
