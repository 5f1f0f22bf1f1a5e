"""Failures are mined from an evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import InvalidArgument
from shared.objects.dataset import read_array, read_manifest, read_object
from shared.rows.benchmark import Item
from shared.rows.evaluation import Scores
from shared.rows.failures import Anchor, CapabilityErrorRate, ClusteringRow, Failure, PrototypeRow
from shared.rows.images import Image
from tests.support.evaluation import ENCODER_ID, put_image_set
from tests.support.evaluation_world import benchmark, evaluate_request, finish, import_request, mine_request


def test_failures_become_prototypes(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
        again = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, "again")))
    assert again == uri
    failures = world.rows(uri, Failure)
    assert [row.item_id for row in failures] == ["1", "3", "5"]
    assert all((row.error_rate, row.n_scored) == (1.0, 2) for row in failures)
    assert failures[0].capabilities == (
        "modality:ct+attribute:blur", "modality:ct", "question_type:yes_no", "attribute:blur",
    )  # fmt: skip
    rates = world.rows(uri, CapabilityErrorRate)
    assert [(row.capability, row.n_failures, row.n_items) for row in rates if row.is_drawn_for] == [
        ("modality:ct+attribute:blur", 1, 3),
        ("modality:mri+attribute:blur", 2, 3),
    ]
    assert [(row.capability, row.n_failures, row.n_items) for row in rates if not row.is_drawn_for] == [
        ("attribute:blur", 3, 6),
        ("modality:ct", 1, 3),
        ("modality:mri", 2, 3),
        ("question_type:yes_no", 3, 6),
    ]
    prototypes = world.rows(uri, PrototypeRow)
    vectors = read_array(world.objects, uri, "prototypes.npy")
    assert vectors.shape == (len(prototypes), 4)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert sorted(member for row in prototypes for member in row.members) == ["1", "3", "5"]
    assert {row.item_id: row.prototype_id for row in failures} == {
        member: row.prototype_id for row in prototypes for member in row.members
    }
    assert all(row.size == len(row.members) for row in prototypes)
    clustering = read_object(world.objects, uri, ClusteringRow)
    assert clustering.n_clusters == len(prototypes) == 2
    assert set(clustering.silhouettes) == {"2"}
    assert set(read_manifest(world.objects, uri, "failures").parents) == {evaluation, dev, world.image_set}
    assert world.embedding.sizes == [3, 3]
    assert world.embedding.encoders == {ENCODER_ID}
    assert read_manifest(world.objects, uri).configuration["encoder_id"] == ENCODER_ID


def test_every_image_with_an_item_is_an_anchor_with_its_vector(world):
    texts = {"1": "A", "3": "A", "5": "A", "0": "A", "2": "A", "4": "I cannot tell"}
    world.model.rule = lambda prompt, sampling: texts[prompt.item_id]
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    items = {item.image_id: item for item in world.rows(dev, Item)}
    failed = {row.item_id for row in world.rows(uri, Failure)}
    found = world.rows(uri, Anchor)
    assert [row.image_id for row in found] == sorted(items)
    for row in found:
        item = items[row.image_id]
        assert row.is_failure in ((True,) if item.item_id in failed else (False, None))
        cell = f"modality:{item.modality}+attribute:blur"
        assert row.capabilities == ({cell: 1} if row.is_failure else {})
    images = [row.image_id for row in world.rows(world.image_set, Image)]
    vectors = dict(zip(images, read_array(world.objects, world.image_set, "vectors.npy"), strict=True))
    expected = np.stack([vectors[row.image_id] for row in found])
    np.testing.assert_array_equal(read_array(world.objects, uri, "anchors.npy"), expected)


def test_a_cluster_that_is_too_small_is_merged_and_its_failures_keep_a_prototype(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        request = mine_request(world, evaluation, dev, min_cell_items=4, min_prototype_size=2)
        uri = finish(channel, stub.StartMineFailures(request))
    (prototype,) = world.rows(uri, PrototypeRow)
    assert prototype.members == ("1", "3", "5")
    assert prototype.profile == {"modality:ct": 1 / 3, "modality:mri": 2 / 3}
    assert {row.prototype_id for row in world.rows(uri, Failure)} == {prototype.prototype_id}
    assert read_manifest(world.objects, uri).counts["merged"] == 1
    assert read_object(world.objects, uri, ClusteringRow).n_clusters == 2


def test_a_cell_of_too_few_items_is_pooled_beside_those_that_stay(world):
    world.model.rule = lambda prompt, sampling: "A"
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\tB\tct\t{'noise' if n == 1 else 'blur'}" for n in range(6)]
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "benchmark")))
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, min_cell_items=2)))
    rates = [row for row in world.rows(uri, CapabilityErrorRate) if row.is_drawn_for]
    assert [(row.capability, row.n_items) for row in rates] == [
        ("modality:ct+attribute:blur", 2),
        ("modality:ct+attribute:other", 1),
        ("modality:mri+attribute:blur", 3),
    ]


def test_without_a_failure_there_is_no_prototype_and_no_error(world):
    world.model.rule = lambda prompt, sampling: "AB"[int(prompt.item_id) % 2]
    with world.serving() as (stub, channel):  # and no text is embedded: no embedding service is there
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    assert world.rows(uri, Failure) == world.rows(uri, PrototypeRow) == []
    assert read_array(world.objects, uri, "prototypes.npy").shape == (0, 4)
    assert read_object(world.objects, uri, ClusteringRow) == ClusteringRow(n_clusters=0, silhouettes={})
    assert {row.error_rate for row in world.rows(uri, CapabilityErrorRate)} == {0}


def test_a_model_that_falls_silent_fails_at_every_item_and_its_failures_are_mined(world):
    world.model.rule = lambda prompt, sampling: "I cannot tell"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    overall = read_object(world.objects, evaluation, Scores).perception.overall
    assert (overall.value, overall.n, overall.scored, overall.coverage) == (0.0, 12, None, 0.0)
    counts = read_manifest(world.objects, uri).counts
    assert (counts["failures"], counts["items"], counts["unscored"]) == (6, 6, 0)
    assert counts["prototypes"] >= 1
    assert {(row.error_rate, row.n_scored) for row in world.rows(uri, Failure)} == {(1.0, 0)}
    rates = {row.capability: row.error_rate for row in world.rows(uri, CapabilityErrorRate)}
    assert rates["modality:mri"] == 1.0


def test_items_that_we_could_not_evaluate_are_neither_failures_nor_successes(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        world.lose("1")
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    assert [row.item_id for row in world.rows(uri, Failure)] == ["3", "5"]
    assert read_manifest(world.objects, uri).counts["unscored"] == 1
    rates = {row.capability: row for row in world.rows(uri, CapabilityErrorRate)}
    assert (rates["modality:ct"].n_items, rates["modality:ct"].n_unscored, rates["modality:ct"].error_rate) == (2, 1, 0)


def test_mining_refuses_datasets_that_do_not_belong_together(world):
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        table = world.table("0\tIs it?\tYes\tNo\t\tA\t\t")
        other = finish(channel, stub.StartImportBenchmark(import_request(world, table, "other")))
        with pytest.raises(InvalidArgument, match="another benchmark"):
            finish(channel, stub.StartMineFailures(mine_request(world, evaluation, other, "m1")))
        images = put_image_set(world.objects, (1, 2))
        with pytest.raises(InvalidArgument, match="not that of the benchmark"):
            finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, "m2", image_set_uri=images)))
        with pytest.raises(InvalidArgument, match="kind 'evaluation'"):
            finish(channel, stub.StartMineFailures(mine_request(world, dev, dev, "m3")))
