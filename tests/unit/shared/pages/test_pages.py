"""What every page has: escaped texts, one style sheet without other hosts, and text that can be read in both themes."""

import re

import pytest
from jinja2 import DictLoader, UndefinedError

from shared.pages.environment import STYLE_SHEET, page_environment
from shared.pages.words import dollars, duration, hours, interval, limits, percent, points

HOSTILE = '"><script>alert(1)</script>'
#: Text, and what it stands on.
PAIRS = [
    (text, ground)
    for ground in ("ground", "surface", "empty")
    for text in ("ink", "muted", "ours", "good", "attention", "weak")
] + [(name, f"{name}-tint") for name in ("ours", "good", "attention", "weak")]
PAIRS += [("ink", "attention-tint"), ("ink", "weak-tint"), ("ours", "attention-tint"), ("ours", "weak-tint")] + [
    ("on-colour", name) for name in ("ours", "good", "attention")
]


def themes():
    """The variables of the light and of the dark theme, and of paper."""
    style = STYLE_SHEET.read_text(encoding="utf-8")
    light, dark, paper = (
        dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    return {"light": light, "dark": light | dark, "paper": light | paper}


def channels(colour):
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def contrast(first, second):
    """WCAG 2.2, relative luminance and contrast ratio, of two lists of channels (0..255)."""

    def luminance(of):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (one / 255 for one in of)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(theme, text, ground):
    colours = themes()[theme]
    assert contrast(channels(colours[text]), channels(colours[ground])) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
@pytest.mark.parametrize(
    ("text", "opacities"), [("on-low", (0.06, 0.63)), ("on-middle", (0.64, 0.8)), ("on-high", (0.81, 1.0))]
)
def test_a_number_can_be_read_on_every_share_of_red(theme, text, opacities):
    colours = themes()[theme]
    for opacity in opacities:
        weak, surface = channels(colours["weak"]), channels(colours["surface"])
        mixed = [opacity * above + (1 - opacity) * below for above, below in zip(weak, surface, strict=True)]
        assert contrast(channels(colours[text]), mixed) >= 4.5


def test_the_style_sheet_asks_no_other_host():
    style = STYLE_SHEET.read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


def rendered(template, **said):
    environment = page_environment("shared.pages")
    environment.loader.loaders.insert(0, DictLoader({"page.html": template}))
    return environment.get_template("page.html").render(**said)


@pytest.mark.parametrize(
    "template",
    [
        "{{ text }}",
        '{% from "macros.html" import tile %}{{ tile(text, text, text) }}',
        '{% from "macros.html" import picture %}{{ picture("", text, text) }}{{ picture(text, text) }}',
        '{% from "macros.html" import fold %}{% call fold(text) %}{{ text }}{% endcall %}',
        '{% from "macros.html" import chart %}{% call chart(text, text, text) %}{{ text }}{% endcall %}',
        '{% extends "base.html" %}{% block title %}{{ text }}{% endblock %}{% block main %}{{ text }}{% endblock %}',
    ],
)
def test_hostile_text_is_escaped(template):
    page = rendered(template, text=HOSTILE)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_what_a_template_does_not_get_is_an_error():
    with pytest.raises(UndefinedError):
        rendered("{{ forgotten }}")


def test_a_page_of_one_file_holds_the_style_sheet():
    page = rendered('{% extends "base.html" %}{% block style %}<style>{{ style_sheet }}</style>{% endblock %}')
    assert "--ours: #1f5fbf" in page
    assert "<link" not in page


def test_numbers_carry_their_interval_and_say_when_few_sources_stand_behind_them():
    assert percent(0.5883) == "58.8 %"
    assert (points(0.114), points(-0.02)) == ("+11.4", "−2.0")
    estimate = {"value": 0.1, "low": -0.05, "high": 0.2, "n_sources": 3}
    assert limits(estimate) == "[−5.0, 20.0]"
    assert interval(estimate) == "10.0 % [−5.0, 20.0] (few sources: 3)"
    assert interval({"value": None, "low": None, "high": None}) == interval(None) == "–"


def test_small_costs_are_not_rounded_away():
    assert [dollars(usd) for usd in (0, 0.0123, 0.21, 1234.5)] == ["$0.00", "$0.0123", "$0.21", "$1,234.50"]
    assert [hours(seconds) for seconds in (90, 5400)] == ["2 min", "1.5 h"]
    told = [duration(seconds) for seconds in (0.2, 59.4, 124, 3599, 11_520, 190_800)]
    assert told == ["under 1 s", "59 s", "2 min 04 s", "59 min 59 s", "3 h 12 min", "2 d 05 h"]
