"""An annotation oracle that knows the answers and errs at a set rate. Nothing leaves the process.

What a call would have cost is estimated from the list price below; every figure is marked as simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.oracle.domain.annotation import question_key
from services.oracle.domain.known_answers import KnownAnswers, erring_answer
from services.oracle.domain.known_questions import KnownQuestions
from services.oracle.domain.questions import Asking, Proposal, QuestionTemplate
from services.oracle.ports import SIMULATED, Outcome
from shared.outside.accounts import CallBook
from shared.outside.call import Prepared
from shared.rows.selection import Sample
from shared.spending import Spending

#: List price of gpt-4o-2024-08-06, the paper's oracle, in US dollars per million tokens, as of 2024-10.
PRICE_DATE = "2024-10"
USD_PER_MILLION_TOKENS_IN = 2.50
USD_PER_MILLION_TOKENS_OUT = 10.00
#: An image of one tile of 512 x 512 pixels at that price list: 85 + 170 tokens.
IMAGE_TOKENS = 255
#: A usual length of English text, in characters per token.
CHARACTERS_PER_TOKEN = 4
#: Of the answer to a question with options, and the most of a description.
ANSWER_TOKENS, DESCRIPTION_TOKENS = 1, 256


class SimulatedOracle:
    """An `AnnotationOracle` over known answers.

    Args:
        questions: What it can ask.
        known: What it knows.
        asking: Which questions.
        accuracy: Chance that a known question is answered right, 0..1; the same seed and question give the same answer.
        take_time: Called once in each call, for as long as the call shall take.
    """

    name = SIMULATED
    is_simulated = True

    def __init__(
        self,
        questions: KnownQuestions,
        known: KnownAnswers,
        asking: Asking,
        accuracy: float,
        take_time: Callable[[], None] = lambda: None,
    ) -> None:
        self._questions = questions
        self._known = known
        self._asking = asking
        self._accuracy = accuracy
        self._take_time = take_time

    def book(self, work_id: str, run_id: str, max_in_flight: int) -> CallBook:
        """Simulated figures; see the port."""
        return CallBook(work_id, run_id, "oracle", max_in_flight, self.is_simulated)

    def prepare(self, sample: Sample, complaint: str = "") -> Prepared[Outcome]:
        """The cost by the price list; see the port."""
        asked, is_without_choice = self._questions.about(sample, self._asking)
        most = _cost(asked, sum(ANSWER_TOKENS if one.options else DESCRIPTION_TOKENS for one in asked))
        return Prepared(most, lambda: self._propose(sample, asked, is_without_choice))

    def _propose(self, sample: Sample, asked: Sequence[QuestionTemplate], is_without_choice: bool) -> Outcome:
        """The known answers, or wrong ones; where it knows none, nothing is spent."""
        self._take_time()
        proposals = tuple(Proposal(one, self._answer(sample, one)) for one in asked)
        known = [one for one in proposals if one.answer is not None]
        n_tokens = sum(ANSWER_TOKENS if one.template.options else _tokens(one.answer or "") for one in known)
        spending = _cost([one.template for one in known], n_tokens)
        return Outcome(None, "", spending, proposals, is_without_choice=is_without_choice)

    def _answer(self, sample: Sample, asked: QuestionTemplate) -> str | None:
        right = self._known.right(sample.image_id, asked.question, asked.options)
        if right is None:
            return None
        wrong = self._known.wrong(asked.question, asked.options, right)
        key = question_key(sample.image_id, asked)
        return erring_answer(right, wrong, self._accuracy, "simulated-oracle", self._asking.seed, key)


def _cost(asked: Sequence[QuestionTemplate], tokens_out: int) -> Spending:
    """What one call about an image with these questions costs; nothing without any."""
    if not asked:
        return Spending()
    texts = [one.question + "".join(f"A. {text}" for text in one.options.values()) for one in asked]
    tokens_in = IMAGE_TOKENS + sum(map(_tokens, texts))
    tokens_out = min(tokens_out, sum(ANSWER_TOKENS if one.options else DESCRIPTION_TOKENS for one in asked))
    usd = tokens_in * USD_PER_MILLION_TOKENS_IN + tokens_out * USD_PER_MILLION_TOKENS_OUT
    return Spending(usd=round(usd / 1e6, 9), tokens_in=tokens_in, tokens_out=tokens_out)


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)
