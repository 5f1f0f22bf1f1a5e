import os

import pytest

from services.evaluation.adapters.benchmark_table import read_table
from shared.errors import InvalidArgument, NotFound


def table(tmp_path, text, name="items.tsv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cells(path):
    return [row.cells for row in read_table(path)]


def test_rows_are_text_without_the_pixels(tmp_path):
    image = "A" * 200_000
    path = table(tmp_path, f"index\timage\tquestion\tA\tanswer\n01\t{image}\tWhat?\tNone\t1\n")
    row = {"index": "01", "question": "What?", "A": "None", "answer": "1"}
    assert cells(path) == [row]


def test_a_csv_file_is_separated_by_commas(tmp_path):
    path = table(tmp_path, 'index,question,answer\n1,"What, then?",A\n', "items.csv")
    assert cells(path) == [{"index": "1", "question": "What, then?", "answer": "A"}]


def test_missing_columns_are_named_and_those_seen_are_counted(tmp_path):
    path = table(tmp_path, "index\tquestion\tA\n1\tq\tx\n")
    with pytest.raises(InvalidArgument, match=r"no column answer among its 3") as caught:
        read_table(path)
    assert "answer" in caught.value.remedy


@pytest.mark.parametrize("name", ["worklist.tsv", "worklist.csv", "token", "worklist.txt"])
def test_the_first_line_of_what_is_no_benchmark_is_not_quoted(tmp_path, name):
    path = table(tmp_path, "SECRET^NAME\tMRN-SECRET\n1\tq\n", name)
    with pytest.raises(InvalidArgument, match="no column index, question, answer among its") as caught:
        read_table(path)
    assert "SECRET" not in f"{caught.value} {caught.value.metadata}"


def test_a_repeated_index_is_told_by_its_lines(tmp_path):
    path = table(tmp_path, "index\tquestion\tanswer\nSECRET\tq\tA\n6\tq\tA\nSECRET \tq\tA\n")
    with pytest.raises(InvalidArgument, match="more than once: lines 2, 4") as caught:
        read_table(path)
    assert "SECRET" not in str(caught.value)


def test_a_table_without_a_name_of_its_own_is_read_by_its_first_line(tmp_path):
    for text in ("index\tquestion\tanswer\n1\tq\tA\n", "index,question,answer\n1,q,A\n"):
        assert cells(table(tmp_path, text, "0a1b2c")) == [{"index": "1", "question": "q", "answer": "A"}]


def test_a_pipe_and_a_folder_are_no_table(tmp_path):
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "folder.tsv").mkdir()
    for name in ("pipe.tsv", "folder.tsv"):
        with pytest.raises(InvalidArgument, match="no regular file") as caught:
            read_table(tmp_path / name)
        assert caught.value.field == "items_uri"


@pytest.mark.parametrize("content", ["", b"\xff\xfe\x00\x01", 'index\tquestion\tanswer\n1\t"open\tA\n'])
def test_what_is_no_table_is_invalid(tmp_path, content):
    with pytest.raises(InvalidArgument):
        read_table(table(tmp_path, content))


def test_a_missing_table_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        read_table(tmp_path / "absent.tsv")


def test_an_impossible_path_is_not_found(tmp_path):
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(NotFound):
            read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"index\tquestion\tanswer\n1\tq\tA\n2\t\xff\tA\n", "line 3 is not UTF-8"),
        ('index\tquestion\tanswer\n1\tq\tA\n2\t"open\tA\n3\tq\tA\n', "opened in line 3 and never closed"),
        ("", "it is empty"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line_and_not_quoted(tmp_path, content, what):
    with pytest.raises(InvalidArgument, match=what) as caught:
        read_table(table(tmp_path, content))
    assert "open\t" not in str(caught.value)


@pytest.mark.parametrize(("name", "separator"), [("items.tsv", "\t"), ("items.csv", ",")])
def test_two_columns_of_one_name_are_refused(tmp_path, name, separator):
    header = separator.join(["index", "question", "answer", "answer"])
    with pytest.raises(InvalidArgument, match="Two columns of the table have one name"):
        read_table(table(tmp_path, f"{header}\n", name))


def test_a_table_of_descriptions_needs_neither_questions_nor_answers(tmp_path):
    path = table(tmp_path, "index\timage\tdescription\n5\tAAAA\tSharp.\n")
    assert cells(path) == [{"index": "5", "description": "Sharp."}]


def test_of_the_pictures_of_a_comparison_only_is_kept_that_they_are_there(tmp_path):
    path = table(tmp_path, "index\timage_a\timage_b\tdescription\n5\tAAAA\t\tSharp.\n")
    assert cells(path) == [{"index": "5", "image_a": "...", "image_b": "", "description": "Sharp."}]
