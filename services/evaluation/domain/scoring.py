"""Which option a reply chooses: the leaderboard's reading and a correct one.

Two readings of the same text, kept apart on purpose. `official_choice` is comparable with published
MedQ-Bench figures, its faults included; `strict_choice` gives an option only where the reply names exactly
one. It knows nothing of models, runs or scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_WRAPPING = " \t\r\n*_`\"'“”‘’"
_APART = r"(?![A-Za-z0-9'’/-])"  # the letter is no part of a word, unit or abbreviation
_END = r"(?=\s*(?:[.,;:!?)\]\n*]|$))"  # what follows a letter that is no article
_CUE_WORDS = r"(?i:\b(?:answer|option|choice|choose|select|pick)(?:\s+(?:is|would\s+be|should\s+be|option))?\s*[:=]?\s*"
_WHOLE_LETTER = re.compile(r"[(\[]?\s*([A-Za-z])\s*[)\].:,;!]*")
_LEADING_LETTER = re.compile(r"[(\[]?([A-Za-z])\s*[)\].:](?![A-Za-z])\s*")
_NAMING = (
    re.compile(_CUE_WORDS + r"(?:option\s+)?)[(\[*]{0,2}([A-Z])" + _APART + r"(?!\s+[A-Z]{2})"),
    re.compile(_CUE_WORDS + r"(?:option\s+)?)[(\[*]{0,2}([a-z])" + _APART + _END),
    re.compile(r"(?<![A-Za-z0-9'’/(\[.-])[*]{0,2}([A-Z])" + _APART + _END),  # standing before punctuation
    # Of "A or B" both are named.
    re.compile(r"(?<![A-Za-z0-9'’/-])([A-Z])(?=\s+(?:and|or)\s+[A-Z]" + _APART + ")"),
    re.compile(r"[(\[]([A-Z])[)\]]"),
    re.compile(r"(?<![A-Za-z0-9'’/-])([A-Z])\s+is\s+(?:the\s+)?(?:correct|right|best|answer)\b"),
)
_CUE_BEFORE_TEXT = re.compile(r"(?s)^.*?" + _CUE_WORDS + ")")


def official_choice(text: str, options: Mapping[str, str]) -> str | None:
    """The letter that the published evaluator reads, faults included.

    The reply is upper-cased; the first of A-D (A-E where there is an option E) with no A-Z beside it is the
    choice. So the article in "a blurred image, so B" reads as A, "I'd say C" as D, "N/A" as A, and a bare
    "Yes" as nothing.

    Args:
        text: The reply.
        options: Letter to text; only whether there is an E matters.

    Returns: The letter; None where none is found, which the published evaluator counts as wrong.
    Source: MedQ-Bench's scorer in VLMEvalKit (`medqbench_mcq.py`), re-typed from a description of it.
    """
    letters = "A-E" if "E" in options else "A-D"
    found = re.search(rf"(?<![A-Z])[{letters}](?![A-Z])", text.upper())
    return found.group() if found else None


def strict_choice(text: str, options: Mapping[str, str]) -> str | None:
    """The one option that the reply names, or None (UNSCORED).

    A reply names an option by its letter (alone, leading with a delimiter as in "B)", after "answer", "option" or
    "choice", in brackets, before "is correct", or standing before punctuation or the end) or by its exact text
    (alone, leading before punctuation, or after "the answer is"), whatever the case. A letter followed by a word is
    an article or part of the sentence and does not count without such a cue. Naming two options, or a letter that
    is no option, names none.

    Args:
        text: The reply.
        options: Upper-case letter to text, at least one.

    Returns: A key of `options`, or None.
    """
    reply = text.strip(_WRAPPING)
    whole = _WHOLE_LETTER.fullmatch(reply)
    named = {whole.group(1).upper()} if whole else _named_by_letter(reply) | _named_by_text(reply, options)
    if len(named) != 1:
        return None
    letter = named.pop()
    return letter if letter in options else None


def _named_by_letter(reply: str) -> set[str]:
    """Letters that the reply offers as its answer, upper-cased; not all need be options."""
    leading = _LEADING_LETTER.match(reply)
    named = {leading.group(1).upper()} if leading else set()
    for pattern in _NAMING:
        named |= {found.upper() for found in pattern.findall(reply)}
    return named


def _named_by_text(reply: str, options: Mapping[str, str]) -> set[str]:
    """Options whose text is the reply, leads it, or follows its letter ("B Noise") or "the answer is"."""
    starts = {reply, _LEADING_LETTER.sub("", reply, count=1), _CUE_BEFORE_TEXT.sub("", reply, count=1)}
    starts |= {_LEADING_LETTER.sub("", start, count=1) for start in starts}
    whole = _plain(reply)
    named = {letter for letter, option in options.items() if whole == _plain(f"{letter} {option}")}
    for start in starts:
        plain = _plain(start)
        led = {letter: _plain(option) for letter, option in options.items() if _leads(_plain(option), plain)}
        longest = max(map(len, led.values()), default=0)
        named |= {letter for letter, option in led.items() if len(option) == longest}
    return named


def _leads(option: str, reply: str) -> bool:
    """Whether the reply is the option's text, or goes on after it with punctuation."""
    follows = reply[len(option) : len(option) + 1]
    return bool(option) and reply.startswith(option) and follows in ("", ".", ",", ";", ":", "!")


def _plain(text: str) -> str:
    """Case-folded, single-spaced, without wrapping marks and closing punctuation."""
    return " ".join(text.casefold().split()).strip(_WRAPPING + ".,;:!?")
