"""The Jinja environment of every page: names, question texts and replies of models are hostile, so everything is escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shared.pages import words

#: What a server of pages serves as files: the style sheet.
STATIC = Path(__file__).parent / "static"
STYLE_SHEET = STATIC / "style.css"


def page_environment(package: str) -> Environment:
    """The environment for the templates of a package, over those that all pages share.

    A page extends `base.html`. As it stands that links to the style sheet; a page that is one file puts `style_sheet` into
    its block `style`. The filters of `shared.pages.words` are there by name, and the test `holding_zero`.

    Args:
        package: A package with a folder `templates`.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("shared.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    environment.tests["holding_zero"] = words.holds_zero
    environment.globals["no_gain"] = words.NO_GAIN
    environment.globals["style_sheet"] = Markup(STYLE_SHEET.read_text(encoding="utf-8"))  # ours, so trusted
    return environment
