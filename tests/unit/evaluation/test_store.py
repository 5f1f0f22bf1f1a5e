from services.evaluation.ports import Generation
from services.evaluation.store import METADATA, AnswerKey, AnswerStore

KEY = AnswerKey("item", "a" * 64, "b" * 64, 0)


def store(database):
    return AnswerStore(database.engine(METADATA))


def test_an_answer_comes_back_exactly(database):
    answer = Generation("B) – ja\0", (-0.1, -1e-17, -123.456789012345678), 3, (1, 6, 6))
    store(database).save("m", "s", {KEY: answer})
    assert store(database).known("m", "s") == {KEY: answer}


def test_another_model_or_sampling_knows_nothing(database):
    answers = store(database)
    answers.save("m", "s", {KEY: Generation("A", (-1.0,), 1)})
    assert answers.known("n", "s") == {}
    assert answers.known("m", "t") == {}


def test_a_stored_answer_stays(database):
    answers = store(database)
    first = Generation("A", (-1.0,), 1)
    answers.save("m", "s", {KEY: first})
    answers.save("m", "s", {KEY: Generation("B", (-2.0,), 1)})
    answers.save("m", "s", {})
    assert answers.known("m", "s") == {KEY: first}


def test_an_answer_with_a_number_that_is_none_comes_back_too(database):
    store(database).save("m", "s", {KEY: Generation("A", (float("nan"), 0.5), 2)})
    (answer,) = store(database).known("m", "s").values()
    assert [str(logprob) for logprob in answer.token_logprobs] == ["nan", "0.5"]
    assert answer.token_ends == ()
