import pytest
import yaml

from infra.configuration_page import PAGE, page
from services.controller.configuration.check import check, effective_yaml, require
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.notes import notes_on
from shared.chat.endpoints import Endpoint
from shared.errors import InvalidArgument
from tests.support.run_files import write_run_files


@pytest.fixture
def problems(tmp_path):
    """Runs a check on a small run's file after changes; gives {field: (message, remedy)}."""

    def of(**changes):
        config = write_run_files(tmp_path / str(len(list(tmp_path.iterdir()))), **changes)
        folder = max(tmp_path.iterdir(), key=lambda path: int(path.name))
        found = check(config, str(folder))[1]
        return {problem.field: (problem.message, problem.remedy) for problem in found}

    return of


def test_defaults_are_the_papers(tmp_path):
    configuration, problems = check(write_run_files(tmp_path / "a", evaluate={}), str(tmp_path / "a"))
    assert not problems
    assert (configuration.evaluate.runs, configuration.mine.gamma, configuration.select.tau_sim) == (5, 0.6, 0.75)
    assert (configuration.select.budget, configuration.train.learning_rate, configuration.train.epochs) == (
        2000,
        2e-5,
        3,
    )


@pytest.mark.parametrize("base_folder", ["", ".", "a"])
def test_relative_paths_start_from_no_folder_of_the_server(tmp_path, monkeypatch, base_folder):
    config = write_run_files(tmp_path / "a")
    monkeypatch.chdir(tmp_path / "a")
    (problem,) = check(config, base_folder)[1]
    assert problem.field == "base_folder"
    assert "data.pool" in problem.message


def test_absolute_paths_need_no_base_folder(tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    data = {key: str(tmp_path / "a" / path) for key, path in content["data"].items()}
    absolute = yaml.safe_dump({**content, "data": data, "model": str(tmp_path / "a" / content["model"])})
    configuration, problems = check(absolute, "")
    assert not problems
    assert configuration.data.pool == data["pool"]


def test_paths_start_from_the_base_folder(tmp_path):
    configuration, _ = check(write_run_files(tmp_path / "a"), str(tmp_path / "a"))
    assert configuration.data.pool == str(tmp_path / "a" / "pool")
    assert configuration.model == str(tmp_path / "a" / "model")


def test_an_arm_may_be_a_bare_strategy(tmp_path):
    arms = ["random", {"name": "again", "strategy": "random", "questions": "seed_rule"}]
    configuration, problems = check(write_run_files(tmp_path / "a", arms=arms), str(tmp_path / "a"))
    assert not problems
    assert [(arm.name, arm.strategy, arm.questions) for arm in configuration.arms] == [
        ("random", "random", None),
        ("again", "random", "seed_rule"),
    ]


def test_an_unknown_key_is_refused_with_the_nearest_known_one(problems):
    found = problems(mine={"gama": 0.5}, sed=1, arms=[{"nam": "a"}])
    assert found["mine.gama"] == ("Unknown key.", "Did you mean `gamma`?")
    assert found["sed"] == ("Unknown key.", "Did you mean `seed`?")
    assert found["arms.0.nam"][1] == "Did you mean `name`?"


@pytest.mark.parametrize("axes", [[], ["modality", "modality"]])
def test_no_axis_and_an_axis_twice_are_refused(problems, axes):
    (message, remedy) = problems(mine={"axes": axes})["mine.axes"]
    assert "no axis, or one stands there twice" in message
    assert remedy == "Name at least one axis, and each once."


def test_an_unknown_axis_is_refused_with_the_known_ones(problems):
    found = problems(mine={"axes": ["modality", "organ"]})
    assert list(found) == ["mine.axes.1"]
    assert "'question_type'" in " ".join(found["mine.axes.1"])


def test_a_key_that_is_near_to_none_is_refused_with_all_known_ones(problems):
    assert (
        problems(mine={"zzz": 1})["mine.zzz"][1]
        == "Known here: gamma, visual_weight, max_clusters, min_prototype_size, axes, min_cell_items."
    )


def test_a_misspelt_choice_is_refused_with_the_nearest_one(problems):
    assert problems(arms=["failure_drivn"])["arms.0.strategy"][1] == "Did you mean `failure_driven`?"
    assert problems(train={"loss": "token_men"})["train.loss"][1] == "Did you mean `token_mean`?"


def test_every_problem_is_listed_at_once(problems):
    found = problems(rounds=-1, evaluate={"runs": 0, "top_p": 2}, select={"budget": "many"})
    assert found.keys() == {"rounds", "evaluate.runs", "evaluate.top_p", "select.budget"}


def test_two_arms_of_one_name_are_refused(problems):
    assert problems(arms=["random", "random"])["arms"][0] == "Two arms are called random."


def test_a_truth_value_is_no_number(problems):
    found = problems(rounds=True, mine={"gamma": False}, stop={"max_usd": True}, build={"quality_assurance": False})
    assert found.keys() == {"rounds", "mine.gamma", "stop.max_usd"}


def test_greedy_answers_are_given_once(problems):
    assert problems(evaluate={"temperature": 0, "runs": 2}).keys() == {"evaluate"}
    assert not problems(evaluate={"temperature": 0, "runs": 1})


def test_the_extractor_judge_needs_a_judge(problems):
    assert "Set evaluate.judge" in problems(evaluate={"extractor": "judge"})["evaluate.judge"][1]


def test_a_value_of_another_shape_is_refused_in_words_of_the_file(problems):
    assert problems(evaluate=3)["evaluate"][0] == "Input should be keys and values."
    assert problems(arms="random")["arms"][0] == "Input should be a list."


def test_a_wrong_arm_is_the_only_problem_of_the_arms(problems):
    assert problems(arms=["randon"]).keys() == {"arms.0.strategy"}


def test_a_misspelt_choice_that_may_be_null_is_refused_with_the_nearest_one(problems):
    arms = [{"name": "a", "questions": "seed_rul"}]
    assert problems(arms=arms)["arms.0.questions"][1] == "Did you mean `seed_rule`?"


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


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "loop"])
@pytest.mark.parametrize("field", ["pool", "pool_answers", "dev", "test", "replay", "model"])
def test_a_path_that_no_file_can_have_is_a_problem(path, field, tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / "loop").symlink_to("loop")
    (content if field == "model" else content["data"])[field] = path
    found = check(yaml.safe_dump(content), str(tmp_path / "a"))[1]
    assert [problem.field for problem in found] == ["model" if field == "model" else f"data.{field}"]
    assert check(yaml.safe_dump(content), "x" * 5000)[1][0].field == "base_folder"


def test_a_required_key_that_is_missing_is_named(tmp_path):
    found = check("name: x\nmodel: m\ndata: {pool: p}", str(tmp_path))[1]
    assert [problem.field for problem in found] == ["data.dev", "data.test", "annotate"]


def test_oracle_and_expert_have_no_default(tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    found = check(yaml.safe_dump({**content, "annotate": {}}), str(tmp_path / "a"))[1]
    assert [problem.field for problem in found] == ["annotate.oracle", "annotate.expert"]


def without_answers(folder, **annotate):
    content = yaml.safe_load(write_run_files(folder, annotate=annotate))
    del content["data"]["pool_answers"]
    return yaml.safe_dump(content)


SITE = {
    name: Endpoint.model_validate(
        {"base_url": "http://127.0.0.1:1/v1", "model": "m", "usd_per_million": {"in": 0, "out": 0}, "may_receive": what}
    )
    for name, what in (("sees", "images"), ("reads", "text"))
}


@pytest.mark.parametrize("expert", ["review", "none"])
def test_pool_answers_are_needed_where_something_is_simulated_and_nowhere_else(expert, tmp_path):
    real = without_answers(tmp_path / "a", oracle="sees", expert=expert)
    configuration, problems = check(real, str(tmp_path / "a"), endpoints=SITE)
    assert not problems
    assert configuration.data.pool_answers is None
    for folder, annotate in (("b", {"oracle": "simulated"}), ("c", {"oracle": "sees", "expert": "simulated"})):
        text = without_answers(tmp_path / folder, **{"expert": expert, **annotate})
        (problem,) = check(text, str(tmp_path / folder), endpoints=SITE)[1]
        assert problem.field == "data.pool_answers"


@pytest.mark.parametrize(
    ("oracle", "said"), [("nobody", "The site has: reads, sees."), ("reads", "may_receive: images")]
)
def test_an_oracle_that_may_not_see_images_is_a_problem_before_anything_is_spent(oracle, said, tmp_path):
    text = without_answers(tmp_path / "a", oracle=oracle, expert="none")
    (problem,) = check(text, str(tmp_path / "a"), endpoints=SITE)[1]
    assert problem.field == "annotate.oracle"
    assert said in problem.remedy


def test_who_reads_the_notes_learns_what_nobody_reviews_and_what_is_not_read(tmp_path):
    text = write_run_files(tmp_path / "a", annotate={"oracle": "sees", "expert": "none"})
    configuration, _ = check(text, str(tmp_path / "a"), endpoints=SITE)
    unread, unreviewed, *_ = notes_on(configuration)
    assert "pool_answers is not read" in unread
    assert "adopted unreviewed" in unreviewed


@pytest.mark.parametrize("text", ["a: [1", "- 1", "", "!!python/object:os.system x"])
def test_what_is_no_mapping_in_yaml_is_refused(text, tmp_path):
    configuration, problems = check(text, str(tmp_path))
    assert configuration is None
    assert len(problems) == 1


def test_what_is_not_there_is_named_before_anything_is_spent(tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / "pool" / "a.png").unlink()
    (tmp_path / "a" / "model" / "model.safetensors").unlink()
    (tmp_path / "a" / "dev.tsv").write_text("index\tquestion\n")
    config["data"]["test"] = "no.tsv"
    found = {problem.field: problem for problem in check(yaml.safe_dump(config), str(tmp_path / "a"))[1]}
    assert found.keys() == {"data.pool", "data.dev", "data.test", "model"}
    assert found["data.pool"].message == "The folder holds no file."
    assert found["data.dev"].message == "dev.tsv has no column answer, image or image_path."
    assert "weights are missing" in found["model"].message
    assert all(problem.remedy for problem in found.values())


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("dev.tsv", b"index\timage\tquestion\tanswer\tanswer\n", "Two columns of the table have one name."),
        ("dev.tsv", b"index\timage\tquestion\tanswer\n1\t\xff\n", "The table cannot be read: line 2 is not UTF-8."),
        ("dev.csv", b"", "The table cannot be read: it is empty."),
        ("dev.csv", b"index,image,question\n", "dev.csv has no column answer."),
        ("dev.tsv", b"index\tdescription\n", "dev.tsv has no column image or image_path."),
        ("dev.tsv", b"index\timage_a\timage_b\tdescription\n", "dev.tsv compares two images"),
    ],
)
def test_a_table_that_would_mislead_is_refused_before_anything_is_spent(tmp_path, name, content, what):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / name).write_bytes(content)
    (problem,) = check(yaml.safe_dump(config | {"data": config["data"] | {"dev": name}}), str(tmp_path / "a"))[1]
    assert problem.field == "data.dev"
    assert what in problem.message
    assert problem.remedy


def test_a_table_of_descriptions_needs_no_questions(tmp_path):
    config = write_run_files(tmp_path)
    (tmp_path / "dev.tsv").write_text("index\timage_path\tdescription\n1\ta.png\tSharp.\n")
    assert check(config, str(tmp_path))[1] == []


@pytest.mark.parametrize("judge", ["gpt 4o", "../key", "x" * 41])
def test_a_judge_is_the_name_of_an_endpoint(judge, tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path)) | {"evaluate": {"judge": judge}}
    (problem,) = check(yaml.safe_dump(config), str(tmp_path))[1]
    assert problem.field == "evaluate.judge"


def test_a_pool_may_be_a_manifest_but_not_any_file(tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    for name in ("pool.csv", "pool.txt"):
        (tmp_path / "a" / name).write_text("path\n")
    assert not check(yaml.safe_dump(config | {"data": config["data"] | {"pool": "pool.csv"}}), str(tmp_path / "a"))[1]
    found = check(yaml.safe_dump(config | {"data": config["data"] | {"pool": "pool.txt"}}), str(tmp_path / "a"))[1]
    assert [problem.field for problem in found] == ["data.pool"]


def test_the_error_names_every_problem(tmp_path):
    with pytest.raises(InvalidArgument, match=r"seed: .*rounds: ") as caught:
        require(write_run_files(tmp_path / "a", rounds=-1, seed=-1), str(tmp_path / "a"))
    assert caught.value.field in ("rounds", "seed")


def test_the_effective_file_reads_back_to_the_same_configuration(tmp_path):
    configuration, _ = check(write_run_files(tmp_path / "a", arms=["random"]), str(tmp_path / "a"))
    assert RunConfiguration.model_validate(yaml.safe_load(effective_yaml(configuration))) == configuration


def test_the_page_in_docs_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_paths_outside_the_roots_are_problems_and_not_looked_at(tmp_path):
    config = write_run_files(tmp_path / "a")
    configuration, found = check(config, str(tmp_path / "a"), (tmp_path / "elsewhere",))
    assert configuration is None
    assert {"data.pool", "data.dev", "model"} <= {problem.field for problem in found}
    assert all("outside" in problem.message and "input_roots" in problem.remedy for problem in found)
    assert check(config, str(tmp_path / "a"), (tmp_path,))[1] == []


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
