"""A reply made plain: thoughts, markup and wrappers away, each option's text one sign."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from services.evaluation.domain.reply_lexicon import YES_AND_NO
from services.evaluation.domain.reply_words import IDIOMS, JOINS

#: What is read of a reply without its thoughts; so no reply takes long.
MOST_CHARACTERS = 10_000
_SIGNS = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "`": "",
        "。": ". ",
        "、": ",",
        "→": ":",
        "≠": " not ",
        "¬": " not ",
        "✗": " wrong",
        "✘": " wrong",
        "❌": " wrong",
        "«": '"',
        "»": '"',
        "【": "[",
        "】": "]",
    }
    | dict.fromkeys("“”„「」『』", '"')
    | dict.fromkeys("*$⟦⟧", "")
)
_THOUGHT = re.compile(r"(?is)^.*</think(?:ing)?>|<think(?:ing)?>.*$")
_STRUCK = re.compile(r"~~.*?~~")
_FIELDS = (
    re.compile(
        r"""(?is)["']\w{0,20}(?:answer|choice|option|prediction|response|letter|答案)\w{0,20}["']\s*:\s*(["'])(?P<value>.*?)\1"""
    ),
    re.compile(r"(?is)[<\[]\s*(?:\w{1,20}_)?(?:answer|choice)\s*[>\]](?P<value>[^<\[]*)[<\[]\s*/\w{1,30}\s*[>\]]"),
    re.compile(r"\\boxed\s*\{(?P<value>(?:[^{}]|\{[^{}]*\})*)\}"),
)
_LATEX = re.compile(r"\\[a-z]+\s*\{([^{}]*)\}|\\[()\[\]]")
_WRAPPED_LETTER = re.compile(r"[(\[\"{<]{1,3}\s{0,3}([A-Za-z])\s*[.:]?\s*[)\]\"}>]{1,3}|(?<!\w)'([A-Za-z])'(?!\w)")
_TAG = re.compile(
    r"(?i)</?(?!\w{0,20}_?(?:answer|choice)\b)(?:(?-i:[bisup])|[a-z]\w{1,20})(?:\s[^<>]{0,99})?>|<\|\w{1,30}\|>"
    r"|^#+|^\s{0,9}\d{1,2}[.)](?=\s)",
    re.MULTILINE,
)
_YES_OR_NO = re.compile(
    rf"(?i)[^\w⟦]*({'|'.join(sorted(frozenset.union(*YES_AND_NO), key=len, reverse=True))})\s*(?=[^\w\s'-]|\s[-–—]|$)"
)
_CJK = r"[\u3040-\u30ff\u4e00-\u9fff]"
_NO_LETTER = re.compile(
    r"(?i)(?:°|\bdegrees?)\s*[CF]\b"
    r"|\b(?:vitamine?|hepatitis|figure|fig\.|panel|type|grade|class|stage|group|plan|section|image|slice|scan|dr\.|prof\.)"
    r"\s+[A-Z]\b(?:(?:\s*/\s*|\s+(?:and|or)\s+)[A-Z]\b)*"
    r"|\b(?:the|an?|i|i'm|it|this|that|image|shows?|but)\s+(?-i:[a-h])\Z"  # a word that is cut off
    r"|\bno\.\s?\d+|\b(?-i:[A-Z])\.?\s?(?:diff(?:icile)?|coli|aureus|albicans|elegans)\b"
)
_EITHER = re.compile(r"(?<![\w.])(\(?[A-H]\)?)(?:\s*[/|+&=]\s*|[-–])(?:options?\s)?(?=\(?[A-H](?![\w.]))")


def plain(text: str) -> str:
    """NFKC, without thoughts, struck text and markdown; quotes, stops and brackets as in English.

    Of a text that is still longer than `MOST_CHARACTERS`, both ends are kept: answers stand there.
    """
    text = _ends(_THOUGHT.sub("", text), 2 * MOST_CHARACTERS)  # NFKC takes long, and makes eighteen characters of one
    text = _THOUGHT.sub("", unicodedata.normalize("NFKC", text).translate({ord("„"): '"'}))
    text = _ends(text, MOST_CHARACTERS)
    text = _TAG.sub("", _STRUCK.sub("", text)).translate(_SIGNS)
    for sign, meaning in (("->", ":"), ("=>", ":"), ("and/or", "or"), ("!=", " not ")):
        text = text.replace(sign, meaning)
    return re.sub(r":\s*\n\s*", ": ", text).strip()


def without_thoughts(text: str) -> str:
    """What a reply says once its thoughts are over; of a text longer than `MOST_CHARACTERS`, both ends."""
    return _ends(_THOUGHT.sub("", text).strip(), MOST_CHARACTERS)


def _ends(text: str, most: int) -> str:
    """The text, or its beginning and its end where it is longer than `most`."""
    return text if len(text) <= most else f"{text[: most // 2]}\n...\n{text[-most // 2 :]}"


def last_field(text: str) -> tuple[str, str] | None:
    r"""The text before the last answer field (`<answer>`, `\boxed{}`, JSON `"answer"`), and its content; None without one."""
    fields = sorted((found for pattern in _FIELDS for found in pattern.finditer(text)), key=lambda found: found.start())
    if not fields:
        return None
    last = fields.pop()
    start, value = last.start(), last["value"]
    while fields and fields[-1].end() <= start and _belongs(between := text[fields[-1].end() : start]):
        start, value = fields[-1].start(), fields.pop()["value"] + between + value
    return text[:start], value


def _belongs(between: str) -> bool:
    return not between.strip() or bool(JOINS.fullmatch(between))


def last_part(boundary: re.Pattern[str], text: str) -> str:
    """What stands behind the last boundary; the whole text without one."""
    found = list(boundary.finditer(text))
    return text[found[-1].end() :] if found else text


def marked(text: str, options: Mapping[str, str]) -> str:
    """A plain text in which the text of option C stands as ⟦C⟧, and a letter in brackets, or with its text, as (C).

    A letter with the text of another option stands as (?). Texts that two options share stay as they are.
    """
    text = _LATEX.sub(lambda found: found[1] or "", text)
    text = _WRAPPED_LETTER.sub(lambda found: f"({(found[1] or found[2]).upper()})", text.replace("_", " "))
    text = _EITHER.sub(r"\1 or ", text)
    text = re.sub(rf"(?<={_CJK})(?=[A-Za-z(])|(?<=[A-Za-z)])(?={_CJK})", " ", text)
    letters = {_key(option): letter for letter, option in options.items()}
    shared = {key for key in letters if sum(_key(option) == key for option in options.values()) > 1}
    keys = sorted((key for key in letters if key and key not in shared), key=len, reverse=True)
    text = _yes_or_no(text, letters)
    if any(key.isdecimal() for key in letters):  # "2 out of 3" is 2
        text = re.sub(r"(?<=\d)\s?(?:/|out of)\s?\d+\b", "", text)
    if keys:
        pattern = "|".join(_pattern(key) for key in keys)
        text = re.sub(rf"^An?\s+(?=[a-z])(?=(?i:{pattern}))", "", text)  # an article, where the text is in lower case
        text = re.sub(pattern, lambda found: f"⟦{letters[_key(found.group())]}⟧", text, flags=re.IGNORECASE)
        text = re.sub(r'(?<!\w)([A-Za-z])\s?["(\[]\s?⟦(\w)⟧\s?["\])]', _together, text)
        text = re.sub(r'["(\[]\s*(⟦\w⟧)\s*\.?\s*["\])]', r" \1", text)
    text = _join_letter_and_text(_NO_LETTER.sub("", text))
    for idiom, meaning in IDIOMS:
        text = idiom.sub(meaning, text)
    return text


def _yes_or_no(text: str, letters: Mapping[str, str]) -> str:
    """A reply that begins with yes or no, followed by a pause, in which this is the one option that begins so."""
    head = _YES_OR_NO.match(text)
    forms = next((forms for forms in YES_AND_NO if head and head[1].casefold() in forms), frozenset())
    meant = [letter for key, letter in letters.items() if re.split(r"[,.;:!]", key)[0] in forms]
    return text[: head.start(1)] + f"⟦{meant[0]}⟧" + text[head.end(1) :] if head and len(meant) == 1 else text


def _join_letter_and_text(text: str) -> str:
    """`C - ⟦C⟧`, `(C) ⟦C⟧` and `⟦C⟧ (C)` become `(C)`; two that differ become `(?)`."""
    text = re.sub(
        r"(?<![\w'°.-])\(?([A-Za-z])(?:\s*[.:)\]]+\s*(?:[-–—]\s*)?|\s*[-–—]\s*|(?<=[A-Zb-e])\s+(?=⟦\w⟧\W*$))⟦(\w)⟧",
        _together,
        text,
    )
    return re.sub(r"⟦(\w)⟧\s*\((?:option\s+)?([A-Z])\)", _together, text)


def _together(found: re.Match[str]) -> str:
    return f"({found[1].upper() if found[1].upper() == found[2] else '?'})"


def _key(text: str) -> str:
    return " ".join(plain(text).casefold().replace("_", " ").split()).strip(" .,;:!?\"'")


def _pattern(key: str) -> str:
    text = r"\s+".join(re.escape(word) for word in key.split())
    if len(key) == 1 and not key.isascii():  # "是" is an option and a word of others
        return text + r"(?!\s?(?![或和])\w|\s?\()"
    if key == "none":
        text += r"(?!\s+of\b)"
    if key.isdecimal():  # no part of 0.5 or 1,000
        text = rf"(?<!\d[.,]){text}(?![.,]\d|\s?%)"
    start = r"(?<![\w-])" if key[0].isascii() else ""
    return start + text + (r"(?!\w|-(?!weighted\b))" if key[-1].isascii() else "")
