"""Charts: a title for who cannot see them, every number in them, and no name that could break out."""

import xml.etree.ElementTree as ElementTree

import pytest

from shared.pages.cells import Cell, Part, heat_map, shares
from shared.pages.charts import Line, Point, curve

NAMESPACE = {"s": "http://www.w3.org/2000/svg"}
HOSTILE = '"><script>alert(1)</script>'


def parsed(drawing):
    return ElementTree.fromstring(str(drawing).replace("<svg ", f'<svg xmlns="{NAMESPACE["s"]}" ', 1))


def texts(drawing):
    return [one.text for one in parsed(drawing).findall(".//s:text", NAMESPACE)]


def places(drawing, kind):
    """The corners of the curves or bands."""
    found = parsed(drawing).findall(".//*[@points]")
    return [one.get("points") for one in found if kind in one.get("class").split()]


OURS = Line("failure-driven", "ours", [Point(0, 0.588, 0.55, 0.62), Point(450, 0.702, 0.67, 0.74)])
RANDOM = Line("random images", "random", [Point(0, 0.588, 0.55, 0.62), Point(450, 0.70, 0.66, 0.73)])


def test_a_curve_has_a_title_and_a_name_with_its_value_at_each_end():
    drawing = curve("Accuracy on test", [OURS, RANDOM], x_name="answers bought")
    assert parsed(drawing).find("s:title", NAMESPACE).text == parsed(drawing).get("aria-label") == "Accuracy on test"
    assert {"failure-driven 70.2 %", "random images 70.0 %", "answers bought", "0", "450"} <= set(texts(drawing))
    assert len(places(drawing, "curve")) == len(places(drawing, "band")) == 2


def test_names_at_the_ends_do_not_lie_on_each_other():
    drawing = parsed(curve("t", [OURS, RANDOM], x_name="x"))
    heights = [float(one.get("y")) for one in drawing.findall(".//s:text[@class]", NAMESPACE)]
    assert abs(heights[0] - heights[1]) >= 18


def test_the_level_of_guessing_is_in_sight_and_named():
    drawing = curve("t", [OURS], x_name="x", level=0.4, level_name="guessing")
    assert "guessing 40.0 %" in texts(drawing)
    assert "40 %" in texts(drawing)


def test_without_a_level_the_axis_begins_at_zero():
    assert "0 %" in texts(curve("t", [OURS], x_name="x"))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 0.5), (0.499, 0.501)])
def test_every_point_lies_within_the_axes(low, high):
    drawing = curve("t", [Line("a", "ours", [Point(0, low, low, high), Point(10, high, low, high)])], x_name="x")
    heights = [float(corner.split(",")[1]) for path in places(drawing, "band") for corner in path.split()]
    assert all(0 <= height <= 300 for height in heights)


def test_points_without_limits_have_no_band():
    drawing = curve("t", [Line("a", "ours", [Point(0, 0.5), Point(1, 0.6)])], x_name="x")
    assert places(drawing, "band") == []


def test_a_heat_map_has_a_number_in_each_cell_that_is_known():
    cells = [Cell("CT", "rings", 0.58, 24), Cell("MRI", "noise", None, 0)]
    drawing = heat_map("Where it is weak", cells, ["MRI", "CT"], ["noise", "rings"])
    assert texts(drawing) == ["noise", "rings", "MRI", "CT", "58"]
    titles = [one.text for one in parsed(drawing).findall(".//s:title", NAMESPACE)]
    assert titles[0] == "Where it is weak"
    assert "CT, rings: 58.0 % of 24" in titles
    assert "MRI, noise: none" in titles


def test_a_heat_map_of_nothing_can_be_drawn():
    assert texts(heat_map("t", [], [], [])) == []


def test_a_bar_writes_a_share_where_it_has_room_and_names_each_part():
    drawing = shares("Who answered", [Part("itself", 0.98, "good"), Part("expert", 0.02, "attention")])
    assert texts(drawing) == ["98 %"]
    assert "expert: 2.0 %" in [one.text for one in parsed(drawing).findall(".//s:title", NAMESPACE)]


@pytest.mark.parametrize(
    "drawing",
    [
        curve(HOSTILE, [Line(HOSTILE, "ours", [Point(0, 0.5)])], x_name=HOSTILE, level=0.2, level_name=HOSTILE),
        heat_map(HOSTILE, [Cell(HOSTILE, HOSTILE, 0.5, 2)], [HOSTILE], [HOSTILE]),
        shares(HOSTILE, [Part(HOSTILE, 1.0, "ours")]),
    ],
)
def test_names_are_escaped(drawing):
    assert "<script" not in drawing
    assert parsed(drawing).find(".//s:script", NAMESPACE) is None
