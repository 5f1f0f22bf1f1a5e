"""Which tokens of a reply carry its answer: over them the routing takes H^traj (Eq. 3).

It knows texts and offsets; neither tokenizers nor models.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from services.evaluation.domain.scoring import strict_choice

Span = tuple[int, int]
#: A log-probability that is above 0 by no more than this is 0, rounded.
ROUNDING = 1e-4


def answer_span(text: str, options: Mapping[str, str], choice: str | None) -> Span | None:
    """Where a reply names the option that is read from it.

    It is the mention at which the reply, read up to there, becomes this choice, and no other option takes its place later;
    the last mention of the option where a reply cut short cannot be read, as an answer field.

    Args:
        text: The reply.
        options: Upper-case letter to text.
        choice: What `strict_choice` reads in it.

    Returns: (start, end) of the letter, or of the option's text; None where there is no choice or no such mention.
    """
    if choice is None:
        return None
    found = last = None
    for letter, start, end in _mentions(text, options):
        reading = strict_choice(text[:end], options)
        last = (start, end) if letter == choice else last
        if reading not in (choice, None):
            found = None
        elif reading == choice == letter and found is None:
            found = (start, end)
    return found or last


def token_ends(prefixes: Sequence[str], text: str) -> tuple[int, ...]:
    """Where in a reply each of its tokens ends.

    Args:
        prefixes: (n_tokens,) the text of the first 1, 2, .. n_tokens tokens.
        text: The reply: the last prefix without white space at its ends, and perhaps without an end token's text.

    Returns: (n_tokens,) offsets in the reply, ascending; empty where the tokens do not spell the reply.
    """
    before = prefixes[-1].find(text) if prefixes else -1
    if before < 0:
        return ()
    ends = [min(max(len(prefix) - before, 0), len(text)) for prefix in prefixes]
    # Half of a character is shown by one sign or several, the whole by one: so no end lies behind a later one.
    return tuple(accumulate(reversed(ends), min))[::-1]


def answer_tokens(token_ends: Sequence[int], span: Span | None) -> list[int]:
    """The tokens that H^traj is taken over.

    Args:
        token_ends: (n_tokens,) offset in the reply behind each token, ascending; a token that adds no text to the
            reply, as an end token, has the offset of the one before.
        span: (start, end) that names the option; None takes the whole reply.

    Returns: The places of the tokens that hold a character of the span. So neither the end token is among them, nor
        white space or punctuation beside a letter.
    Source: the paper takes the mean over the answer y; what of a reply is its answer is ours.
    """
    low, high = span or (0, max(token_ends, default=0))
    return [
        place
        for place, (start, end) in enumerate(pairwise([0, *token_ends]))
        if start < end and start < high and low < end
    ]


def logprobs_fault(token_logprobs: Sequence[float]) -> str:
    """Why no entropy can be taken of these log-probabilities; "" where one can."""
    if not token_logprobs:
        return "the model gave no log-probability"
    if not all(math.isfinite(logprob) for logprob in token_logprobs):
        return "a log-probability is no finite number"
    if max(token_logprobs) > ROUNDING:
        return "a log-probability is above 0"
    return ""


def _mentions(text: str, options: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """Each place where a letter stands alone, or the text of an option stands: (letter, start, end)."""
    letters = {_plain(words): letter for letter, words in options.items()}
    texts = "|".join(
        r"\s+".join(map(re.escape, words.split())) for words in sorted(letters, key=len, reverse=True) if words
    )
    pattern = rf"(?<!\w)(?:{texts + '|' if texts else ''}[A-Za-z])(?!\w)"
    for found in re.finditer(pattern, text, re.IGNORECASE):
        letter = letters.get(_plain(found.group()), found.group().upper())
        yield letter, found.start(), found.end()


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
