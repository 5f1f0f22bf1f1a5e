import re

from shared.pages.charts import Point
from shared.pages.dots import Dot, Group, dots


def drawn(*shown, name="CT"):
    return dots("Accuracy", [Group(name, [Dot(f"m{n}", "ours", point) for n, point in enumerate(shown)])])


def places(text, tag, name):
    return [float(value) for value in re.findall(rf'<{tag}[^>]* {name}="([\d.]+)"', text)]


def test_a_larger_share_lies_further_to_the_right_on_the_scale_of_all():
    low, high = places(drawn(Point(0, 0.25, 0.2, 0.3), Point(0, 0.75, 0.7, 0.8)), "circle", "cx")
    ticks = sorted(set(places(drawn(Point(0, 0.5)), 'line class="grid"', "x1")))
    assert (low, high) == (ticks[1], ticks[3])


def test_a_share_without_an_interval_has_no_line():
    assert "limits" not in drawn(Point(0, 0.5))
    assert drawn(Point(0, 0.5, 0.4, 0.6)).count('class="limits ours"') == 1


def test_each_dot_has_its_name_and_number_in_words():
    text = drawn(Point(0, 0.5))
    assert ">m0<" in text
    assert ">50.0 %<" in text


def test_hostile_names_stay_text():
    assert "<script>" not in drawn(Point(0, 0.5), name="<script>")
