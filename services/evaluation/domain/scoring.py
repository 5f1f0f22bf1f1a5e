r"""Which option a reply chooses: the leaderboard's reading and a correct one.

Two readings of the same text, kept apart on purpose. `official_choice` is comparable with published
MedQ-Bench figures, its faults included; `strict_choice` gives an option only where the reply names exactly
one. It knows nothing of models, runs or scores.

The rules of `strict_choice`, in their order:

0. Thoughts (`<think>`) and markup go. Of answer fields (`<answer>`, `\boxed{}`, JSON `"answer"`), the last one is the
   reply. An option's text counts as its letter. A letter with its own text is one mention; with another's, it names none.
1. A letter is a mention where it is no part of a word, unit or abbreviation. "B or C" is one mention of two options.
2. A mention is dropped whose clause denies it ("not C", "C is wrong", "anything but C"), asks ("C?") or only supposes it
   ("at first I thought B").
3. What stands after a correction ("no wait", "sorry", "therefore") replaces what stood before.
4. Each mention has a rank: *stated* as the answer ("the answer is C", "I choose C", "C is correct"); *alone* in its clause
   ("C.", "It is C."); *possible* ("it may be C"); *named* (in brackets, as "option C", or by its text in a sentence). Any
   other letter is no mention. The highest rank that occurs decides; what is then said to be possible too counts with it.
5. If one option remains, it is the choice. If several remain, or the reply refuses to answer, there is none.

What these do not cover is None, never guessed. The words are in `reply_words`, the markup in `reply_text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

from services.evaluation.domain import reply_lexicon as lexicon
from services.evaluation.domain import reply_words as words
from services.evaluation.domain.reply_text import last_field, last_part, marked, plain

_MENTION = re.compile(
    r"\(([A-Z?])\)|⟦(\w)⟧|(?<![\w'/°.-])([A-HJ-Zbcd]|[efgh](?=\s*(?:[.,;:!?)]|$))|a(?=\s*[.,;:!?)])|(?<=: )a$)"
    r"(?![\w'°/+#-]|\.\w)"
)

_REACH = 400  # characters beside a mention that are looked at, so that reading takes time in proportion to the reply


class _Rank(IntEnum):
    """How clearly an option is meant as the answer."""

    STATED = 1
    ALONE = 2
    NAMED = 3
    POSSIBLE = 4


@dataclass(frozen=True)
class _Mention:
    """Options named in one breath, as in "B or C", and where in the reply.

    Attributes:
        letters: Upper-case; "?" for a letter with another option's text.
        is_text: Whether the first is an option's text and not a letter.
        is_wrapped: Whether the first stands in brackets.
        start: Offset of the first character.
        end: Offset behind the last.
    """

    letters: frozenset[str]
    is_text: bool
    is_wrapped: bool
    start: int
    end: int


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
        if _denies(last_part(words.CLAUSE, marked(field[0], options).lower())):
            return None
        reply = field[1]
    refuses = bool(words.REFUSES.search(reply.lower()))
    reply = marked(reply, options)
    whole = re.fullmatch(r"[\s.,:;!?\"'()\[\]{}<>|_=>-]*([A-Za-z])[\s.,:;!?\"'()\[\]{}<>|_/-]*", reply)
    letters = {whole[1].upper()} if whole else _chosen(reply, options, refuses)
    return next(iter(letters)) if len(letters) == 1 and letters <= options.keys() else None


def _chosen(reply: str, options: Mapping[str, str], refuses: bool) -> frozenset[str]:
    """The options of the highest rank that occurs, and those then said to be possible too."""
    ranked = _corrected(list(_ranked(reply, options)), reply)
    highest = min((rank for rank, _ in ranked), default=None)
    if highest is _Rank.POSSIBLE or refuses and highest is not _Rank.STATED:
        return frozenset()
    chosen: frozenset[str] = frozenset()
    for rank, mention in ranked:
        if rank is highest or (chosen and rank in (_Rank.ALONE, _Rank.POSSIBLE)):
            chosen |= mention.letters
    return chosen


def _corrected(ranked: list[tuple[_Rank, _Mention]], reply: str) -> list[tuple[_Rank, _Mention]]:
    """Without what stands before the last correction that an answer follows."""
    answers = [i for i, (rank, _) in enumerate(ranked) if rank <= _Rank.NAMED]
    for before, after in reversed(list(pairwise(answers))):
        is_as_clear = ranked[after][0] <= max(ranked[before][0], _Rank.ALONE)
        if is_as_clear and words.CORRECTS.search(reply[ranked[before][1].end : ranked[after][1].start].lower()):
            return ranked[after:]
    return ranked


def _ranked(reply: str, options: Mapping[str, str]) -> Iterator[tuple[_Rank, _Mention]]:
    """The mentions that are affirmed and have a rank, in their order."""
    mentions = [mention for mention in _mentions(reply) if len(mention.letters) < max(3, len(options))]
    ends = [0, *(mention.end for mention in mentions)]
    starts = [*(mention.start for mention in mentions[1:]), len(reply)]
    for mention, previous, following in zip(mentions, ends, starts, strict=False):
        before = reply[max(previous, mention.start - _REACH) : mention.start].lower()
        behind = reply[mention.end : min(following, mention.end + _REACH)].lower()
        if previous and words.OF_THE_ONE_BEFORE.search(before):
            before = ""
        elif previous and last_part(words.CLAUSE, before) == before:
            before = f"other {before}"
        clause, after = last_part(words.CLAUSE, before), _after(behind, following < len(reply))
        rest = behind[len(words.CLAUSE.split(behind, 1)[0]) :]
        is_asked = rest.startswith("?") and not words.YES.match(rest)
        says_no = mention.is_text and all(_is_yes_or_no(options[letter]) for letter in mention.letters & options.keys())
        if is_asked or not says_no and words.DENIED.match(reply[mention.end : mention.end + _REACH].lower()) or not _is_affirmed(clause, after):
            continue
        rank = _rank(mention, clause, after, options)
        if rank and not (rank in (_Rank.ALONE, _Rank.POSSIBLE) and words.DENIES_AHEAD.search(_reach(before, previous > 0))):
            yield rank, mention


def _after(behind: str, is_followed: bool) -> str:
    """The rest of a mention's clause; a mention that follows in it is kept as a word, "not" before that one is not."""
    after = words.CLAUSE.split(behind, 1)[0]
    if not is_followed or after != behind:
        return after
    own = words.DENIES_NEXT.sub("", after)
    return own if own != after else after + " other"


def _reach(before: str, is_second: bool) -> str:
    """How far back "not" reaches to an option alone in its clause: "not, in my view, C"; no farther than the option before."""
    sentence = last_part(words.SENTENCE, before)
    return sentence.partition(",")[2] if is_second and sentence == before else sentence


def _mentions(reply: str) -> Iterator[_Mention]:
    """Each place where options stand; those that "and", "or" or commas join are one."""
    joined: _Mention | None = None
    for found in _MENTION.finditer(reply):
        letter = (found[1] or found[2] or found[3]).upper()
        if joined and _is_joined(joined, reply[joined.end : found.start()].lower(), reply[found.end() : found.end() + _REACH].lower()):
            joined = replace(joined, letters=joined.letters | {letter}, end=found.end())
            continue
        if joined:
            yield joined
        joined = _Mention(frozenset(letter), bool(found[2]), bool(found[1]), found.start(), found.end())
    if joined:
        yield joined


def _is_joined(joined: _Mention, between: str, after: str) -> bool:
    """Whether what stands between two options joins them; a comma alone does where no new clause begins."""
    if between == ",":
        return True
    pause = between.strip()
    is_list = not pause.startswith(",") or (len(joined.letters) > 1 and pause != ",") or bool(words.LIST_GOES_ON.match(after))
    return is_list and bool(words.JOINS.fullmatch(between))


def _is_affirmed(before: str, after: str) -> bool:
    """Whether the clause of a mention neither denies nor merely supposes it."""
    is_supposed = words.SUPPOSED.search(before) or words.SUPPOSED.search(after)
    return not (is_supposed or _denies(before) or words.DENIES_BEFORE.search(after))


def _denies(clause: str) -> bool:
    """Whether words before an option deny it. "No," and its like before a comma are interjections."""
    *earlier, last = re.split(r"[,.]|\s-\s", clause)
    parts = [part for part in earlier if not words.INTERJECTION.fullmatch(part.strip())]
    return any(words.DENIES.search(part) for part in [*parts, last])


def _rank(mention: _Mention, before: str, after: str, options: Mapping[str, str]) -> _Rank | None:
    """How clearly the clause means the mention; None where it may be an article or part of the description."""
    is_last = bool(words.FILLER_AFTER.fullmatch(after))
    if words.STATES_AFTER.search(after) or (words.STATES.search(before) and (is_last or not mention.is_text)):
        return _Rank.STATED
    if words.ONLY_FILLER.fullmatch(before.rpartition(":")[2]) and (
        is_last or after.startswith(":") or words.POSSIBLE_AFTER.search(after)
    ):
        return _Rank.POSSIBLE if words.POSSIBLE.search(before + after) else _Rank.ALONE
    return _Rank.NAMED if _is_named(mention, before, after, options) else None


def _is_named(mention: _Mention, before: str, after: str, options: Mapping[str, str]) -> bool:
    """Whether a mention in a longer clause means the option: subject or object, in brackets, or a text that fits no other word."""
    if words.WOULD.match(after):
        return False
    if mention.is_wrapped or words.NAMES.search(before):
        return True
    goes_on = bool(words.GOES_ON.match(after))
    if not mention.is_text:
        is_subject = words.ONLY_FILLER.fullmatch(before.rpartition(" only ")[2]) and words.SUBJECT_OF.match(after)
        return bool(is_subject or (goes_on and words.LEADS.search(before)))
    texts = [options[letter] for letter in mention.letters & options.keys()]
    is_phrase = all(map(words.PHRASE.search, texts))
    return is_phrase or goes_on or (not any(map(_is_yes_or_no, texts)) and bool(words.TRADE_NOUN.match(after)))


def _is_yes_or_no(text: str) -> bool:
    return any(text.casefold() in forms for forms in lexicon.YES_AND_NO)
