"""What people see: names and values of any kind are text, never markup."""

from __future__ import annotations

import pytest
import typer

from cli import output
from shared.errors import InvalidArgument

HOSTILE = "[/red].png [b]bold[/b]"


def test_cells_and_titles_of_a_table_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    assert capsys.readouterr().err.count(HOSTILE) == 3


def test_an_error_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, output.shown_errors(is_json=False):
        raise InvalidArgument(f"No column {HOSTILE}.", field="items", value=HOSTILE, remedy=HOSTILE)
    assert ended.value.exit_code == output.WRONG_INPUT
    assert capsys.readouterr().err.count(HOSTILE) == 3


def test_a_field_without_a_value_is_named_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), output.shown_errors(is_json=False):
        raise InvalidArgument("The run costs money.", field="yes")
    assert capsys.readouterr().err.splitlines() == ["Error: The run costs money.", "  yes"]
