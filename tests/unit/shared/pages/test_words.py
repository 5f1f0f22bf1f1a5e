from services.retrieval.domain.sampling import WITHOUT_FAILURES, Strategy
from shared.pages.words import drawn_how


def test_pages_say_of_every_strategy_without_failures_and_of_the_control_how_it_drew():
    told = {strategy for strategy in Strategy if drawn_how(strategy)}
    assert told == WITHOUT_FAILURES | {Strategy.SHUFFLED_FAILURES}
