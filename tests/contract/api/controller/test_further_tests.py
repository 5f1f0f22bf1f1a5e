"""Tests beside the test set: answered by every model of a run, reported alone, and without a say in anything."""

from __future__ import annotations

import json

import jsonschema
import pytest

from medq.controller.v1 import controller_pb2 as pb
from shared.rows.images import Image
from shared.rpc.operations import await_operation
from tests.support.controller_house import DOCS, controller_stub, download, report, start
from tests.support.rows import build, image_id
from tests.support.run_files import write_run_files

ARMS = ["failure_driven", "random"]
FILES = {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"}
FURTHER = {"site_b": "test.tsv", "real": "test.tsv"}


@pytest.fixture
def told(house):
    """The report of a run with two further tests, and its page."""
    house.services.files["ingest_further.real"] = {"images.jsonl": [build(Image, image_id=image_id("r"), split="test")]}
    with house.controller() as channel:
        start(channel, house, rounds=1, arms=ARMS, data={**FILES, "further_tests": FURTHER})
        await_operation(channel, "r1")
        return report(channel), download(channel)["report.html"].decode()


def test_each_model_answers_them_greedily_and_the_base_model_once_for_all_arms(house, told):
    asked = house.services.requests
    for name in FURTHER:
        assert f"r1/random/0/evaluate_further.{name}" not in asked
        for place in ("failure_driven/0", "failure_driven/1", "random/1"):
            test, own = asked[f"r1/{place}/evaluate_test"], asked[f"r1/{place}/evaluate_further.{name}"]
            assert (own.n_runs, own.sampling, own.model_uri) == (1, test.sampling, test.model_uri)


def test_nothing_near_them_is_drawn_or_trained_on(house, told):
    asked = house.services.requests
    dev, *tests = (
        asked[f"r1/-/0/import_{name}"].image_set_uri for name in ("dev", "test", "further.real", "further.site_b")
    )
    guards = list(dict.fromkeys([dev, *tests]))
    assert len(guards) == 3  # test and site_b are the same images
    assert list(asked["r1/failure_driven/0/select_samples"].guard_uris) == guards
    assert list(asked["r1/failure_driven/0/build_dataset"].guard_uris) == guards
    assert list(asked["r1/-/0/import_dev"].guard_uris) == guards[1:]


def test_the_report_tells_each_alone(told):
    found, page = told
    jsonschema.validate(found, json.loads((DOCS / "report.schema.json").read_text()))
    assert [test["name"] for test in found["further_tests"]] == ["real", "site_b"]
    for test in found["further_tests"]:
        for name, rounds in test["arms"].items():
            of_test = [(facts["round"], facts["test"]) for facts in found["arms"][name]["rounds"]]
            assert [(facts["round"], facts["scores"]) for facts in rounds] == of_test  # the services know one test set
            assert [facts["gain"] is None for facts in rounds] == [True, False]
    assert page.count("<h2>Further tests</h2>") == 1
    assert "further_tests" not in found["config"]["data"]
    assert found["measured"]["paths"]["further_tests.real"].endswith("test.tsv")


def test_they_change_nothing_else_in_the_report(house, told):
    with house.controller() as channel:
        config = write_run_files(house.folder / "same", rounds=1, arms=ARMS)
        request = pb.StartRunRequest(run_id="r2", config_yaml=config, base_folder=str(house.files))
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r2")
        without = report(channel, "r2")
    assert without["further_tests"] == []
    changed = {"further_tests", "measured", "losses"}
    assert {key: told[0][key] for key in told[0].keys() - changed} == {
        key: without[key] for key in without.keys() - changed
    }
