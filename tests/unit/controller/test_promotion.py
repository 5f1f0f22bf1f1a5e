from msgspec.structs import replace

from services.controller.domain.promotion import Best, best_rounds
from shared.rows.evaluation import Scores
from tests.support.rows import build


def score(value):
    return replace(build(Scores).perception.overall, value=value, low=value, high=value)


def scores(overall, **by_modality):
    perception = build(Scores).perception
    groups = {name: score(value) for name, value in by_modality.items()}
    return build(Scores, perception=replace(perception, overall=score(overall), by_modality=groups))


def test_the_best_round_has_the_highest_accuracy_and_each_modality_its_own():
    promoted = {0: scores(0.5, ct=0.9, mri=0.2), 1: scores(0.7, ct=0.8, mri=0.6), 3: scores(0.6, ct=0.85, mri=0.7)}
    assert best_rounds(promoted) == Best(1, {"ct": 0, "mri": 3})


def test_of_equal_rounds_the_earliest_is_the_best():
    assert best_rounds({2: scores(0.5, ct=0.5), 1: scores(0.5, ct=0.5)}) == Best(1, {"ct": 1})


def test_a_round_without_a_value_is_behind_all():
    assert best_rounds({0: scores(None, ct=None), 1: scores(0.0, ct=0.0)}) == Best(1, {"ct": 1})


def test_a_modality_that_came_later_is_compared_with_where_it_came():
    assert best_rounds({0: scores(0.9), 1: scores(0.5, mri=0.5)}) == Best(0, {"mri": 1})
