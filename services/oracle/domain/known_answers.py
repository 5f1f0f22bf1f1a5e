"""The answers that the simulated oracle and expert know, and how they err. Knows neither files nor costs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from shared.quality_level import closing_level
from shared.rows.annotation import KnownAnswer


class KnownAnswers:
    """Known answers by image and question.

    Args:
        answers: Those known; a question about an image has several right texts if it was asked with several sets of options.
    """

    def __init__(self, answers: Iterable[KnownAnswer]) -> None:
        self._texts: dict[tuple[str, str], set[str]] = {}
        self._descriptions: dict[str, dict[str, str]] = {}  # by question, then image
        for answer in answers:
            image_id, asked = answer.image_id, _plain(answer.question)
            self._texts.setdefault((image_id, asked), set()).add(_plain(answer.answer_text))
            if not answer.options:
                described = self._descriptions.setdefault(asked, {})
                described[image_id] = max(answer.answer_text, described.get(image_id, ""))
        # Few differ among those of a whole pool, and each review looks through them.
        self._different = {asked: frozenset(of.values()) for asked, of in self._descriptions.items()}

    def is_known(self, image_id: str, question: str) -> bool:
        """Whether an answer to this question about this image is known, among whatever options."""
        return (image_id, _plain(question)) in self._texts

    def right(self, image_id: str, question: str, options: Mapping[str, str]) -> str | None:
        """The letter of the one option that is known to be right, or the known description; None where none or several are."""
        if not options:
            return self._descriptions.get(_plain(question), {}).get(image_id)
        texts = self._texts.get((image_id, _plain(question)), set())
        right = [letter for letter, text in sorted(options.items()) if _plain(text) in texts]
        return right[0] if len(right) == 1 else None

    def wrong(self, question: str, options: Mapping[str, str], right: str) -> Sequence[str]:
        """What somebody who errs may take for the right answer: the other letters, or descriptions of other images.

        Of descriptions those count that close with another quality level.
        """
        if options:
            return sorted(letter for letter in options if letter != right)
        others = self._different.get(_plain(question), frozenset())
        return sorted(text for text in others if closing_level(text) != closing_level(right))


def erring_answer(right: str, wrong: Sequence[str], accuracy: float, *key: str | int) -> str:
    """The answer that somebody of a given accuracy gives.

    Args:
        right: The right answer.
        wrong: Answers that are not.
        accuracy: Chance of the right answer, 0..1; else one of the wrong ones, each with equal chance.
        key: Names the draw (who, seed, question): the same key gives the same answer.

    Returns: `right` or one of `wrong`; `right` where there is no other.
    """
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    if rng.random() < accuracy or not wrong:
        return right
    return wrong[int(rng.integers(len(wrong)))]


def _plain(text: str) -> str:
    """Case-folded and single-spaced."""
    return " ".join(text.casefold().split())
