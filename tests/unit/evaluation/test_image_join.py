from msgspec.structs import replace

from services.evaluation.domain.image_join import join_images, shared_prefix
from shared.rows.images import Image, Input
from shared.tables import Fault, TableRow
from tests.support.rows import build, image_id, image_uri

ROW = {"question": "Is it sharp?", "A": "Yes", "B": "No", "answer": "B"}


def join(rows, images, inputs, split):
    return join_images([TableRow(line, row) for line, row in enumerate(rows, 2)], images, inputs, split)


def image(name):
    return build(Image, image_id=image_id(name), image_uri=image_uri(name))


def report(name, image="", status="stored", reason="", remedy="", path=None):
    path = path or (name if name.endswith(".png") else "")
    known = image_id(image) if image else ""
    return build(Input, name=name, image_path=path, image_id=known, status=status, reason=reason, remedy=remedy)


def test_rows_find_their_images_by_index_and_come_out_sorted():
    rows = [{**ROW, "index": "2"}, {**ROW, "index": "1"}]
    items, rejections = join(rows, [image("aa")], [report("1", "aa"), report("2", "aa", "duplicate")], "dev")
    assert [(item.item_id, item.image_id) for item in items] == [("1", image_id("aa")), ("2", image_id("aa"))]
    assert rejections == []


def test_a_source_that_the_table_alone_names_groups_images_and_its_text_is_kept_nowhere():
    names = {"1": ("aa", "Doe"), "2": ("bb", "Doe"), "3": ("cc", "Roe"), "4": ("dd", "")}
    rows = [{**ROW, "index": index, "source_id": source} for index, (_, source) in names.items()]
    inputs = [report(index, name) for index, (name, _) in names.items()]
    unknown = [replace(image(name), source_id=image_id(name)) for name, _ in names.values()]
    items, _ = join(rows, unknown, inputs, "dev")
    first, second, third, last = (item.source_id for item in items)
    assert first == second == f"source-{min(image_id('aa'), image_id('bb'))}"
    assert third == f"source-{image_id('cc')}"
    assert last == image_id("dd")


def test_a_source_that_ingest_knows_stays():
    rows = [{**ROW, "index": "1", "source_id": "Doe"}]
    items, _ = join(rows, [replace(image("aa"), source_id="hashed")], [report("1", "aa")], "dev")
    assert [item.source_id for item in items] == ["hashed"]


def test_rows_find_their_images_by_path_below_the_ingested_folder():
    rows = [{**ROW, "index": "1", "image_path": "./data/dev/a.png"}]
    items, _ = join(rows, [image("aa")], [report("a.png", "aa")], "dev")
    assert [item.image_id for item in items] == [image_id("aa")]


def test_an_index_never_stands_for_a_path():
    """The manifest of a pool and the questions about it both count from 0, of different things."""
    rows = [{**ROW, "index": "0", "image_path": "b.png"}]
    manifest = [report("0", "aa", path="a.png"), report("1", "bb", path="b.png")]
    items, _ = join(rows, [image("aa"), image("bb")], manifest, "pool")
    assert [item.image_id for item in items] == [image_id("bb")]


def test_one_folder_is_never_taken_for_another():
    rows = [{**ROW, "index": str(i), "image_path": f"{folder}/1.png"} for i, folder in enumerate(["x", "y", "x"])]
    items, rejections = join(rows, [image("aa")], [report("1.png", "aa")], "dev")
    assert [item.item_id for item in items] == ["0", "2"]
    assert [row.name for row in rejections] == ["1"]


def test_a_failed_image_hands_its_reason_on():
    failed = report("1", status="failed", reason="not an image", remedy="save it as PNG")
    items, (rejection,) = join([{**ROW, "index": "1"}], [], [failed], "dev")
    assert items == []
    assert "not an image" in rejection.reason
    assert rejection.remedy == "save it as PNG"


def test_an_unknown_image_and_an_empty_index_are_refused():
    items, rejections = join([{**ROW, "index": "9"}, {**ROW, "index": ""}], [], [], "dev")
    assert items == []
    assert [row.name for row in rejections] == ["9", "line 3"]
    assert all(row.reason and row.remedy for row in rejections)


def test_the_prefix_is_the_one_under_which_most_paths_are_found():
    paths = ["/d/x/a.png", "/d/x/b.png", "/e/a.png", "z.png", ""]
    assert shared_prefix(paths, ["a.png", "b.png"]) == "/d/x/"
    assert shared_prefix(paths, ["x/a.png", "x/b.png"]) == "/d/"
    assert shared_prefix(["q"], ["a.png"]) == ""


def test_a_table_of_several_splits_gives_the_rows_of_one():
    rows = [{**ROW, "index": name or "none", "split": name} for name in ("dev", "test", "")]
    names = [report(row["index"], "aa") for row in rows]
    items, rejections = join(rows, [image("aa")], names, "dev")
    assert [item.item_id for item in items] == ["dev"]
    assert [(row.name, row.is_of_another_split) for row in rejections] == [("none", False), ("test", True)]


def test_a_table_of_one_split_is_taken_as_the_split_that_was_asked_for():
    rows = [{**ROW, "index": "1", "split": "validation"}]
    (item,), _ = join(rows, [image("aa")], [report("1", "aa")], "dev")
    assert item.split == "dev"


def test_a_misspelt_split_comes_with_the_right_one():
    rows = [{**ROW, "index": "1", "split": "dev"}, {**ROW, "index": "2", "split": "tset"}]
    _, rejections = join(rows, [image("aa")], [report("1", "aa"), report("2", "aa")], "dev")
    assert [(row.name, row.remedy) for row in rejections] == [("2", "write test")]


def test_a_row_with_a_fault_is_refused_by_its_line_and_the_others_stand():
    table = [
        TableRow(2, {**ROW, "index": "1"}),
        TableRow(7, {"index": "2"}, Fault("the row has 1 of 5 fields", "fill it")),
    ]
    items, (rejection,) = join_images(table, [image("aa")], [report("1", "aa"), report("2", "aa")], "dev")
    assert [item.item_id for item in items] == ["1"]
    assert (rejection.name, rejection.reason, rejection.remedy) == ("line 7", "the row has 1 of 5 fields", "fill it")


def test_a_comparison_is_refused_by_its_name_whatever_the_image_set_knows():
    rows = [{"index": "9", "description": "The first is sharper.", "image_a": "...", "image_b": "..."}]
    items, (rejection,) = join(rows, [], [], "dev")
    assert items == []
    assert rejection.name == "9"
    assert rejection.reason == "it compares two images, which this release does not score"


def test_a_row_names_one_image_of_a_file_of_several():
    frames = [report(f"heart.dcm#frame-000{n}", name, path="heart.dcm") for n, name in ((1, "aa"), (2, "bb"))]
    rows = [
        {**ROW, "index": "1", "image_path": "data/heart.dcm#frame-0002"},
        {**ROW, "index": "2", "image_path": "data/heart.dcm"},
        {**ROW, "index": "3", "image_path": "data/heart.dcm#frame-0009"},
    ]
    items, rejections = join(rows, [image("aa"), image("bb")], frames, "dev")
    assert [(item.item_id, item.image_id) for item in items] == [("1", image_id("bb"))]
    assert [(row.name, row.reason) for row in rejections] == [
        ("2", "its file holds several images"),
        ("3", "the image set does not know the image"),
    ]
