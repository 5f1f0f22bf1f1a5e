import base64
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.embedding.adapters.parquet_manifest import read_parquet
from services.embedding.adapters.sources import list_source
from services.embedding.domain.images import MOST_BYTES
from services.embedding.ports import Entry
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.folders import HIDDEN, walk
from tests.support.servers import short_folder


def list_entries(source: Path) -> list[Entry]:
    with list_source(source) as listing:
        entries = list(listing)
        assert len(listing) == len(entries)
    return entries


def contents(source: Path) -> list[bytes]:
    with list_source(source) as listing:
        return [listing.read(entry) for entry in listing]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that is short enough for a socket."""
    with short_folder() as folder:
        yield folder


def test_a_folder_is_read_in_order_and_what_is_hidden_is_told_and_not_read(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.png", "a/1.dcm", ".git/x.png", ".git/y.png", "a/.cache"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = list_entries(tmp_path)
    assert [entry.name for entry in found] == [".git", "a/.cache", "a/1.dcm", "a/2.png", "b.png"]
    assert [entry.fault for entry in found] == [HIDDEN, HIDDEN, "", "", ""]


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
    assert (entry.name, entry.image_path) == ("caf\\udce9.png", "caf\\udce9.png")
    assert contents(tmp_path) == [b"x"]


def test_an_impossible_path_is_a_fault_of_its_row(tmp_path: Path) -> None:
    pd.DataFrame({"image_path": ["x" * 5000]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        contents(tmp_path / "a.parquet")[0]


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


def faults_of(source: Path) -> dict[str, str]:
    return {entry.name: entry.fault for entry in list_entries(source)}


def outcomes(source: Path) -> dict[str, str]:
    """Name to why the entry cannot be read; "" where it can."""
    found = {}
    with list_source(source) as listing:
        for entry in listing:
            try:
                listing.read(entry)
                found[entry.name] = ""
            except InvalidArgument as error:
                found[entry.name] = error.message if error.remedy else "no remedy"
    return found


def test_whatever_is_no_file_in_a_folder_has_a_row_that_says_why(tmp_path: Path, short: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"x")
    folder = short / "in"
    for name in ("good.png", "x.png/inside.png", "plain/b.png", ".DS_Store", "Thumbs.db", ".hidden/a.png", ".hidden/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    (folder / "empty").mkdir()
    links = {"out.png": tmp_path / "secret.txt", "in.png": "good.png", "zero.png": "/dev/zero", "gone.png": "nowhere",
             "loop.png": "loop.png", "up": "..", "folder.png": "plain"}  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.png"))
        found = outcomes(folder)
    assert {name for name, fault in found.items() if not fault} == {
        "good.png", "x.png/inside.png", "plain/b.png", "Thumbs.db",
    }  # fmt: skip
    assert {found[name] for name in links} == {"It is a link."}
    assert {found[name] for name in ("pipe.png", "socket.png")} == {"It is a pipe, a socket or a device."}
    assert {found[name] for name in (".DS_Store", ".hidden")} == {HIDDEN}
    assert found["x.png"].startswith("It is a folder")
    assert len(found) == 4 + len(links) + 2 + 2 + 1


def test_a_link_that_a_file_was_replaced_by_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    folder, secret = tmp_path / "in", tmp_path / "secret"
    (folder / "a").mkdir(parents=True)
    secret.mkdir()
    for name in ("1.png", "a/2.png"):
        (folder / name).write_bytes(b"x")
        (secret / Path(name).name).write_bytes(b"SECRET")
    with list_source(folder) as listing:
        (folder / "1.png").unlink()
        (folder / "1.png").symlink_to(secret / "1.png")
        (folder / "a").rename(folder / "b")
        (folder / "a").symlink_to(secret)
        for entry in listing:
            with pytest.raises(InvalidArgument, match="link"):
                listing.read(entry)


def test_a_manifest_may_name_what_is_no_file_and_each_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"x")
    folder = tmp_path / "in"
    (folder / "folder.png").mkdir(parents=True)
    (folder / "good.png").write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    (folder / "out.png").symlink_to(tmp_path / "secret.txt")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "up").symlink_to("..")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    names = ["good.png", "folder.png", "pipe.png", "out.png", "zero.png", "up/secret.txt", "huge.png", "../secret.txt"]
    (folder / "a.csv").write_text("image_path\n" + "\n".join(names))
    found = outcomes(folder / "a.csv")
    assert list(found) == names
    assert found.pop("good.png") == ""
    assert all(found.values())


def test_a_folder_that_may_not_be_listed_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "closed").mkdir(0o000)
    try:
        is_closed = not os.access(tmp_path / "closed", os.R_OK)  # the superuser may list it
        assert faults_of(tmp_path).get("closed", "") == ("The folder cannot be read." if is_closed else "")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_nest_of_folders_ends_in_a_row(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("d" * 70)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(b"x")
    ((_, fault),) = faults_of(tmp_path).items()
    assert "64 folders deep" in fault


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        (tmp_path / f"{number % 2}/{number}.png").write_bytes(b"x")
    assert len(list(walk(tmp_path, 6))) == 4
    with pytest.raises(InvalidArgument, match="more than 5 files"):
        list(walk(tmp_path, 5))


def test_names_that_cannot_be_shown_are_told_with_escapes_and_stay_apart(tmp_path: Path) -> None:
    names = ["a\nb.png", "a\\nb.png", "\x1b[31m.png", "x" * 250 + ".png"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    entries = list_entries(tmp_path)
    assert {entry.name for entry in entries} == {
        "a\\nb.png", "a\\nb.png (another file)", "\\x1b[31m.png", "x" * 250 + ".png",
    }  # fmt: skip
    assert contents(tmp_path) == [b"x"] * 4


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
