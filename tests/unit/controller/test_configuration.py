import pytest
import yaml

from infra.configuration_page import PAGE, page
from services.controller.configuration.check import check, effective_yaml
from services.controller.configuration.choices import NEED_REPLAY
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.notes import notes_on
from services.retrieval.domain.sampling import BY_REFERENCE
from shared.chat.endpoints import Endpoint
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


def test_an_arm_may_be_a_bare_strategy(tmp_path):
    arms = ["random", {"name": "again", "strategy": "random"}]
    configuration, problems = check(write_run_files(tmp_path / "a", arms=arms), str(tmp_path / "a"))
    assert not problems
    assert [(arm.name, arm.strategy) for arm in configuration.arms] == [("random", "random"), ("again", "random")]


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


def test_strategies_that_compare_with_what_the_model_knows_need_replay(problems):
    assert set(NEED_REPLAY) == BY_REFERENCE
    for strategy in NEED_REPLAY:
        message, remedy = problems(arms=["random", strategy])["data.replay"]
        assert message == f"The strategy {strategy} compares the pool with images that the model was trained on."
        assert remedy.startswith("Name a MedQ-Bench TSV")
    files = {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"}
    assert not problems(arms=list(NEED_REPLAY), data={**files, "replay": "dev.tsv"})


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


@pytest.mark.parametrize("judge", ["gpt 4o", "../key", "x" * 41])
def test_a_judge_is_the_name_of_an_endpoint(judge, tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path)) | {"evaluate": {"judge": judge}}
    (problem,) = check(yaml.safe_dump(config), str(tmp_path))[1]
    assert problem.field == "evaluate.judge"


def test_the_effective_file_reads_back_to_the_same_configuration(tmp_path):
    configuration, _ = check(write_run_files(tmp_path / "a", arms=["random"]), str(tmp_path / "a"))
    assert RunConfiguration.model_validate(yaml.safe_load(effective_yaml(configuration))) == configuration


def test_the_page_in_docs_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()
