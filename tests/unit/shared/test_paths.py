from pathlib import Path

import pytest

from shared.errors import InvalidArgument, PermissionDenied
from shared.paths import ANYWHERE, lies_in, local_path
from shared.regular_files import open_regular


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/data/pool", "/data/pool"),
        ("file:///data/pool", "/data/pool"),
        ("file://localhost/data/pool", "/data/pool"),
        ("file:///data/a%20b%23c", "/data/a b#c"),
        ("/data/100%25", "/data/100%25"),
        ("//[", "/["),
    ],
)
def test_a_path_and_a_file_uri_name_a_file(uri: str, path: str) -> None:
    assert local_path(uri, "source_uri", ANYWHERE) == Path(path)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "pool",
        "./pool",
        "file://[",
        "file://elsewhere/pool",
        "https://x/y",
        "s3://b/k",
        "/a\0b",
        "file:///a%00b",
        "file:relative",
        "/" + "a/" * 50_000,
    ],
)
def test_what_names_no_file_of_this_machine_is_refused(uri: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        local_path(uri, "items_uri", ANYWHERE)
    assert caught.value.field == "items_uri"


def test_a_path_lies_in_one_of_the_roots(tmp_path: Path) -> None:
    roots = (tmp_path / "a", tmp_path / "b")
    for root in roots:
        root.mkdir()
    inside = roots[1] / "pool"
    assert local_path(str(inside), "source_uri", roots) == inside
    with pytest.raises(PermissionDenied, match="outside"):
        local_path(str(tmp_path), "source_uri", roots)


def test_a_way_out_of_the_roots_is_followed_before_it_is_judged(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to(root / "loop")
    for path in (root / "out" / "hostname", root / ".." / "x", root / "loop" / ".." / ".." / "x"):
        with pytest.raises(PermissionDenied):
            local_path(str(path), "source_uri", (root,))
    with pytest.raises(InvalidArgument, match="is a link"):
        open_regular(local_path(str(root / "loop"), "source_uri", (root,)), 1000)


def test_without_roots_no_path_is_read_and_the_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="no setting `input_roots`") as caught:
        local_path(str(tmp_path), "source_uri", ())
    assert "INPUT_ROOTS" in caught.value.remedy
    assert not lies_in(tmp_path, ())


@pytest.mark.parametrize("path", ["/a\0b", "/" + "x" * 5000, "relative"])
def test_a_path_that_cannot_be_lies_in_no_root(path: str, tmp_path: Path) -> None:
    assert not lies_in(Path(path), (tmp_path,))
