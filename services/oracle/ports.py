"""What annotation needs from outside: who answers, who reviews, who keeps the accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Question:
    """One multiple-choice question about one stored image.

    Attributes:
        key: Names the question about this image; a repeated call with the same key is the same call.
        image_uri: `sha256:<hex>` of the stored, de-identified PNG.
        text: The question.
        options: Letter to text, at least two.
    """

    key: str
    image_uri: str
    text: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Spending:
    """What a call costs: US dollars, tokens in and out, seconds of an expert's active time. All at least 0."""

    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    expert_seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a call brought.

    Attributes:
        letter: The chosen option; None where there is none.
        action: Of an expert "accept", "edit" or "reject", "" where the question is not known; of the oracle always "".
        spending: What it cost.
    """

    letter: str | None
    action: str
    spending: Spending


class AnnotationOracle(Protocol):
    """A model outside the loop that pre-annotates. Safe to use from several threads."""

    is_simulated: bool

    def estimate(self, question: Question) -> Spending:
        """The most that the answer may cost."""

    def answer(self, question: Question) -> Outcome:
        """Choose an option; letter None where the oracle does not know, never a guess in its place."""


@dataclass(frozen=True)
class SelfAnswer:
    """What the model under evolution says itself, greedily.

    Attributes:
        choice: The option that its reply names; None where no choice can be read from it.
        token_logprobs: (n_tokens,) natural logarithms of the probability of each token of the reply.
    """

    choice: str | None
    token_logprobs: tuple[float, ...]


class SelfAnnotator(Protocol):
    """The model under evolution, asked about its own training data."""

    def annotate(
        self,
        operation_id: str,
        model_uri: str,
        questions: Sequence[Question],
        seed: int,
        on_progress: Callable[[int, int], None],
        is_cancelled: Callable[[], bool],
    ) -> Mapping[str, SelfAnswer]:
        """Answer each question once, greedily.

        Args:
            operation_id: Names the work: the same id with the same questions is done once.
            model_uri: `sha256:<hex>` of the model.
            questions: With different keys.
            seed: Part of the request; greedy answers draw no noise.
            on_progress: Told how many answers of how many are there; what it raises ends the wait.
            is_cancelled: Asked every few seconds; when true the work is called off.

        Returns: An answer for each question key.
        """


class Expert(Protocol):
    """Somebody who decides. Safe to use from several threads."""

    is_simulated: bool

    def estimate(self, proposal: str | None) -> Spending:
        """The time that a review of a proposed letter, or an annotation from scratch (None), takes."""

    def review(self, question: Question, proposal: str | None) -> Outcome:
        """Accept a proposed letter, edit it or reject the question; action "" where the expert does not know."""


@dataclass(frozen=True)
class LedgerEntry:
    """A cost before or after it is spent; the same call has the same key after a restart."""

    key: str
    kind: str
    spending: Spending
    is_simulated: bool


class Ledger(Protocol):
    """The accounts of a run: reserved before a call is dispatched, settled after."""

    def reserve(self, run_id: str, entries: Sequence[LedgerEntry]) -> None:
        """Reserve all or none of at most 1000 entries; BudgetExhausted where the run cannot afford them."""

    def settle(self, run_id: str, entries: Sequence[LedgerEntry]) -> None:
        """Settle at most 1000 reserved entries at what they cost; doing it again changes nothing."""
