"""What becomes of an item whose replies cannot be read, and of one that we could not evaluate."""

from services.evaluation.domain.failures import capability_error_rates
from services.evaluation.domain.outcomes import failure_rows, outcomes_of
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Judgement
from shared.rows.failures import PrototypeRow
from tests.support.rows import build

RIGHT = {"choice": "C", "scored": True, "correct": True}
WRONG = {"choice": "B", "scored": True, "correct": False}
UNREADABLE = {"choice": None, "scored": False, "correct": None}
LOST = {**UNREADABLE, "evaluated": False}


def outcome(*runs):
    """Of one item with these five runs, gamma 0.6."""
    answers = [build(Answer, run=run, **said) for run, said in enumerate(runs)]
    (found,) = outcomes_of([build(Item)], answers, {build(Item).item_id: "modality:ct"}, gamma=0.6, n_runs=5)
    return found


def test_an_item_that_is_unreadable_in_more_than_gamma_of_its_runs_is_a_failure():
    assert outcome(*[UNREADABLE] * 4, RIGHT).is_failure is True
    assert outcome(*[UNREADABLE] * 3, RIGHT, RIGHT).is_failure is False
    assert outcome(*[UNREADABLE] * 2, WRONG, WRONG, RIGHT).is_failure is True


def test_an_item_of_which_we_evaluated_fewer_than_half_of_the_runs_is_unscored():
    assert outcome(LOST, LOST, LOST, WRONG, WRONG).is_failure is None
    assert outcome(LOST, LOST, UNREADABLE, UNREADABLE, WRONG).is_failure is True
    assert outcome(LOST, LOST, UNREADABLE, WRONG, RIGHT).is_failure is True
    assert outcome(LOST, LOST, WRONG, RIGHT, RIGHT).is_failure is False


def test_a_failure_in_silence_has_a_rate_of_one_and_a_text():
    silent = outcome(*[UNREADABLE] * 5)
    (row,) = failure_rows([silent], [build(PrototypeRow)])
    assert (row.error_rate, row.n_scored) == (1.0, 0)
    assert silent.text.endswith("\nno option")


def test_the_rate_is_wrong_and_unreadable_over_evaluated_runs():
    (row,) = failure_rows([outcome(LOST, UNREADABLE, WRONG, WRONG, RIGHT)], [build(PrototypeRow)])
    assert (row.error_rate, row.n_scored) == (0.75, 3)


def test_equation_1_counts_silence_as_failure_and_our_own_failure_apart():
    outcomes = [outcome(*[UNREADABLE] * 5), outcome(*[LOST] * 5), outcome(*[RIGHT] * 5)]
    (rate,) = capability_error_rates((("modality:ct",), one.is_failure) for one in outcomes)
    assert (rate.n_failures, rate.n_items, rate.n_unscored, rate.error_rate) == (1, 2, 1, 0.5)


def test_a_description_fails_by_its_grades_and_its_text_is_the_worst_reply():
    item = build(Item, options={}, answer="Noisy.", question="Describe it.", question_type="description")
    grades = {"completeness": 1, "preciseness": 1, "consistency": 1, "judge": "j"}
    bad, worse = ({**UNREADABLE, "scored": True, "correct": False, "answer": text} for text in ("Sharp.", "Clean."))
    bad["judgement"] = Judgement(**grades, quality_accuracy=1)
    worse["judgement"] = Judgement(**grades, quality_accuracy=0)
    runs = [build(Answer, run=run, **said) for run, said in enumerate([bad, worse, bad, bad, RIGHT])]
    (found,) = outcomes_of([item], runs, {item.item_id: "modality:ct"}, gamma=0.6, n_runs=5)
    assert found.is_failure is True
    assert found.text == "Describe it.\nNoisy.\nClean."
