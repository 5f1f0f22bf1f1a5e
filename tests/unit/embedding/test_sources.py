import base64
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.embedding.adapters.sources import list_entries, read_entry
from shared.errors import FailedPrecondition, InvalidArgument, NotFound


def test_a_folder_is_read_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.png", "a/1.dcm", ".git/x.png", "a/.cache"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [entry.name for entry in list_entries(tmp_path)] == ["a/1.dcm", "a/2.png", "b.png"]


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
    assert [read_entry(entry) for entry in list_entries(tmp_path / "a.parquet")] == [b"one", b"two"]
    assert [read_entry(entry) for entry in list_entries(tmp_path / "b.parquet")] == [b"one"]


def test_a_short_image_cell_names_the_row_that_holds_the_picture(tmp_path: Path) -> None:
    content = base64.b64encode(bytes(90)).decode()
    (tmp_path / "a.tsv").write_text(f"index\timage\n5\t{content}\n6\t5\n")
    assert [read_entry(entry) for entry in list_entries(tmp_path / "a.tsv")] == [bytes(90)] * 2


@pytest.mark.parametrize("cell", ["../x.png", "/etc/hostname", "missing.png", ""])
def test_a_row_that_leads_nowhere_is_a_fault_of_its_own(tmp_path: Path, cell: str) -> None:
    (tmp_path / "a.csv").write_text(f"image_path,licence\n{cell},CC0\n")
    with pytest.raises(InvalidArgument) as caught:
        read_entry(list_entries(tmp_path / "a.csv")[0])
    assert caught.value.remedy


def test_text_that_is_not_base64_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image\n" + "not base64! " * 9 + "\n")
    with pytest.raises(InvalidArgument, match="base64"):
        read_entry(list_entries(tmp_path / "a.csv")[0])


def test_other_sources_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png")
    (tmp_path / "broken.parquet").write_text("no parquet")
    (tmp_path / "other.csv").write_text("file,label\na,b\n")
    (tmp_path / "none.csv").write_text("image_path\n")
    for name, error in (
        ("list.txt", InvalidArgument), ("broken.parquet", InvalidArgument), ("other.csv", InvalidArgument),
        ("none.csv", FailedPrecondition), ("absent", NotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            list_entries(tmp_path / name)


def test_a_name_that_is_no_unicode_is_told_with_escapes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"x")
    (entry,) = list_entries(tmp_path)
    assert (entry.name, entry.image_path, read_entry(entry)) == ("caf\\udce9.png", "caf\\udce9.png", b"x")


def test_an_impossible_path_is_a_fault_of_its_row(tmp_path: Path) -> None:
    pd.DataFrame({"image_path": ["x" * 5000]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_entry(list_entries(tmp_path / "a.parquet")[0])


def test_an_impossible_source_is_not_found(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(NotFound):
            list_entries(tmp_path / name)


def faults(path: Path) -> list[tuple[str, str]]:
    return [(entry.fault, entry.remedy) if entry.fault else ("", "") for entry in list_entries(path)]


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


def test_a_row_of_parquet_that_would_mislead_is_a_fault(tmp_path: Path) -> None:
    table = {"image_path": ["a.png", "b\0.png", "c.png"], "modality": ["ct", "ct", "endoscpy"]}
    pd.DataFrame(table).to_parquet(tmp_path / "a.parquet")
    assert [reason for reason, _ in faults(tmp_path / "a.parquet")] == [
        "", "The row holds a NUL byte.", "The modality is misspelt.",
    ]  # fmt: skip


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


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    columns = pa.array(["a.png"]), pa.array(["ct"]), pa.array(["mri"])
    pq.write_table(pa.Table.from_arrays(columns, names=["image_path", "modality", "modality"]), tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="Two columns of the manifest have one name"):
        list_entries(tmp_path / "a.parquet")
