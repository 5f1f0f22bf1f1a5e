"""Each error class has a status and survives the way over the wire."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2
from sqlalchemy.exc import OperationalError

from shared import errors
from shared.status import STATUS_CODES, to_status, typed

CLASSES = sorted(errors.MedqError.__subclasses__(), key=lambda cls: cls.__name__)


def test_every_class_has_a_status_of_its_own() -> None:
    assert set(STATUS_CODES) == set(CLASSES)
    assert len(set(STATUS_CODES.values())) == len(CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_is_rebuilt_from_what_travels(cls: type[errors.MedqError]) -> None:
    sent = cls("Too much.", field="budget", value=7, remedy="Ask for less.")
    status = to_status(sent)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    for encoded in (errors.encode_error(sent), {"reason": info.reason, "metadata": info.metadata}):
        received = errors.decode_error(encoded)
        assert type(received) is cls
        assert (received.message, received.metadata) == (sent.message, sent.metadata)


def test_an_error_of_an_unknown_kind_is_internal() -> None:
    received = errors.decode_error({"reason": "NEW", "message": "Too new.", "metadata": {"field": "x"}})
    assert isinstance(received, errors.Internal)
    assert (received.message, received.field) == ("Too new.", "x")


def test_the_text_names_field_value_and_remedy() -> None:
    error = errors.InvalidArgument("Out of range.", field="gamma", value=2, remedy="Choose 0..1.")
    assert str(error) == "Out of range. (gamma='2') — Choose 0..1."


def test_what_is_not_typed_says_nothing_of_the_inside() -> None:
    told = typed(RuntimeError("password=secret at host:5432"))
    assert isinstance(told, errors.Internal)
    assert "secret" not in str(told)


def test_a_lost_database_can_be_retried() -> None:
    assert isinstance(typed(OperationalError("SELECT", {}, Exception("gone"))), errors.Unavailable)


def test_only_unavailable_and_exhausted_say_when_to_retry() -> None:
    delayed = {cls for cls in CLASSES if len(to_status(cls("x")).details) == 2}
    assert delayed == {errors.Unavailable, errors.BudgetExhausted}


def test_no_error_maps_to_ok_or_unknown() -> None:
    assert not {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN} & set(STATUS_CODES.values())
