"""An arm changes the sections of its run: what comes out, and what is refused where."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.controller.configuration.check import check, effective_yaml, parse
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.notes import notes_on
from services.controller.configuration.planning import plans_of
from services.controller.domain.annotators import annotators_of, simulated_of
from services.controller.domain.arms import CHANGEABLE
from shared.chat.endpoints import Endpoint
from tests.support.run_files import write_run_files

FILE = {
    "name": "x",
    "data": {"pool": "p", "dev": "d", "test": "t", "pool_answers": "a", "replay": "r"},
    "model": "m",
    "annotate": {"oracle": "simulated", "expert": "simulated"},
}
SITE = {
    name: Endpoint.model_validate(
        {"base_url": "http://127.0.0.1:1/v1", "model": "m", "usd_per_million": {"in": 0, "out": 0}, "may_receive": what}
    )
    for name, what in (("sees", "images"), ("reads", "text"))
}


def read(*arms, **changes):
    configuration, problems = parse(yaml.safe_dump({**FILE, **changes, "arms": list(arms)}))
    assert not problems
    return configuration


def problems_of(*arms, **changes):
    _, problems = parse(yaml.safe_dump({**FILE, **changes, "arms": list(arms)}))
    return {problem.field: (problem.message, problem.remedy) for problem in problems}


SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "select": st.fixed_dictionaries({}, optional={"budget": st.integers(1, 99), "alpha": st.floats(0, 9)}),
        "train": st.fixed_dictionaries({}, optional={"epochs": st.integers(1, 9), "learning_rate": st.floats(1e-6, 1)}),
        "build": st.fixed_dictionaries({}, optional={"quality_assurance": st.booleans()}),
    },
)


@given(SECTIONS)
def test_an_arm_without_changes_has_the_configuration_of_the_run(sections):
    configuration = read("random", **sections)
    assert configuration.for_arm(configuration.arms[0]) == configuration


@given(SECTIONS, SECTIONS)
def test_what_an_arm_changes_is_as_if_the_run_had_it_and_the_rest_is_the_runs(sections, changes):
    configuration = read({"name": "a", **changes}, **sections)
    merged = {name: {**sections.get(name, {}), **changes.get(name, {})} for name in {*sections, *changes}}
    expected = read("random", **merged)
    found = configuration.for_arm(configuration.arms[0])
    assert found.model_dump(exclude={"arms"}) == expected.model_dump(exclude={"arms"})
    assert found.arms == configuration.arms


def test_a_part_of_a_section_is_changed_key_by_key_too():
    review = {"overlap_share": 0.2, "blind_share": 0.1}
    people = {"oracle": "simulated", "expert": "review", "review": review}
    configuration = read({"name": "a", "annotate": {"review": {"blind_share": 0.5}}}, annotate=people)
    found = configuration.for_arm(configuration.arms[0]).annotate.review
    assert (found.overlap_share, found.blind_share) == (0.2, 0.5)


def test_a_value_may_be_changed_to_null():
    configuration = read({"name": "a", "select": {"tau_pool_share": None}}, select={"tau_pool_share": 0.1})
    assert configuration.select.tau_pool_share == 0.1
    assert configuration.for_arm(configuration.arms[0]).select.tau_pool_share is None


def test_the_effective_file_has_of_an_arm_what_it_changes_and_reads_back():
    configuration = read("random", {"name": "a", "mine": {"axes": ["severity"]}, "select": {"budget": 9}})
    written = yaml.safe_load(effective_yaml(configuration))
    assert written["arms"] == [
        {"name": "random", "strategy": "random"},
        {"name": "a", "strategy": "failure_contrast", "mine": {"axes": ["severity"]}, "select": {"budget": 9}},
    ]
    assert RunConfiguration.model_validate(written) == configuration


def test_an_unknown_key_of_an_arm_is_refused_with_the_nearest_known_one():
    found = problems_of("random", {"name": "a", "select": {"budgett": 9}, "annotate": {"review": {"blind": 1}}})
    assert found == {
        "arms.1.select.budgett": ("Unknown key.", "Did you mean `budget`?"),
        "arms.1.annotate.review.blind": ("Unknown key.", "Did you mean `blind_share`?"),
    }


@pytest.mark.parametrize("section", ["data", "model", "encoder", "evaluate", "stop", "rounds", "questions"])
def test_what_is_the_runs_own_is_no_key_of_an_arm(section):
    ((field, (message, remedy)),) = problems_of({"name": "a", section: {}}).items()
    assert (field, message) == (f"arms.0.{section}", "Unknown key.")
    assert all(name in remedy for name in CHANGEABLE)


def test_a_run_has_64_arms_at_most():
    arms = [{"name": f"a{n}", "select": {"budget": n + 1}} for n in range(65)]
    assert len(read(*arms[:64]).arms) == 64
    assert problems_of(*arms).keys() == {"arms"}


def test_wrong_values_of_arms_are_all_listed_beside_those_of_the_run():
    arms = [
        {"name": "a", "select": {"budget": 0}, "train": {"loss": "token_men"}},
        {"name": "b", "annotate": {"questions": "seed_rul", "tau_agreement": True}, "build": None},
    ]
    found = problems_of(*arms, rounds=-1)
    assert found.keys() == {
        "rounds", "arms.0.select.budget", "arms.0.train.loss", "arms.1.annotate.questions", "arms.1.annotate.tau_agreement",
        "arms.1.build",
    }  # fmt: skip
    assert found["arms.1.annotate.questions"][1] == "Did you mean `seed_rule`?"
    assert found["arms.1.build"][0] == "Input should be keys and values."


def test_what_keys_must_be_together_is_checked_in_the_whole_section_of_the_arm():
    found = problems_of("random", {"name": "a", "mine": {"axes": []}, "annotate": {"review": {"blind_share": 0.5}}})
    assert found.keys() == {"arms.1.mine.axes", "arms.1.annotate.review"}


def test_an_arm_alone_may_need_the_answers_of_the_pool():
    data = {"pool": "p", "dev": "d", "test": "t"}
    arms = [{"name": name, "annotate": {"expert": "simulated"}} for name in "ab"]
    found = problems_of(*arms, data=data, annotate={"oracle": "sees", "expert": "review"})
    assert found.keys() == {"data.pool_answers"}


def test_each_oracle_of_an_arm_must_be_allowed_to_see_images(tmp_path):
    arms = ["random", {"name": "a", "annotate": {"oracle": "reads"}}, {"name": "b", "annotate": {"oracle": "sees"}}]
    (problem,) = check(write_run_files(tmp_path / "a", arms=arms), str(tmp_path / "a"), endpoints=SITE)[1]
    assert problem.field == "arms.1.annotate.oracle"
    assert "may_receive: images" in problem.remedy


def test_the_estimate_takes_each_arm_as_it_is_and_those_that_plan_alike_as_one(tmp_path):
    paid = {"name": "paid", "select": {"budget": 9}, "annotate": {"oracle": "sees", "expert": "none"}}
    arms = ["random", paid, {"name": "again", "train": {"steps": 5}}]
    text = write_run_files(tmp_path, arms=arms, select={"budget": 4})
    configuration, _ = check(text, str(tmp_path), endpoints=SITE)
    plans = [(plan.n_arms, plan.budget, plan.oracle.name, plan.expert) for plan in plans_of(configuration, SITE)]
    assert plans == [(2, 4, "simulated", "simulated"), (1, 9, "sees", "none")]


def test_the_notes_name_the_arms_that_nobody_reviews(tmp_path):
    arms = ["random", {"name": "no_people", "annotate": {"expert": "none"}}]
    configuration, _ = check(write_run_files(tmp_path, arms=arms), str(tmp_path))
    note, *_ = notes_on(configuration)
    assert note.startswith("annotate.expert is none in arm no_people: ")


def test_the_report_says_in_which_arms_something_is_simulated():
    clean = {"name": "clean", "annotate": {"simulated_oracle_accuracy": 1.0}}
    configuration = read("random", clean, {"name": "no_people", "annotate": {"expert": "none"}}).model_dump()
    simulated = [(one["part"], one["accuracy"], one["text"].partition(":")[0]) for one in simulated_of(configuration)]
    assert simulated == [
        ("oracle", 0.8, "Arms random, no_people"),
        ("oracle", 1.0, "Arm clean"),
        ("expert", 0.97, "Arms random, clean"),
    ]
    named = [(one["part"], one["name"], one["text"].split(":")[0]) for one in annotators_of(configuration)]
    assert named == [
        ("oracle", "simulated", "The annotation oracle is simulated"),
        ("expert", "simulated", "Arms random, clean"),
        ("expert", "none", "Arm no_people"),
    ]


def test_a_training_set_is_filled_up_where_there_is_something_to_replay():
    data = {"pool": "p", "dev": "d", "test": "t", "pool_answers": "a"}
    filled = {"build": {"total_samples": 64}}
    assert problems_of("random", data=data, **filled).keys() == {"build.total_samples"}
    assert problems_of("random", {"name": "a", **filled}, data=data).keys() == {"arms.1.build.total_samples"}
    assert not problems_of("random", {"name": "a", "build": {"total_samples": 65}}, **filled)
