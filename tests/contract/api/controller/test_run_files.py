"""Run files: their problems, their defaults, and one file a run."""

from __future__ import annotations

import yaml

from medq.controller.v1 import controller_pb2 as pb
from shared.errors import AlreadyExists, InvalidArgument, NotFound
from shared.rpc.operations import await_operation
from tests.support.controller_house import controller_stub, error_of, start
from tests.support.run_files import write_run_files


def test_a_configuration_with_problems_spends_nothing(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        config = write_run_files(house.files, mine={"gama": 0.5}, rounds=-1)
        found = stub.ValidateRun(pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files)))
        assert {problem.field: problem.remedy for problem in found.problems}["mine.gama"] == "Did you mean `gamma`?"
        assert not found.effective_yaml
        request = pb.StartRunRequest(run_id="r1", config_yaml=config, base_folder=str(house.files))
        refused = error_of(stub.StartRun, request)
        assert isinstance(refused, InvalidArgument)
        assert "rounds" in refused.message
        assert isinstance(error_of(stub.GetRun, pb.GetRunRequest(run_id="r1")), NotFound)
    assert not house.services.requests


def test_an_unknown_encoder_is_a_problem_before_anything_is_spent(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        config = write_run_files(house.files, encoder="biomedclop")
        found = stub.ValidateRun(pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files)))
        told = [(problem.field, problem.remedy) for problem in found.problems]
        assert told == [("encoder", "Use one of biomedclip, statistics.")]
        assert not found.effective_yaml
        request = pb.StartRunRequest(run_id="r1", config_yaml=config, base_folder=str(house.files))
        refused = error_of(stub.StartRun, request)
        assert isinstance(refused, InvalidArgument)
        assert refused.field == "encoder"
    assert not house.services.requests


def test_a_good_configuration_is_shown_with_its_defaults(house):
    with house.controller() as channel:
        config = write_run_files(house.files)
        request = pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files))
        found = controller_stub(channel).ValidateRun(request)
    assert not found.problems
    assert "1 items of 1 sources, 2 answers each" in found.notes[0]
    assert yaml.safe_load(found.effective_yaml)["select"] == {
        "budget": 2000, "tau_sim": 0.75, "tau_pool_share": None, "neighbours": 5, "alpha": 1.0,
        "uncertainty_candidates": None,
    }  # fmt: skip


def test_the_same_run_with_another_configuration_is_refused(house):
    with house.controller() as channel:
        request = start(channel, house, rounds=0)
        await_operation(channel, "r1")
        controller_stub(channel).StartRun(request)
        request.config_yaml += "seed: 9\n"
        assert isinstance(error_of(controller_stub(channel).StartRun, request), AlreadyExists)
        request.run_id = "no/good"
        assert error_of(controller_stub(channel).StartRun, request).field == "run_id"
