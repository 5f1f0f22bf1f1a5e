"""The README's picture: what it says where something is missing, and that a browser's drawing comes out small."""

from pathlib import Path

import pytest
from PIL import Image

from infra.report_picture import BROWSERS, LARGEST_BYTES, find_browser, photograph
from shared.errors import NotFound, Unavailable

#: A program in place of a browser: it writes a given picture where it is told to.
BROWSER = """#!/bin/sh
for argument; do case $argument in --screenshot=*) cp {picture} "${{argument#--screenshot=}}";; esac; done
"""


def program(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    page = tmp_path / "report.html"
    page.write_text("<h1>demo</h1>", encoding="utf-8")
    return page


def test_without_a_browser_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        find_browser(str(tmp_path))
    assert caught.value.value == ", ".join(BROWSERS)
    assert "apt-get install chromium" in caught.value.remedy


def test_the_first_browser_of_the_list_is_taken(tmp_path: Path) -> None:
    for name in reversed(BROWSERS):
        program(tmp_path / name, "#!/bin/sh\n")
    assert find_browser(str(tmp_path)) == str(tmp_path / BROWSERS[0])


def test_without_a_report_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        photograph("true", tmp_path / "report.html", tmp_path / "picture.png")
    assert "make demo" in caught.value.remedy


def test_the_picture_keeps_its_size_and_has_few_colours(tmp_path: Path, report: Path) -> None:
    drawn, picture = tmp_path / "drawn.png", tmp_path / "images" / "picture.png"
    Image.radial_gradient("L").convert("RGB").resize((400, 300)).save(drawn)
    browser = program(tmp_path / "browser", BROWSER.format(picture=drawn))
    n_bytes = photograph(str(browser), report, picture)
    with Image.open(picture) as image:
        assert (image.size, image.mode) == ((400, 300), "P")
    assert n_bytes == picture.stat().st_size <= LARGEST_BYTES


def test_a_browser_that_draws_nothing_is_told(tmp_path: Path, report: Path) -> None:
    browser = program(tmp_path / "browser", "#!/bin/sh\necho 'no display' >&2\nexit 1\n")
    with pytest.raises(Unavailable, match="no display"):
        photograph(str(browser), report, tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()
