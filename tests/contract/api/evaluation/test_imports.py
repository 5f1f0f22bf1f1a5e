"""Tables of items become benchmarks."""

from __future__ import annotations

import grpc
import pytest

from shared.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from shared.objects.dataset import read_manifest
from shared.rows.benchmark import Item, Rejection
from shared.rows.images import Input
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.evaluation import put_image_set
from tests.support.evaluation_world import TABLE, finish, import_request


def test_an_import_keeps_what_is_an_item_and_reports_the_rest(world):
    rows = [
        "2\tWhich?\tBlur\tNone\tNaN\tnone\tMRI\tblur",
        "0\tWhich?\tBlur\tNoise\t\t1\t\t",
        "1\tWhich?\tBlur\tNoise\t\tD\t\t",
        "3\tWhich?\tBlur\t\t\tA\t\t",
        "broken\tWhich?\tBlur\tNoise\t\tA\t\t",
        "absent\tWhich?\tBlur\tNoise\t\tA\t\t",
    ]
    with world.serving() as (stub, channel):
        uri = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows))))
        again = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "again")))
    assert again == uri
    items = world.rows(uri, Item)
    assert [(item.item_id, item.answer, item.options) for item in items] == [
        ("0", "B", {"A": "Blur", "B": "Noise"}),
        ("2", "B", {"A": "Blur", "B": "None"}),
    ]
    assert (items[0].modality, items[0].source_id, items[0].split) == ("ct", "s0", "dev")
    report = world.rows(uri, Rejection)
    assert [row.name for row in report] == ["1", "3", "absent", "broken"]
    assert all(row.reason and row.remedy for row in report)
    assert read_manifest(world.objects, uri, "benchmark").counts == {"items": 2, "rejected": 4}


def test_items_about_images_that_touch_a_guarded_set_are_refused(world):
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\tA\tct\tblur" for n in range(6)]
    image_of = {int(row.name): row.image_id for row in world.rows(world.image_set, Input) if row.status == "stored"}
    guards = [put_image_set(world.objects, (7,))]
    request = import_request(world, world.table(*rows), guard_uris=guards, phash_distance=2, twin_similarity=0.5)
    with world.serving() as (stub, channel), world.gate_serving({image_of[1]: "patient", image_of[4]: "twin"}) as gate:
        uri = finish(channel, stub.StartImportBenchmark(request))
    assert [row.item_id for row in world.rows(uri, Item)] == ["0", "2", "3", "5"]
    refused = [(row.name, row.reason) for row in world.rows(uri, Rejection)]
    assert refused == [("1", "leak: patient with a guarded set"), ("4", "leak: twin with a guarded set")]
    assert all(row.remedy for row in world.rows(uri, Rejection))
    (asked,) = gate.asked
    assert (asked.image_set_uris, asked.guard_uris) == ([world.image_set], guards)
    assert (asked.phash_distance, asked.twin_similarity) == (2, 0.5)


def test_a_guarded_import_that_cannot_be_checked_makes_no_benchmark(world):
    request = import_request(world, world.table("0\tSharp?\tYes\tNo\t\tA\tct\tblur"), guard_uris=[world.image_set])
    with world.serving() as (stub, channel), world.gate_serving(None):
        answer = stub.StartImportBenchmark(request)
        with pytest.raises(FailedPrecondition, match="no hashes"):
            finish(channel, answer)


@pytest.mark.parametrize(
    ("header", "rows", "error", "text"),
    [
        ("index\tquestion\tA\tB\n", ["0\tq\tx\ty"], InvalidArgument, "no column answer among its 4"),
        (TABLE, ["0\tq\tx\ty\t\tA\t\t", "0\tq\tx\ty\t\tA\t\t"], InvalidArgument, "more than once: lines 2, 3"),
        (TABLE, ["9\tq\tx\ty\t\tA\t\t"], FailedPrecondition, "No row of the table is an item"),
        (TABLE, [], FailedPrecondition, "it is empty"),
    ],
)
def test_a_table_that_cannot_be_used_fails_with_a_remedy(world, header, rows, error, text):
    with world.serving() as (stub, channel):
        answer = stub.StartImportBenchmark(import_request(world, world.table(*rows, header=header)))
        with pytest.raises(error, match=text) as caught:
            await_operation(channel, answer.operation_id)
    assert caught.value.remedy


def test_a_missing_table_is_not_found(world):
    with world.serving() as (stub, channel):
        answer = stub.StartImportBenchmark(import_request(world, f"{world.folder}/none.tsv"))
        with pytest.raises(NotFound):
            await_operation(channel, answer.operation_id)


def test_a_table_outside_the_input_roots_is_refused_at_once(world):
    with world.serving(input_roots=(world.folder / "tables",)) as (stub, _):
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartImportBenchmark(import_request(world, world.table()))
        assert isinstance(from_rpc_error(caught.value), PermissionDenied)
