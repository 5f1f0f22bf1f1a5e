"""Under whose name a decision is entered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.oracle.review_service import _reviewer
from shared.errors import InvalidArgument, PermissionDenied
from shared.rpc.input_names import remember_caller
from shared.rpc.rights import Caller, Role


def call_of(*roles: Role) -> Any:
    context: Any = SimpleNamespace()
    remember_caller(context, Caller("ann", frozenset(roles), "token"))
    return context


def test_a_reviewer_decides_under_their_own_name_alone() -> None:
    assert _reviewer(call_of(Role.REVIEWER), "") == "ann"
    assert _reviewer(call_of(Role.REVIEWER), "ann") == "ann"
    with pytest.raises(PermissionDenied):
        _reviewer(call_of(Role.REVIEWER), "bob")


def test_an_operator_may_enter_what_another_decided() -> None:
    assert _reviewer(call_of(Role.OPERATOR), "bob") == "bob"
    assert _reviewer(call_of(Role.OPERATOR), "") == "ann"


def test_where_callers_are_not_known_the_name_must_be_given() -> None:
    context: Any = SimpleNamespace()
    assert _reviewer(context, "bob") == "bob"
    for name in ("", "a\x1b[2J"):
        with pytest.raises(InvalidArgument):
            _reviewer(context, name)
