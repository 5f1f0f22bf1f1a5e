"""Trainings that end, break off, go on or are called off."""

from __future__ import annotations

import pytest

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from shared.errors import Cancelled, Conflict, Internal
from shared.objects.dataset import read_manifest, read_object
from shared.prompts import multiple_choice_prompt
from shared.rows.training import Training
from shared.rpc.operations import await_operation
from studies.tiny_model import build_tiny_checkpoint
from tests.support.annotation import leave_unfinished
from tests.support.training_house import OPTIONS, WaitingProcess, checkpoint, import_model


def test_training_stores_a_model_with_its_parents_and_tells_of_it(house):
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        uri = await_operation(channel, "train").result_uri
        events = house.published("model-trained")
    manifest = read_manifest(house.objects, uri, "model")
    assert set(manifest.files) == {"config.json", "training.json"}
    assert manifest.parents == (request.model_uri, request.dataset_uri)
    (job,) = house.process.jobs
    assert (job.loss_reduction, job.epochs, job.steps, job.max_length, job.seed) == ("token_mean", 3, 0, 99, 5)
    assert job.train_file.is_file()
    assert not job.checkpoints_folder.exists()
    assert [event.round for event in events] == [1]


def test_a_finished_training_is_not_trained_again(house):
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        uri = await_operation(channel, "train").result_uri
    leave_unfinished(house.database, "train")
    house.process.error = Internal("not again")
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(request)
        assert await_operation(channel, "train").result_uri == uri
        events = house.published("model-trained")
    assert len(house.process.jobs) == 1
    assert len(events) == 1


def test_a_training_that_was_stopped_goes_on_in_the_same_folder(house):
    house.process.error = Internal("killed")
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Internal):
            await_operation(channel, "train")
    leave_unfinished(house.database, "train")
    house.process.error = None
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train")
    first, second = house.process.jobs
    assert first == second


def test_a_training_that_failed_goes_on_in_the_same_folder_under_another_id(house):
    """A run that goes on after a failure asks for the same training under another operation id."""
    house.process.error = Internal("out of memory")
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Internal):
            await_operation(channel, "train")
        house.process.error = None
        request.operation_id = "train/2"
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train/2")
    first, second = house.process.jobs
    assert first == second


def test_two_operations_do_not_train_in_one_folder(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        assert house.process.has_begun.wait(20)
        request.operation_id = "train/2"
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Conflict):
            await_operation(channel, "train/2")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_tiny_checkpoint_is_really_imported_trained_and_stored(house, tmp_path):
    build_tiny_checkpoint(tmp_path, [multiple_choice_prompt("What is wrong?", OPTIONS)], seed=0)
    house.process = None  # child processes
    with house.server() as channel:
        parent = import_model(channel, tmp_path)
        request = house.train_request(channel, model_uri=parent, epochs=1, max_length=0, learning_rate=1e-3)
        TrainingServiceStub(channel).StartTrain(request)
        done = await_operation(channel, "train")
    told = read_object(house.objects, done.result_uri, Training)
    assert told.n_trainable == told.n_parameters
    assert len(told.loss_curve) == 2
    before, after = (read_manifest(house.objects, uri).files for uri in (parent, done.result_uri))
    assert before["model.safetensors"].bytes == after["model.safetensors"].bytes
    assert before["model.safetensors"].sha256 != after["model.safetensors"].sha256


def test_a_training_can_be_called_off(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(house.train_request(channel))
        assert house.process.has_begun.wait(20)
        operations = operations_pb2_grpc.OperationsServiceStub(channel)
        operations.CancelOperation(operations_pb2.CancelOperationRequest(operation_id="train"))
        with pytest.raises(Cancelled):
            await_operation(channel, "train")


def test_a_drained_server_gives_its_training_to_the_next(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(house.train_request(channel))
        assert house.process.has_begun.wait(20)
    with house.server() as channel:
        assert await_operation(channel, "train").result_uri
    assert len(house.process.jobs) == 1


def test_the_models_own_limit_is_the_longest_input(house, tmp_path):
    config = {"text_config": {"max_position_embeddings": 512}}
    with house.server() as channel:
        uri = import_model(channel, checkpoint(tmp_path, config))
        request = house.train_request(channel, model_uri=uri, max_length=0)
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train")
    assert house.process.jobs[0].max_length == 512
