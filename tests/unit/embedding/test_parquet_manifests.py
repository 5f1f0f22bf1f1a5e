"""Manifests in Parquet: what they may hold, how much, and what a damaged one ends."""

import resource
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.embedding.adapters.parquet_manifest import read_parquet
from shared.errors import InvalidArgument
from tests.support.source_entries import faults, list_entries


def test_a_row_of_parquet_that_would_mislead_is_a_fault(tmp_path: Path) -> None:
    table = {"image_path": ["a.png", "b\0.png", "c.png"], "modality": ["ct", "ct", "endoscpy"]}
    pd.DataFrame(table).to_parquet(tmp_path / "a.parquet")
    assert [reason for reason, _ in faults(tmp_path / "a.parquet")] == [
        "", "The row holds a NUL byte.", "The modality is misspelt.",
    ]  # fmt: skip


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    columns = pa.array(["a.png"]), pa.array(["ct"]), pa.array(["mri"])
    pq.write_table(pa.Table.from_arrays(columns, names=["image_path", "modality", "modality"]), tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="Two columns of the manifest have one name"):
        list_entries(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (
            {"image_path": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_001), ["a.png"])},
            "more than 1000000 rows",
        ),
        ({"image_path": ["a"], **{f"c{i}": [1] for i in range(10_000)}}, "more than 10000 columns"),
        ({"image_path": pa.array([["a.png"] * 9])}, "image_path holds neither text nor numbers"),
        ({"image_path": ["a"], "index": pa.array([{"SECRET": 1}])}, "index holds neither text nor numbers"),
    ],
    ids=["rows", "columns", "list", "struct"],
)
def test_a_parquet_file_that_holds_too_much_is_refused(tmp_path: Path, columns: dict[str, object], what: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 4 << 20
    with pytest.raises(InvalidArgument, match=what) as caught:
        list_entries(tmp_path / "a.parquet")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("is_repeated", [False, True])
def test_a_small_file_of_large_values_is_refused_and_columns_that_are_not_needed_do_not_count(
    tmp_path: Path, is_repeated: bool
) -> None:
    pictures = pa.DictionaryArray.from_arrays(pa.array([0] * 20), [bytes(1 << 20)])
    table = pa.table({"image_path": ["a.png"] * 20, "image": pictures if is_repeated else pictures.dictionary_decode()})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", use_dictionary=is_repeated)
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 14
    columns, rows = read_parquet(tmp_path / "a.parquet", ("image_path",), "source_uri", 4 << 20)
    assert (len(list(rows)), columns) == (20, ["image_path", "image"])
    columns, rows = read_parquet(tmp_path / "a.parquet", ("image_path", "image"), "source_uri", 4 << 20)
    with pytest.raises(InvalidArgument, match="hold more than 4 MiB"):
        list(rows)


def test_a_parquet_file_that_lies_about_its_sizes_ends_no_more_than_the_process_that_decodes_it(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"image_path": ["a.png"]}), tmp_path / "a.parquet", compression="none", use_dictionary=False
    )
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    # The page begins behind the four bytes of the magic: its type, and its size in one byte.
    assert data[4:7] == b"\x15\x00\x15"
    data[7:8] = b"\xfe\xff\xff\xff\x0f"  # 2 GiB - 1, uncompressed
    (tmp_path / "a.parquet").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidArgument, match=r"too much memory|damaged|ended the process"):
        list_entries(tmp_path / "a.parquet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (100 << 10)


def test_gaps_and_kinds_of_numbers_in_parquet_are_texts(tmp_path: Path) -> None:
    columns = {"image_path": ["a", "b", None], "index": [1.0, float("nan"), 2.5], "patient_id": pa.array([7, None, 8])}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    entries = list_entries(tmp_path / "a.parquet")
    assert [(entry.name, entry.patient_id) for entry in entries] == [("1", "7"), ("b", ""), ("2.5", "8")]


def test_text_in_parquet_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    pq.write_table(pa.table({"image_path": broken}), tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="damaged"):
        list_entries(tmp_path / "a.parquet")


@pytest.mark.parametrize("place", [105, 106])
def test_a_damaged_parquet_file_that_ends_its_reader_is_refused(tmp_path: Path, place: int) -> None:
    """Arrow calls `abort` where these bytes of a column's statistics are not what they were."""
    pq.write_table(pa.table({"image_path": ["a.png", None, "b.png"] * 4}), tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[place] ^= 0xFF
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InvalidArgument, match="no Parquet file, or damaged"):
        list_entries(tmp_path / "a.parquet")
