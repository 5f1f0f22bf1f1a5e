"""What the loop asks of the other services."""

from __future__ import annotations

import pytest

from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from shared.objects.dataset import read_manifest
from shared.rpc.operations import await_operation
from tests.support.controller_house import report, start


def test_the_loop_asks_as_the_paper_says(house):
    with house.controller() as channel:
        start(channel, house, rounds=1, seed=5)
        await_operation(channel, "r1")
    asked = house.services.requests
    annotate, train = asked["r1/failure_driven/0/annotate"], asked["r1/failure_driven/0/train"]
    dev, test = asked["r1/failure_driven/1/evaluate_dev"], asked["r1/failure_driven/1/evaluate_test"]
    assert annotate.policy.is_cold_start
    assert annotate.policy.target_error_rate == 0.12
    assert annotate.calibration_uris == []
    assert annotate.model_uri == asked["r1/failure_driven/0/evaluate_dev"].model_uri
    assert (train.learning_rate, train.epochs) == (2e-5, 3)
    assert (dev.n_runs, dev.sampling.temperature, dev.sampling.seed) == (2, 1.0, 5)
    assert (test.n_runs, test.sampling.temperature) == (1, 0.0)
    assert (
        asked["r1/failure_driven/0/select_samples"].guard_uris == asked["r1/failure_driven/0/build_dataset"].guard_uris
    )
    assert "r1/failure_driven/1/mine_failures" not in asked
    assert dev.model_uri != train.model_uri


def test_the_threshold_is_fitted_on_the_earlier_decisions_of_the_arm(house):
    with house.controller() as channel:
        start(channel, house, rounds=3, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        steps = report(channel)["measured"]["steps"]
    asked = house.services.requests
    made = {(step["arm"], step["round"]): step["uri"] for step in steps if step["step"] == "annotate"}
    for arm in ("failure_driven", "random"):
        for number in (1, 2):
            request = asked[f"r1/{arm}/{number}/annotate"]
            assert request.calibration_uris == [made[arm, earlier] for earlier in range(number)]
            assert not request.policy.is_cold_start


def test_a_threshold_that_is_set_is_not_fitted(house):
    with house.controller() as channel:
        start(channel, house, rounds=1, annotate={"tau_entropy": 0.25})
        await_operation(channel, "r1")
    policy = house.services.requests["r1/failure_driven/0/annotate"].policy
    assert (policy.tau_entropy, policy.target_error_rate) == (0.25, 0.0)


def test_dev_is_guarded_by_the_images_of_test_alone_and_rounds_by_both(house):
    with house.controller() as channel:
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
    asked = house.services.requests
    dev, test, pool = (asked[f"r1/-/0/import_{split}"] for split in ("dev", "test", "pool"))
    select = asked["r1/failure_driven/0/select_samples"]
    assert list(dev.guard_uris) == [test.image_set_uri]
    assert list(test.guard_uris) == list(pool.guard_uris) == []
    assert list(select.guard_uris) == [dev.image_set_uri, test.image_set_uri]
    assert {request.twin_similarity for request in (dev, select, asked["r1/failure_driven/0/build_dataset"])} == {0.6}


def test_dev_that_is_not_to_be_guarded_is_not(house):
    with house.controller() as channel:
        files = {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"}
        start(channel, house, rounds=1, data={**files, "dev_guarded": False})
        await_operation(channel, "r1")
        assert report(channel)["config"]["data"]["dev_guarded"] is False
    assert list(house.services.requests["r1/-/0/import_dev"].guard_uris) == []


def test_each_round_is_told_what_its_arm_was_trained_on_before(house):
    with house.controller() as channel:
        start(channel, house, rounds=2)
        await_operation(channel, "r1")
    asked = house.services.requests
    first, second = (asked[f"r1/failure_driven/{r}/build_dataset"] for r in range(2))
    assert list(first.earlier_uris) == []
    assert list(second.earlier_uris) == [asked["r1/failure_driven/0/train"].dataset_uri]


def test_an_arm_without_a_strategy_draws_by_contrast(house):
    with house.controller() as channel:
        select = {"neighbours": 3, "tau_pool_share": 0.25}
        start(channel, house, rounds=1, arms=[{"name": "ours"}, "failure_driven"], select=select)
        await_operation(channel, "r1")
        told = report(channel)
    ours, paper = (house.services.requests[f"r1/{arm}/0/select_samples"] for arm in ("ours", "failure_driven"))
    assert (ours.strategy, paper.strategy) == (
        retrieval_pb2.STRATEGY_FAILURE_CONTRAST,
        retrieval_pb2.STRATEGY_FAILURE_DRIVEN,
    )
    assert (ours.neighbours, ours.tau_pool_share, ours.tau_sim) == (3, 0.25, 0.75)
    richness = told["arms"]["ours"]["rounds"][0]["selection"]["richness"]
    assert [row["cell"] for row in richness["cells"]] == ["modality:ct+attribute:metal_artifact"]


def test_what_is_replayed_is_what_the_model_knows(house):
    with house.controller() as channel:
        files = {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"}
        start(channel, house, rounds=1, arms=["novelty"], data={**files, "replay": "dev.tsv"})
        await_operation(channel, "r1")
    asked = house.services.requests
    select = asked["r1/novelty/0/select_samples"]
    assert select.strategy == retrieval_pb2.STRATEGY_NOVELTY
    assert list(select.reference_uris) == [asked["r1/-/0/import_replay"].image_set_uri]


def test_the_model_is_asked_about_the_pool_before_an_arm_draws_by_uncertainty(house):
    evaluate = {"extractor": "likelihood", "runs": 2, "answer_form": "text"}
    with house.controller() as channel:
        start(channel, house, rounds=1, arms=["uncertainty", "random"], evaluate=evaluate)
        await_operation(channel, "r1")
        assert report(channel)["arms"].keys() == {"uncertainty", "random"}
    asked = house.services.requests
    generate, select = (asked[f"r1/uncertainty/0/{step}"] for step in ("ask_about_pool", "select_samples"))
    assert generate.model_uri == asked["r1/uncertainty/0/evaluate_dev"].model_uri
    assert (generate.extractor, generate.answer_form, generate.sampling.temperature) == (
        evaluation_pb2.EXTRACTOR_LIKELIHOOD,
        evaluation_pb2.ANSWER_FORM_TEXT,
        0,
    )
    assert select.questions_uri == generate.questions_uri
    assert read_manifest(house.services.objects, select.generations_uri).kind == "generations"
    assert "r1/random/0/ask_about_pool" not in asked
    assert asked["r1/random/0/select_samples"].generations_uri == ""


def test_everything_of_a_run_is_ingested_with_the_encoder_that_it_names(house):
    with house.controller() as channel:
        start(channel, house, encoder="biomedclip", rounds=0)
        await_operation(channel, "r1")
    ingests = [one for name, one in house.services.requests.items() if "/ingest_" in name]
    assert [one.encoder for one in ingests] == ["biomedclip"] * 3


def test_each_arm_asks_by_its_own_settings_and_is_evaluated_as_the_others(house):
    other = {
        "name": "random_4x", "strategy": "random", "mine": {"gamma": 0.4}, "select": {"budget": 240},
        "annotate": {"questions": "seed_rule", "simulated_oracle_accuracy": 1.0},
        "build": {"quality_assurance": False, "replay_ratio": 0.5}, "train": {"steps": 200},
    }  # fmt: skip
    with house.controller() as channel:
        start(channel, house, rounds=1, arms=["random", other], select={"budget": 60}, train={"learning_rate": 1e-3})
        await_operation(channel, "r1")
        told = report(channel)
    asked = house.services.requests
    steps = ("mine_failures", "select_samples", "annotate", "build_dataset", "train")
    runs, own = ([asked[f"r1/{arm}/0/{step}"] for step in steps] for arm in ("random", "random_4x"))
    for of, expected in (
        (lambda mine, *_: mine.gamma, (0.6, 0.4)),
        (lambda _, select, *__: (select.budget, select.alpha), ((60, 1.0), (240, 1.0))),
        (
            lambda _, __, annotate, *___: (annotate.policy.question_mode, annotate.policy.simulated_oracle_accuracy),
            ((oracle_pb2.QUESTION_MODE_CAPABILITY_DRIVEN, 0.8), (oracle_pb2.QUESTION_MODE_SEED_RULE, 1.0)),
        ),
        (lambda *asked: (asked[3].is_quality_assurance_off, asked[3].replay_ratio), ((False, 1.0), (True, 0.5))),
        (lambda *asked: (asked[4].steps, asked[4].learning_rate), ((0, 1e-3), (200, 1e-3))),
    ):
        assert (of(*runs), of(*own)) == expected
    for step in ("evaluate_dev", "evaluate_test"):
        assert f"r1/random_4x/0/{step}" not in asked  # the base model is evaluated once for all
        first, second = (asked[f"r1/{arm}/1/{step}"] for arm in ("random", "random_4x"))
        first.arm, first.operation_id, first.model_uri = second.arm, second.operation_id, second.model_uri
        assert first == second
    assert [arm["questions"] for arm in told["arms"].values()] == ["capability_driven", "seed_rule"]
    assert told["config"]["arms"] == [{"name": "random", "strategy": "random"}, other]
    assert {one["accuracy"] for one in told["simulated"] if one["part"] == "oracle"} == {0.8, 1.0}


def test_the_known_answers_are_brought_in_where_one_arm_alone_is_simulated(house):
    arms = ["random", {"name": "a", "annotate": {"expert": "none"}}]
    with house.controller() as channel:
        start(channel, house, rounds=1, arms=arms)
        await_operation(channel, "r1")
    asked = house.services.requests
    assert asked["r1/-/0/import_known_answers"].benchmark_uri
    assert asked["r1/a/0/annotate"].policy.expert == oracle_pb2.EXPERT_KIND_NONE


@pytest.mark.parametrize("stop", [{}, {"max_usd": 100}])
def test_an_arm_that_asks_about_the_pool_goes_through_its_rounds_beside_others_that_do_not(stop, house):
    arms = ["failure_contrast", "uncertainty", "random"]
    with house.controller() as channel:
        start(channel, house, rounds=2, arms=arms, stop=stop)
        await_operation(channel, "r1")
        told = report(channel)["arms"]
    assert {name: arm["stop_reason"] for name, arm in told.items()} == dict.fromkeys(arms, "rounds")
    asked = house.services.requests
    for number in (0, 1):
        generate, train = (asked[f"r1/uncertainty/{number}/{step}"] for step in ("ask_about_pool", "train"))
        assert generate.model_uri == train.model_uri
        for arm in arms:
            has_answers = bool(asked[f"r1/{arm}/{number}/select_samples"].generations_uri)
            assert has_answers == (arm == "uncertainty")
