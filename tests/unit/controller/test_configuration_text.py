"""A run's file as text: what is no YAML, what is too large, and how many problems are told."""

import pytest

from services.controller.configuration.check import check, require
from shared.errors import InvalidArgument
from tests.support.run_files import write_run_files


def test_a_key_that_stands_twice_is_refused(tmp_path):
    text = write_run_files(tmp_path / "a", rounds=2, seed=1)
    for added in ("rounds: 3\n", "select: {budget: 1, budget: 2}\n"):
        (problem,) = check(text + added, str(tmp_path / "a"))[1]
        assert "stands twice" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "name: 2024-13-45",
        "seed: !!int abc",
        "seed: 0x_",
        "a: !!timestamp x",
        "a: !!bool x",
        'a: !!int ""',
        "a: \x07",
        "a:\tb\n\tc: d",
    ],
)
def test_what_yaml_cannot_make_a_value_of_is_refused(text, tmp_path):
    (problem,) = check(text, str(tmp_path))[1]
    assert problem.message.startswith("The file is not YAML")


@pytest.mark.parametrize("text", ["a: [1", "- 1", "", "!!python/object:os.system x"])
def test_what_is_no_mapping_in_yaml_is_refused(text, tmp_path):
    configuration, problems = check(text, str(tmp_path))
    assert configuration is None
    assert len(problems) == 1


def test_the_error_names_every_problem(tmp_path):
    with pytest.raises(InvalidArgument, match=r"seed: .*rounds: ") as caught:
        require(write_run_files(tmp_path / "a", rounds=-1, seed=-1), str(tmp_path / "a"))
    assert caught.value.field in ("rounds", "seed")


@pytest.mark.parametrize("value", ["!!bool maybe", "!!timestamp x", "!!int ''", "!!float ''", '"\\ud800"'])
def test_a_value_that_is_not_what_its_tag_says_is_refused(value, tmp_path):
    for text in (f"seed: {value}\n", f"? {value}\n: 1\n"):
        (problem,) = check(text, str(tmp_path))[1]
        assert problem.message.startswith("The file is not YAML")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 5000, "levels deep"),
        ("".join(f"unknown_{n}: 1\n" for n in range(5000)), "more than 2000 keys and values"),
        ("arms: [" + ", ".join("x" * 20_000) + "]", "more than 2000 keys and values"),
        ("a: &a [1]\nb: *a\n", "alias"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "alias"),
        ("seed: " + "9" * 10_000, "too long"),
        ("#" * 300_000, "too long"),
    ],
)
def test_a_file_that_is_larger_than_any_run_needs_is_refused(text, told, tmp_path):
    (problem,) = check(text, str(tmp_path))[1]
    assert told in problem.message
    assert problem.remedy


def test_the_first_problems_are_listed_and_the_others_counted(tmp_path):
    problems = check("".join(f"unknown_{n}: 1\n" for n in range(500)), str(tmp_path))[1]
    assert len(problems) == 51
    assert "454 problems more" in problems[-1].message  # four required keys are missing too


def test_an_error_names_the_first_problems_alone(tmp_path):
    with pytest.raises(InvalidArgument) as caught:
        require("".join(f"{'k' * 1000}{n}: 1\n" for n in range(90)), str(tmp_path))
    assert len(str(caught.value)) < 5000
