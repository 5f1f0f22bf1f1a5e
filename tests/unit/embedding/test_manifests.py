"""Manifests: tables that say which picture stands where, and what is wrong with a row."""

import base64
from pathlib import Path

import pandas as pd
import pytest

from services.embedding.adapters.sources import list_source
from shared.errors import InvalidArgument
from tests.support.source_entries import contents, faults, list_entries, outcomes


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_each_kind_of_manifest_says_the_same(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"image_path": ["x.png", "y/z.png"], "modality": ["CT", ""], "license": ["CC0", ""]})
    path = tmp_path / f"list{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    first, second = list_entries(path)
    assert (first.name, first.path, first.modality, first.licence) == ("x.png", tmp_path / "x.png", "CT", "CC0")
    assert (second.name, second.modality) == ("y/z.png", "")


def test_a_path_may_stand_in_several_rows_and_an_index_may_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image_path\nx.png\nx.png\n")
    assert [(e.name, e.fault) for e in list_entries(tmp_path / "a.csv")] == [("x.png", ""), ("x.png (row 2)", "")]
    (tmp_path / "b.tsv").write_text("index\timage_path\n1\tx.png\n1\ty.png\n")
    assert [bool(e.fault) for e in list_entries(tmp_path / "b.tsv")] == [False, True]


def test_bytes_and_structs_of_parquet_are_pictures(tmp_path: Path) -> None:
    pd.DataFrame({"image": [b"one", b"two"]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"image": [{"bytes": b"one", "path": "1.png"}]}).to_parquet(tmp_path / "b.parquet")
    assert contents(tmp_path / "a.parquet") == [b"one", b"two"]
    assert contents(tmp_path / "b.parquet") == [b"one"]


def test_a_short_image_cell_names_the_row_that_holds_the_picture(tmp_path: Path) -> None:
    content = base64.b64encode(bytes(90)).decode()
    (tmp_path / "a.tsv").write_text(f"index\timage\n5\t{content}\n6\t5\n")
    assert contents(tmp_path / "a.tsv") == [bytes(90)] * 2


def test_a_cell_may_name_a_row_that_stands_further_on_and_the_last_of_an_index_counts(tmp_path: Path) -> None:
    one, other = (base64.b64encode(bytes([n]) * 90).decode() for n in (1, 2))
    (tmp_path / "a.tsv").write_text(f"index\timage\n6\t5\n5\t{one}\n5\t{other}\n7\tQUJD\n")
    entries = list_entries(tmp_path / "a.tsv")
    assert [bool(entry.fault) for entry in entries] == [False, False, True, False]
    assert entries[0].picture == entries[2].picture != entries[1].picture
    with list_source(tmp_path / "a.tsv") as listing:
        assert [listing.read(entry) for entry in entries if not entry.fault] == [
            bytes([2]) * 90,
            bytes([1]) * 90,
            b"ABC",
        ]


def test_rows_that_hold_the_same_text_hold_one_picture(tmp_path: Path) -> None:
    content = base64.b64encode(bytes(90)).decode()
    (tmp_path / "a.tsv").write_text(f"image\n{content}\n{content}\n")
    first, second = list_entries(tmp_path / "a.tsv")
    assert first.picture == second.picture


@pytest.mark.parametrize("cell", ["../x.png", "/etc/hostname", "missing.png", ""])
def test_a_row_that_leads_nowhere_is_a_fault_of_its_own(tmp_path: Path, cell: str) -> None:
    (tmp_path / "a.csv").write_text(f"image_path,licence\n{cell},CC0\n")
    with pytest.raises(InvalidArgument) as caught:
        contents(tmp_path / "a.csv")[0]
    assert caught.value.remedy


def test_text_that_is_not_base64_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image\n" + "not base64! " * 9 + "\n")
    with pytest.raises(InvalidArgument, match="base64"):
        contents(tmp_path / "a.csv")[0]


def test_an_impossible_path_is_a_fault_of_its_row(tmp_path: Path) -> None:
    pd.DataFrame({"image_path": ["x" * 5000]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        contents(tmp_path / "a.parquet")[0]


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_row_that_would_mislead_is_a_fault_and_the_others_stand(tmp_path: Path, suffix: str, separator: str) -> None:
    rows = [
        ("image_path", "modality", "split"), ("a.png", "ct", "pool"), ("b.png",), ("c.png", "ct", "pool", "more"),
        ("d.png", "fundos", "pool"), ("e.png", "ct", "tset"), ("f\0.png", "ct", "pool"), ("g.png", "x-ray", ""),
    ]  # fmt: skip
    path = tmp_path / f"list{suffix}"
    path.write_text("\n".join(separator.join(row) for row in rows))
    found = faults(path)
    assert [reason for reason, _ in found] == [
        "", "The row has 1 of 3 fields.", "The row has 4 fields, the header has 3.", "The modality is misspelt.",
        "The split is misspelt.", "The row holds a NUL byte.", "",
    ]  # fmt: skip
    assert [remedy for _, remedy in found[3:5]] == ["Write fundus.", "Write test."]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", b"image_path,modality\na.png,ct\nb\xff.png,ct\n", "cannot be read: line 3 is not UTF-8"),
        ("a.tsv", b'image_path\tmodality\na.png\t"ct\nb.png\tct\n', "opened in line 2 and never closed"),
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"image_path,modality,modality\na.png,ct,mri\n", "Two columns of the manifest have one name"),
        ("a.parquet", b"no parquet", "no Parquet file"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_by_its_line(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument, match=what) as caught:
        list_entries(tmp_path / name)
    assert caught.value.remedy


@pytest.mark.parametrize("column", ["index", "patient_id", "source_id", "licence", "modality", "split"])
def test_a_text_that_is_no_name_is_a_fault_and_not_quoted(tmp_path: Path, column: str) -> None:
    (tmp_path / "a.csv").write_text(f"image_path,{column}\na.png,{'SECRET' * 100}\nb.png,x\n")
    first, second = list_entries(tmp_path / "a.csv")
    assert (first.fault, second.fault) == (f"The text of {column} is too long.", "")
    assert "SECRET" not in str(first)


def test_names_stay_apart_whatever_a_table_calls_its_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("index,image_path\nx (row 3),a.png\nx,b.png\nx,c.png\nx,d.png\nx (row 4),e.png\n")
    names = [entry.name for entry in list_entries(tmp_path / "a.csv")]
    assert len(set(names)) == 5


@pytest.mark.parametrize("cells", [("5", "5"), ("6", "5")])
def test_cells_that_name_each_other_hold_no_picture(tmp_path: Path, cells: tuple[str, str]) -> None:
    (tmp_path / "a.tsv").write_text(f"index\timage\n5\t{cells[0]}\n6\t{cells[1]}\n")
    assert set(outcomes(tmp_path / "a.tsv").values()) == {"The image cell names a row that holds no picture itself."}


@pytest.mark.parametrize("content", ["data:image/png," + "x" * 90, "data:image/png;base64,", "data:" + "A" * 90])
def test_a_data_uri_without_base64_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.tsv").write_text(f"image\n{content}\n")
    assert set(outcomes(tmp_path / "a.tsv").values()) == {"The image column is not base64."}


def test_a_data_uri_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(f"image\ndata:image/png;base64,{base64.b64encode(bytes(90)).decode()}\n")
    assert contents(tmp_path / "a.tsv")[0] == bytes(90)


def test_a_manifest_without_a_suffix_is_told_by_its_content(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_path": ["x.png", "y.png"], "modality": ["CT", ""]})
    table.to_parquet(tmp_path / "a")
    table.to_csv(tmp_path / "b", index=False)
    table.to_csv(tmp_path / "c", index=False, sep="\t")
    for name in "abc":
        assert [(entry.name, entry.modality) for entry in list_entries(tmp_path / name)] == [
            ("x.png", "CT"),
            ("y.png", ""),
        ]


@pytest.mark.parametrize("name", ["token", "worklist.csv", "worklist.tsv", "notes.txt", "w.parquet", "binary"])
def test_no_error_quotes_a_file_that_is_no_manifest(tmp_path: Path, name: str) -> None:
    content = bytes(range(256)) + b"SECRET" if name == "binary" else b"SECRET^NAME,MRN-SECRET\nimage,SECRET\n"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument) as caught:
        list_entries(tmp_path / name)
    assert "SECRET" not in f"{caught.value} {caught.value.metadata}"
