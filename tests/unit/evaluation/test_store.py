from services.evaluation.ports import Generation
from services.evaluation.store import AnswerKey, AnswerStore
from shared.database import create_engine, sqlite_url

KEY = AnswerKey("item", "a" * 64, "b" * 64, 0)


def store(tmp_path):
    return AnswerStore(create_engine(sqlite_url(tmp_path / "x.sqlite")))


def test_an_answer_comes_back_exactly(tmp_path):
    answer = Generation("B) – ja\0", (-0.1, -1e-17, -123.456789012345678), 3)
    store(tmp_path).save("m", "s", {KEY: answer})
    assert store(tmp_path).known("m", "s") == {KEY: answer}


def test_another_model_or_sampling_knows_nothing(tmp_path):
    answers = store(tmp_path)
    answers.save("m", "s", {KEY: Generation("A", (-1.0,), 1)})
    assert answers.known("n", "s") == {}
    assert answers.known("m", "t") == {}


def test_a_stored_answer_stays(tmp_path):
    answers = store(tmp_path)
    first = Generation("A", (-1.0,), 1)
    answers.save("m", "s", {KEY: first})
    answers.save("m", "s", {KEY: Generation("B", (-2.0,), 1)})
    answers.save("m", "s", {})
    assert answers.known("m", "s") == {KEY: first}
