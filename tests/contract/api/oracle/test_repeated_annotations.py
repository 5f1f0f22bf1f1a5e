"""Annotations that are repeated, or started again after a failure."""

from __future__ import annotations

import json

import grpc
import pytest

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from shared.errors import FailedPrecondition
from shared.objects.dataset import read_manifest
from shared.rpc.operations import await_operation
from tests.support.annotation import leave_unfinished


def test_the_same_request_gives_the_same_bytes_whatever_the_run(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        uris = []
        for name in ("one", "two"):
            request = house.request(known, operation_id=name, run_id=name, simulated_oracle_accuracy=0.5)
            house.annotate(channel, request)
            uris.append(await_operation(channel, name).result_uri)
    assert uris[0] == uris[1]
    manifest = read_manifest(house.objects, uris[0], "decisions")
    assert manifest.parents == (house.world.selection_uri, known, house.world.dev_uri, house.world.model_uri)
    assert "one" not in json.dumps(manifest.configuration)


def test_the_operation_is_listed_and_another_request_of_its_id_refused(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        house.annotate(channel, house.request(known))
        listed = operations_pb2_grpc.OperationsServiceStub(channel).ListOperations(
            operations_pb2.ListOperationsRequest()
        )
        with pytest.raises(grpc.RpcError) as caught:
            OracleServiceStub(channel).StartAnnotate(house.request(known, seed=8))
    assert [operation.kind for operation in listed.operations] == ["Annotate", "ImportKnownAnswers"]
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("fail_after", [0, 3, 7, 10])
def test_after_a_restart_every_effect_is_single(house, fail_after):
    with house.server() as channel:
        known = house.known_answers(channel)
        undisturbed, _, summary = house.annotate(channel, house.request(known, operation_id="first", run_id="first"))
        ledger = house.neighbours
        ledger.reserved.clear()
        ledger.settled.clear()
        ledger.fail_after = fail_after
        with pytest.raises(FailedPrecondition):
            house.annotate(channel, house.request(known))
    leave_unfinished(house.folder / "state" / "oracle" / "oracle.sqlite", "op")
    ledger.fail_after = 10**9
    with house.server() as channel:
        rows, _, summary_again = house.annotate(channel, house.request(known))
        reviews = house.reviews()
    assert rows == undisturbed
    assert summary == summary_again
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert {cost.key for cost in ledger.settled} == set(ledger.reserved)
    assert reviews == {row.decision_id: 2 for row in rows}  # once in each of the two runs


@pytest.mark.parametrize("fail_after", [3, 10])
def test_an_operation_that_takes_up_a_failed_one_asks_nothing_again(house, fail_after):
    """A run that goes on after a failure asks for the same work under another operation id."""
    ledger = house.neighbours
    with house.server() as channel:
        known = house.known_answers(channel)
        ledger.fail_after = fail_after
        with pytest.raises(FailedPrecondition):
            house.annotate(channel, house.request(known, operation_id="op"))
        ledger.fail_after = 10**9
        rows, _, _ = house.annotate(channel, house.request(known, operation_id="op/2"))
        house.annotate(channel, house.request(known, operation_id="op/3"))
        reviews = house.reviews()
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert reviews == {row.decision_id: 1 for row in rows}
