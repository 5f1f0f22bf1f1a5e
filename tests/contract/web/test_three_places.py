"""What is on a page is in the REST API and in a command: the table of the page on the console names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.main import app as medq
from shared.rpc.channels import Channels
from tests.support.web_routes import routes
from web.app import create_app
from web.settings import WebSettings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "console.md"
_ROW = re.compile(r"^\| (.+) \| `(GET|POST) (/api/\S+)` \| `medq ([a-z ]+)` \|$", re.MULTILINE)
_TABLE = PAGE.read_text(encoding="utf-8").partition("## The same in three places")[2].partition("\n## ")[0]
ROWS = _ROW.findall(_TABLE)


def options_of(words: str) -> set[str]:
    """The options of a command of `medq`, by its words."""
    found: Any = typer.main.get_command(medq)
    for word in words.split():
        found = found.commands[word]
    return {name for option in found.params for name in option.opts}


def test_each_row_of_the_table_is_looked_at() -> None:
    heading_and_rule = 2
    assert len(ROWS) == len(re.findall(r"^\|", _TABLE, re.MULTILINE)) - heading_and_rule > 0


@pytest.mark.parametrize(("what", "method", "path", "command"), ROWS)
def test_a_row_names_a_route_that_there_is_and_a_command_that_knows_json(
    what: str, method: str, path: str, command: str
) -> None:
    with Channels({}) as channels:
        found = set(routes(create_app(WebSettings(), channels, start_token="t")))
    assert (method, path.replace("NAME", "{run_id}")) in found, what
    assert "--json" in options_of(command), what
