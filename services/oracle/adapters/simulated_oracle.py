"""An annotation oracle that knows the answers and errs at a set rate. Nothing leaves the process.

What a call would have cost is estimated from the list price below; every figure is marked as simulated.
"""

from __future__ import annotations

from collections.abc import Callable

from services.oracle.domain.known_answers import KnownAnswers, erring_letter
from services.oracle.ports import Outcome
from shared.objects.store import digest_of
from shared.rows.annotation import Question
from shared.spending import Spending

#: List price of gpt-4o-2024-08-06, the paper's oracle, in US dollars per million tokens, as of 2024-10.
PRICE_DATE = "2024-10"
USD_PER_MILLION_TOKENS_IN = 2.50
USD_PER_MILLION_TOKENS_OUT = 10.00
#: An image of one tile of 512 x 512 pixels at that price list: 85 + 170 tokens.
IMAGE_TOKENS = 255
#: A usual length of English text, in characters per token.
CHARACTERS_PER_TOKEN = 4
ANSWER_TOKENS = 1


class SimulatedOracle:
    """An `AnnotationOracle` over known answers.

    Args:
        known: What it knows.
        accuracy: Chance that a known question is answered right, 0..1.
        seed: Of its errors; the same seed and question id give the same answer.
        take_time: Called once in each call, for as long as the call shall take.
    """

    is_simulated = True

    def __init__(
        self, known: KnownAnswers, accuracy: float, seed: int, take_time: Callable[[], None] = lambda: None
    ) -> None:
        self._known = known
        self._accuracy = accuracy
        self._seed = seed
        self._take_time = take_time

    def estimate(self, question: Question) -> Spending:
        """The cost by the price list; see the port."""
        characters = len(question.question) + sum(len(text) + 3 for text in question.options.values())
        tokens_in = IMAGE_TOKENS + -(-characters // CHARACTERS_PER_TOKEN)
        usd = tokens_in * USD_PER_MILLION_TOKENS_IN + ANSWER_TOKENS * USD_PER_MILLION_TOKENS_OUT
        return Spending(usd=round(usd / 1e6, 9), tokens_in=tokens_in, tokens_out=ANSWER_TOKENS)

    def answer(self, question: Question) -> Outcome:
        """The known letter, or a wrong one; an unknown question costs nothing; see the port."""
        self._take_time()
        right = self._known.letter(digest_of(question.image_uri), question.question, question.options)
        if right is None:
            return Outcome(None, "", Spending())
        letter = erring_letter(
            right, question.options, self._accuracy, "simulated-oracle", self._seed, question.question_id
        )
        return Outcome(letter, "", self.estimate(question))
