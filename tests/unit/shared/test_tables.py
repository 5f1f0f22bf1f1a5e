import pytest

from shared.errors import InvalidArgument
from shared.tables import LONGEST_ROW, MOST_COLUMNS, TableRow, read_header, read_rows


def write(tmp_path, content, name="t.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, skipped=()):
    return read_rows(path, "table", "items_uri", skipped)


def test_rows_know_their_lines_and_cells_stay_text(tmp_path):
    path = write(tmp_path, '\ufeffindex\ttext\n01\t"two\nlines"\n\n02\tNA\n')
    assert read(path) == [
        TableRow(2, {"index": "01", "text": "two\nlines"}), TableRow(5, {"index": "02", "text": "NA"}),
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_lines_may_end_in_any_way(tmp_path, end):
    path = write(tmp_path, f"a,b{end or chr(10)}1,2{end}", "t.csv")
    assert [row.cells for row in read(path)] == [{"a": "1", "b": "2"}]


def test_skipped_and_nameless_columns_are_left_out(tmp_path):
    path = write(tmp_path, "\timage\tindex\t\n0\tAAAA\t1\tx\n")
    assert [row.cells for row in read(path, {"image"})] == [{"index": "1"}]


def test_a_row_of_another_length_or_with_a_nul_byte_has_a_fault(tmp_path):
    path = write(tmp_path, "a\tb\tc\n1\n1\t2\t3\t4\n1\t\0\t3\n \n1\t2\t3\n")
    rows = read(path)
    assert [row.fault.reason if row.fault else "" for row in rows] == [
        "the row has 1 of 3 fields", "the row has 4 fields, the header has 3", "the row holds a NUL byte", "",
    ]  # fmt: skip
    assert [row.line for row in rows] == [2, 3, 4, 6]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a\tb\n1\t2\n\xff\t2\n", "The table cannot be read: line 3 is not UTF-8"),
        ("a\tb\n".encode("utf-16"), "line 1 is not UTF-8"),
        ('a\tb\n1\t2\n1\t"secret\n3\t4', "opened in line 3 and never closed"),
        ('a\tb\n"x\ny"\t"secret\n3\t4\n', "opened in line 3 and never closed"),
        ("", "it is empty"),
        ("\n1\t2\n", "it is empty"),
        ("a\tb\ta\n", "Two columns of the table have one name"),
    ],
)
def test_what_is_no_table_is_named_by_its_line_and_not_quoted(tmp_path, content, what):
    with pytest.raises(InvalidArgument, match=what) as caught:
        read(write(tmp_path, content))
    assert "secret" not in str(caught.value)
    assert caught.value.field == "items_uri"


def test_a_quotation_mark_within_a_cell_opens_nothing(tmp_path):
    path = write(tmp_path, 'a\tb\n1\ta 5" scan\n2\t"Ghosting" is seen\n')
    assert [row.cells["b"] for row in read(path)] == ['a 5" scan', "Ghosting is seen"]


def test_a_header_is_read_without_the_rows(tmp_path):
    assert read_header(write(tmp_path, 'a,b\n1,"open', "t.csv"), "table", "x") == ["a", "b"]


def test_the_separator_is_that_of_the_name_else_that_of_the_first_line(tmp_path):
    for name, content in [
        ("t.csv", "a,b\n1\t,2\n"),
        ("t.tsv", "a\tb\n1\t\t2\n"),
        ("t", "a\tb\n1\t2\n"),
        ("t", "a,b\n1,2\n"),
    ]:
        assert read_header(write(tmp_path, content, name), "table", "x") == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("\t".join(f"c{i}" for i in range(MOST_COLUMNS + 1)), "more than 10000 columns"),
        ("SECRET" * 200_000, "first line is longer"),
        ("a\tb\n1\t" + "SECRET" * (LONGEST_ROW // 5), "the row at line 2 is too long"),
        ('a\tb\n1\t"SECRET' + "x\n" * 40_001, "is too long; is a quotation mark never closed"),
        ("a\tb\n" + "\t" * 40_001, "the row at line 2 is too long"),
        ('a\tb\n"x\n"' + '\t"\n"' * 40_001, "is too long"),
    ],
    ids=["columns", "header", "cell", "lines of a cell", "cells", "cells over lines"],
)
def test_a_table_beyond_the_bounds_is_refused_and_not_quoted(tmp_path, content, what):
    with pytest.raises(InvalidArgument, match=what) as caught:
        read(write(tmp_path, content))
    assert "SECRET" not in str(caught.value)


def test_a_sparse_file_without_a_line_end_is_refused_at_once(tmp_path):
    path = write(tmp_path, "")
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidArgument, match="first line is longer"):
        read(path)
    with path.open("r+b") as file:
        file.truncate((2 << 30) + 1)
    with pytest.raises(InvalidArgument, match="too large"):
        read(path)
