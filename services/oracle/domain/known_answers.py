"""The answers that the simulated oracle and expert know, and how they err. Knows neither files nor costs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from shared.rows.annotation import KnownAnswer


class KnownAnswers:
    """Known answers by image and question.

    Args:
        answers: Those known; a question about an image has several right texts if it was asked with several sets of options.
    """

    def __init__(self, answers: Iterable[KnownAnswer]) -> None:
        self._texts: dict[tuple[str, str], set[str]] = {}
        for answer in answers:
            key = (answer.image_id, _plain(answer.question))
            self._texts.setdefault(key, set()).add(_plain(answer.answer_text))

    def is_known(self, image_id: str, question: str) -> bool:
        """Whether an answer to this question about this image is known, among whatever options."""
        return (image_id, _plain(question)) in self._texts

    def letter(self, image_id: str, question: str, options: Mapping[str, str]) -> str | None:
        """The letter of the one option that is known to be right; None where none or several are."""
        texts = self._texts.get((image_id, _plain(question)), set())
        right = [letter for letter, text in sorted(options.items()) if _plain(text) in texts]
        return right[0] if len(right) == 1 else None


def erring_letter(right: str, options: Mapping[str, str], accuracy: float, *key: str | int) -> str:
    """The letter that somebody of a given accuracy chooses.

    Args:
        right: The right letter, a key of `options`.
        options: Letter to text.
        accuracy: Chance of the right letter, 0..1; else one of the others, each with equal chance.
        key: Names the draw (who, seed, question): the same key gives the same letter.

    Returns: A key of `options`; `right` where there is no other.
    """
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    wrong = sorted(letter for letter in options if letter != right)
    if rng.random() < accuracy or not wrong:
        return right
    return wrong[int(rng.integers(len(wrong)))]


def _plain(text: str) -> str:
    """Case-folded and single-spaced."""
    return " ".join(text.casefold().split())
