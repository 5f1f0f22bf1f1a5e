"""Where a reply names options, and how clearly: rules 1, 2 and 4 of `scoring`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from services.evaluation.domain import reply_words as words
from services.evaluation.domain.reply_lexicon import YES_AND_NO
from services.evaluation.domain.reply_text import last_part

_PLACE = re.compile(
    r"\(([A-Z?])\)|⟦(\w)⟧|(?<![\w'/°.-])([A-HJ-Zbcd]|[efgh](?=\s*(?:[.,;:!?)]|$))|a(?=\s*[.,;:!?)])|(?<=: )a$)"
    r"(?![\w'°/+#-]|\.\w)"
)
_REACH = 400  # characters beside a mention that are looked at, so that no clause takes long


class Rank(IntEnum):
    """How clearly an option is meant as the answer."""

    STATED = 1
    ALONE = 2
    NAMED = 3
    POSSIBLE = 4


@dataclass(frozen=True)
class Mention:
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


@dataclass(frozen=True)
class _Place:
    """What stands around a mention, in lower case.

    Attributes:
        before: Its clause, up to it; "other" stands for a mention there.
        after: Its clause, behind it; "other" as above.
        asks: Whether the clause ends as a question.
        behind: What follows, beyond the clause and other mentions too.
        reach: What else stands before it, where "not" before a pause counts.
    """

    before: str
    after: str
    asks: bool
    behind: str
    reach: str


def ranked(reply: str, options: Mapping[str, str]) -> Iterator[tuple[Rank, Mention]]:
    """The mentions that are affirmed and have a rank, in their order; a list of all options is none.

    Args:
        reply: As `reply_text.marked` gives it.
        options: Upper-case letter to text.
    """
    mentions = [mention for mention in _mentions(reply) if len(mention.letters) < max(3, len(options))]
    items = _items_that_break_off(reply, options)
    ends = [0, *(mention.end for mention in mentions)]
    starts = [*(mention.start for mention in mentions[1:]), len(reply)]
    for mention, previous, following in zip(mentions, ends, starts, strict=False):
        texts = [options.get(letter, "") for letter in mention.letters] if mention.is_text else []
        place = _place(reply, mention, previous, following)
        if _is_affirmed(place, is_yes_or_no=bool(texts) and all(map(_is_yes_or_no, texts))):
            rank = _rank(mention, place, texts)
            is_apart = rank in (Rank.ALONE, Rank.POSSIBLE)
            is_item = mention.start in items and not words.STATES_AFTER.search(place.after)
            is_in_item = items and mention.start > items[0] and rank is Rank.NAMED
            is_denied = is_apart and words.DENIES_AHEAD.search(place.reach)
            if rank and not (is_item or is_in_item or is_denied):
                yield rank, mention


def _items_that_break_off(reply: str, options: Mapping[str, str]) -> list[int]:
    """Where the items "A: ..." of a list begin that breaks off before the last option, and so says nothing yet."""
    items = list(words.ITEM.finditer(reply))
    is_list = len(items) > 1 or (items and words.GOES_THROUGH.search(reply[: items[0].start(1)][-_REACH:].lower()))
    is_in_order = [item[1][-1].upper() for item in items] == list(options)[: len(items)]
    breaks_off = len(items) < len(options) or not items[-1][2]
    return [item.start(1) for item in items] if is_list and is_in_order and breaks_off else []


def _mentions(reply: str) -> Iterator[Mention]:
    """Each place where options stand; those that "and", "or" or commas join are one."""
    joined: Mention | None = None
    for found in _PLACE.finditer(reply):
        letter = (found[1] or found[2] or found[3]).upper()
        if joined and _is_joined(
            joined, reply[joined.end : found.start()].lower(), reply[found.end() :][:_REACH].lower()
        ):
            joined = replace(joined, letters=joined.letters | {letter}, end=found.end())
            continue
        if joined:
            yield joined
        joined = Mention(frozenset(letter), bool(found[2]), bool(found[1]), found.start(), found.end())
    if joined:
        yield joined


def _is_joined(joined: Mention, between: str, after: str) -> bool:
    """Whether what stands between two options joins them; after a comma and a blank a new clause may begin."""
    if between == ",":
        return True
    pause = between.strip()
    is_third = len(joined.letters) > 1 and pause != ","
    is_list = not pause.startswith(",") or is_third or bool(words.LIST_GOES_ON.match(after))
    return is_list and bool(words.JOINS.fullmatch(between))


def _place(reply: str, mention: Mention, previous: int, following: int) -> _Place:
    """What stands around a mention, between the end of the one before (0: none) and the start of the one behind."""
    before = reply[max(previous, mention.start - _REACH) : mention.start].lower()
    behind = reply[mention.end : min(following, mention.end + _REACH)].lower()
    if previous and words.OF_THE_ONE_BEFORE.search(before):
        before = ""
    elif previous and last_part(words.CLAUSE, before) == before:
        before = f"other {before}"
    sentence = last_part(words.SENTENCE, before)
    after = words.CLAUSE.split(behind, 1)[0]
    rest = behind[len(after) :]
    if following < len(reply) and after == behind:
        own = words.DENIES_NEXT.sub("", after)
        after = own if own != after else after + " other"
    return _Place(
        before=last_part(words.CLAUSE, before),
        after=after,
        asks=rest.startswith("?") and not words.YES.match(rest),
        behind=reply[mention.end : mention.end + _REACH].lower(),
        reach=sentence.partition(",")[2] if previous and sentence == before else sentence,
    )


def _is_affirmed(place: _Place, is_yes_or_no: bool) -> bool:
    """Whether a mention is neither asked nor supposed nor denied; "No, not at all" denies no "No"."""
    is_supposed = words.SUPPOSED.search(place.before) or words.SUPPOSED.search(place.after)
    is_denied = not is_yes_or_no and words.DENIED.match(place.behind)
    return not (
        place.asks
        or words.BREAKS_OFF.fullmatch(place.behind)
        or is_supposed
        or is_denied
        or denies(place.before)
        or words.DENIES_BEFORE.search(place.after)
    )


def denies(clause: str) -> bool:
    """Whether words before an option deny it. "No," and its like before a comma are interjections."""
    *earlier, last = re.split(r"[,.]|\s-\s", clause)
    parts = [part for part in earlier if not words.INTERJECTION.fullmatch(part.strip())]
    return any(words.DENIES.search(part) for part in [*parts, last])


def _rank(mention: Mention, place: _Place, texts: list[str]) -> Rank | None:
    """How clearly the clause means the mention; None where it may be an article or part of the description."""
    before, after = place.before, place.after
    is_last = bool(words.FILLER_AFTER.fullmatch(after))
    if words.STATES_AFTER.search(after) or (words.STATES.search(before) and (is_last or not mention.is_text)):
        return Rank.STATED
    is_apart = is_last or after.startswith(":") or words.POSSIBLE_AFTER.search(after)
    if is_apart and words.ONLY_FILLER.fullmatch(before.rpartition(":")[2]):
        return Rank.POSSIBLE if words.POSSIBLE.search(before + after) else Rank.ALONE
    return Rank.NAMED if _is_named(mention, before, after, texts) else None


def _is_named(mention: Mention, before: str, after: str, texts: list[str]) -> bool:
    """Whether a mention within a sentence means the option."""
    if words.WOULD.match(after):
        return False
    if mention.is_wrapped or words.NAMES.search(before):
        return True
    goes_on = bool(words.GOES_ON.match(after))
    if not mention.is_text:
        is_subject = words.ONLY_FILLER.fullmatch(last_part(words.SUBJECT_AFTER, before)) and words.SUBJECT_OF.match(
            after
        )
        return bool(is_subject or (goes_on and words.LEADS.search(before)))
    is_phrase = all(map(words.PHRASE.search, texts))
    is_adjective = bool(words.TRADE_NOUN.match(after)) and not any(map(_is_yes_or_no, texts))
    return is_phrase or goes_on or is_adjective


def _is_yes_or_no(text: str) -> bool:
    return any(text.casefold() in forms for forms in YES_AND_NO)
