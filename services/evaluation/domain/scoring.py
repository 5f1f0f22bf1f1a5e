r"""Which option a reply chooses: the leaderboard's reading and a correct one.

Two readings of the same text, kept apart on purpose. `official_choice` is comparable with published
MedQ-Bench figures, its faults included; `strict_choice` gives an option only where the reply names exactly
one. It knows nothing of models, runs or scores.

The rules of `strict_choice`, in their order:

0. Thoughts (`<think>`) and markup go. Of answer fields (`<answer>`, `\boxed{}`, JSON `"answer"`), the last one is the
   reply. An option's text counts as its letter. A letter with its own text is one mention; with another's, it names none.
   A reply that is one letter and marks ("C", "(c)", "C?") is that letter.
1. A letter is a mention where it is no part of a word, unit or abbreviation. "B or C" is one mention of two options; a
   list of all options is none. So is a list with a text for each ("A: no grain.") that breaks off before the last option
   and says of none that it is right, and an option at which the reply breaks off ("B or").
2. A mention is dropped whose clause denies it ("not C", "C is wrong", "anything but C"), asks ("is it C?") or only
   supposes it ("at first I thought B").
3. Each mention that is left has a rank: *stated* as the answer ("the answer is C", "I choose C", "C is correct"); *alone* in
   its clause ("C.", "It is C."); *named* in a sentence ("the grain points to C", "C explains it", "option C", or its
   text); *possible* ("it may be C"). Any other letter ("a blurred image") is no mention.
4. What stands after a correction or a conclusion ("no wait", "sorry", "therefore") replaces what stood before, if it is
   as clear.
5. The highest rank that occurs decides; an option that is then alone in its clause or possible counts with it.
6. If one option remains, it is the choice. If several remain, or only possible ones, or the reply refuses to answer,
   there is none.

What these do not cover is None, never guessed. `reply_text` does rule 0, `reply_mentions` rules 1 to 3, with the patterns
of `reply_words` over the words of `reply_lexicon`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from services.evaluation.domain import reply_words as words
from services.evaluation.domain.reply_mentions import Mention, Rank, denies, ranked
from services.evaluation.domain.reply_text import last_field, last_part, marked, plain

_MARKS = r"[\s.,:;!?\"'()\[\]{}<>|_=/-]*"
_ONE_LETTER = re.compile(rf"{_MARKS}([A-Za-z]){_MARKS}")


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
    """The one option that the reply means, by the rules above, or None (UNSCORED).

    Args:
        text: The reply.
        options: Upper-case letter to text, at least one.

    Returns: A key of `options`, or None.
    """
    reply = plain(text)
    field = last_field(reply)
    if field:
        if denies(last_part(words.CLAUSE, marked(field[0], options).lower())):
            return None
        reply = field[1]
    refuses = bool(words.REFUSES.search(reply.lower()))
    reply = marked(reply, options)
    one = _ONE_LETTER.fullmatch(reply)
    letters = {one[1].upper()} if one else _chosen(_last_word(list(ranked(reply, options)), reply), refuses)
    return next(iter(letters)) if len(letters) == 1 and letters <= options.keys() else None


def _last_word(mentions: list[tuple[Rank, Mention]], reply: str) -> list[tuple[Rank, Mention]]:
    """Without what stands before the last correction or conclusion that an answer as clear follows (rule 4)."""
    for least in (Rank.ALONE, Rank.NAMED):
        answers = [i for i, (rank, _) in enumerate(mentions) if rank <= least]
        for before, after in reversed(list(pairwise(answers))):
            is_as_clear = mentions[after][0] <= max(mentions[before][0], Rank.ALONE)
            if is_as_clear and words.CORRECTS.search(reply[mentions[before][1].end : mentions[after][1].start].lower()):
                return mentions[after:]
    return mentions


def _chosen(mentions: list[tuple[Rank, Mention]], refuses: bool) -> frozenset[str]:
    """The options of the highest rank, and those then alone or possible (rules 5 and 6)."""
    highest = min((rank for rank, _ in mentions), default=Rank.POSSIBLE)
    if highest is Rank.POSSIBLE or (refuses and highest is not Rank.STATED):
        return frozenset()
    chosen: frozenset[str] = frozenset()
    for rank, mention in mentions:
        if rank is highest or (chosen and rank in (Rank.ALONE, Rank.POSSIBLE)):
            chosen |= mention.letters
    return chosen
