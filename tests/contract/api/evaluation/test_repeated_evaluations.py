"""Evaluations that are repeated, broken off, started again or called off: what is answered stays answered."""

from __future__ import annotations

import threading

import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled, Internal
from tests.support.evaluation import put_model
from tests.support.evaluation_world import World, benchmark, evaluate_request, finish
from tests.support.servers import short_folder


def test_another_arm_reuses_every_answer_and_another_seed_none(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        assert len(world.model.asked) == 12
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "other", arm="random")))
        assert len(world.model.asked) == 12
        more = evaluate_request(world, dev, "more", n_runs=3)
        finish(channel, stub.StartEvaluate(more))
        assert world.model.asked[12:] == [(str(n), 2) for n in range(6)]
        sampling = pb.Sampling(temperature=1, top_p=1, max_new_tokens=8, seed=6)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "seed", sampling=sampling)))
        assert len(world.model.asked) == 30
    assert len(world.loaded) == 1


def test_an_evaluation_that_broke_off_asks_only_for_what_is_missing(world):
    def breaks(prompt, sampling):
        if prompt.item_id == "3":
            raise Internal("The model has gone.")
        return "A"

    world.model.rule = breaks
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(Internal):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        world.model.asked.clear()
        world.model.rule = lambda prompt, sampling: "A"
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
    # Batches of four answers: the first was stored whole, the second not at all.
    assert sorted(world.model.asked) == [(str(n), run) for n in range(2, 6) for run in range(2)]


def test_a_restarted_server_goes_on_and_ends_like_one_that_was_never_stopped(world):
    at_work = threading.Event()

    def waits_for_the_drain(prompt, sampling):
        if prompt.item_id == "2":
            at_work.set()
            while not world.service.operations.is_draining:
                at_work.wait(0.001)
        return prompt.item_id

    world.model.rule = waits_for_the_drain
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        stub.StartEvaluate(evaluate_request(world, dev))
        assert at_work.wait(30)
    assert len(world.model.asked) == 8
    with world.serving() as (stub, channel):
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert len(world.model.asked) == len(set(world.model.asked)) == 12
    with short_folder() as folder:
        undisturbed = World(folder)
        undisturbed.model.rule = lambda prompt, sampling: prompt.item_id
        with undisturbed.serving() as (stub, channel):
            request = evaluate_request(undisturbed, benchmark(undisturbed, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == uri


def test_models_are_swapped_one_at_a_time(world):
    other = put_model(world.objects, "other")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        for number, uri in enumerate((world.model_uri, other, world.model_uri)):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, f"e{number}", model_uri=uri)))
    # The third evaluation is answered from the store.
    assert len(world.loaded) == 2
    assert all((folder / "config.json").is_file() for folder in world.loaded)


def test_an_evaluation_that_is_called_off_keeps_its_answers(world):
    at_work, go_on = threading.Event(), threading.Event()

    def waits(prompt, sampling):
        if prompt.item_id == "2":
            at_work.set()
            assert go_on.wait(30)
        return "A"

    world.model.rule = waits
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        answer = stub.StartEvaluate(evaluate_request(world, dev))
        assert at_work.wait(30)
        operations = operations_pb2_grpc.OperationsServiceStub(channel)
        operations.CancelOperation(operations_pb2.CancelOperationRequest(operation_id=answer.operation_id))
        go_on.set()
        with pytest.raises(Cancelled):
            finish(channel, answer)
        world.model.asked.clear()
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
    assert sorted(world.model.asked) == [("4", 0), ("4", 1), ("5", 0), ("5", 1)]
