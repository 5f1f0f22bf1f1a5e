"""What stands around an option and what it means there: patterns over the words of `reply_lexicon`.

All are searched in lower-cased text. Words of English, German, French and Spanish stand alone; Chinese and Japanese ones
stand against each other.
"""

from __future__ import annotations

import re

from services.evaluation.domain import reply_lexicon as lexicon
from services.evaluation.domain.reply_lexicon import Words


def _any(*lists: Words) -> str:
    """A pattern for one word of these lists."""
    latin = "|".join(words[language] for words in lists for language in ("en", "de", "fr", "es") if language in words)
    east = "|".join(words[language] for words in lists for language in ("zh", "ja") if language in words)
    alone = rf"(?<!\w)(?:{latin})(?!\w)"
    return (f"(?:{alone}|{east})" if east else alone).replace(" ", r"\s+")


def _latin(words: str) -> str:
    return _any({"en": words})


_FILLER = _any(lexicon.ADVERBS, lexicon.FILLERS)
_COPULA = _any(lexicon.COPULAS)
_NOUN = _any(lexicon.ANSWERS, lexicon.NOUNS)

#: Before an option: states it as the answer.
STATES = re.compile(
    rf"(?:{_NOUN}.*?(?:{_COPULA}|[:=])|{_any(lexicon.ANSWERS)}|{_any(lexicon.CHOOSES)})\W*(?:{_FILLER}\W*)*$", re.DOTALL
)
#: Behind an option: states it as the answer.
STATES_AFTER = re.compile(
    rf"^\W*(?:{_FILLER}\W*)?{_any(lexicon.AFTER_VERBS)}(?!\s+(?:equally|possible too)\b).*?{_any(lexicon.AFFIRMING)}"
    r"|^\s*(?:as )?(?:the )?(?:best|correct|right|most [a-z]+|likeliest)\b|\s*als (?:richtig|korrekt)\b"
    r"|^\s*fits?\b(?:\W*$| (?:well|best|and\b))"
    r"|^\W*(?:yes\b|wählen|richtig|korrekt|を選|が?正解|选?项?正确)",
    re.DOTALL,
)
#: Between two options: belongs to the first, as in "B is wrong and C is right".
OF_THE_ONE_BEFORE = re.compile(
    rf"^\W*(?:{_COPULA}|isn't|does|doesn't|can|cannot|seems|fits|matches).*{_any({'en': 'and|und|et|y', 'zh': '而'})}\W*$"
    r"|^\s*(?:では|じゃ)なく\W*$",
    re.DOTALL,
)
POSSIBLE = re.compile(_any(lexicon.POSSIBLE))
POSSIBLE_AFTER = re.compile(rf"^\W*(?:{_any(lexicon.AFTER_VERBS)}.*?)?{_any(lexicon.POSSIBLE)}")
#: Beside an option that stands alone in its clause.
ONLY_FILLER = re.compile(rf"\W*(?:{_FILLER}\W*)*")
FILLER_AFTER = re.compile(rf"\W*(?:{_any(lexicon.AFTERTHOUGHTS)}\W*)*(?:\([^()⟦]*\)?\W*)?")
#: Beside an option that a sentence names.
NAMES = re.compile(rf"{_any({'en': 'options?|choice|opción|letter', 'zh': '选项', 'ja': '選択肢'})}\W*$")
LEADS = re.compile(rf"{_any(lexicon.LEADS)}[\s(\"':]*$|^\W*(?:i|we|i'(?:d|ll|m|ve)|ich|je|yo)\s(?:[^\W\d]+\s+){{1,4}}$")
SUBJECT_OF = re.compile(rf"\s*{_any(lexicon.SUBJECT_OF)}")
SUBJECT_AFTER = re.compile(_latin("only|that|what|dass|que"))
GOES_ON = re.compile(rf"\W*$|\s*[^\w\s'-]|\s*{_any(lexicon.GOES_ON)}")
WOULD = re.compile(r"\W*(?:would|could|should|might)\b")
#: An option's text that no other sentence holds by chance.
PHRASE = re.compile(r"\S\s+\S|[\u3040-\u30ff\u4e00-\u9fff]{2}")
#: A noun of the trade behind an option that is an adjective: "mild noise".
TRADE_NOUN = re.compile(
    r"[\s-]*(?:image|scan|picture|slice|quality|artifact|artefact|noise|motion|blur|blurring|degradation|ghosting|side"
    r"|weighted|sequence)s?\b"
)
#: Between two options that are named together.
JOINS = re.compile(
    rf"[\s(–-]*(?:,\s*{_any(lexicon.JOINERS)}?|{_any(lexicon.JOINERS)})[\s,]*(?:{_any(lexicon.JOINED_BY_THE_WAY)}\s*)*"
)
#: An option that begins a line of a list with a text of its own, and what announces such a list.
ITEM = re.compile(
    r"(?im)(?:^|(?<!\)):[ ])[^\w\n(⟦]{0,9}(?:option[ ])?([(⟦]?[A-H])\b(?=[ ]?[^\w\s,;'][^\w\n]{0,9}(\w)|\W{0,9}\Z)"
)
GOES_THROUGH = re.compile(rf"{_latin('each|one by one|through')}[^.:]*[.:]\W*(?:option\s)?\W*$")
#: Behind an option: the reply breaks off before the second.
BREAKS_OFF = re.compile(rf"\s*,?\s*{_any({'en': 'and|or|and/or|und|oder|et|ou|y|o'})}\W*")
#: Behind the second: the list goes on or ends, and no clause begins.
LIST_GOES_ON = re.compile(
    rf"\s*(?:[],.;!?)}}\n]|$|{_any({'en': 'and|or|und|oder|et|ou|y|o', 'zh': '和|或', 'ja': 'と|か'})})"
)

#: Denials: of what follows in the clause; of what follows a pause, "not, in my view, C"; of the second of two options.
DENIES = re.compile(_any(lexicon.DENIES, lexicon.DENIES_AFTER))
DENIES_AHEAD = re.compile(
    rf"{_latin('not|never|except|without|unlike|nicht|niemals|außer|pas|jamais|sauf|nunca|excepto|salvo')}"
    r"\s*(?:,(?=[^,]*,\s*$)|$)"
)
DENIES_NEXT = re.compile(
    _any({**lexicon.DENIES, "zh": "不是|不选?|非"}, lexicon.DENIES_AFTER) + r"(?:\s(?:option|answer|letter)s?)?\W*$"
)
#: Of what stands before it in the clause; behind a pause, "C - no.", "C, certainly not."
DENIES_BEFORE = re.compile(_any(lexicon.DENIES, lexicon.DENIES_BEFORE))
DENIED = re.compile(
    r"(?:,|\.+|\s[-–—]+|\s?\()\s*(?:(?:which |that )?is )?(?:[a-z]+ly )?"
    + _any(
        {
            "en": "no|not(?: (?:present|visible|seen|there|found|true|right|correct|likely|possible|convincing|supported))?"
            "|absent|no way|wrong|incorrect|false|nein|falsch|non|faux|falso",
            "zh": "错|不",
        }
    )
    + r"\s*(?:[.,;!?)\n]|$)|\s*,\s*(?:do|does|is|are)(?: not|n't)\b"
)
#: "No," and its like before a pause deny nothing.
INTERJECTION = re.compile(rf"(?:{_any(lexicon.INTERJECTIONS)}\W*)+")
SUPPOSED = re.compile(_any(lexicon.SUPPOSES))
CORRECTS = re.compile(_any(lexicon.CORRECTS))
#: A reply that gives none; only an answer stated beside it counts.
REFUSES = re.compile(
    r"(?:can't|cannot|can not|unable to|not able to|won't) "
    r"(?:answer|help|assist|determine|tell|judge|assess|view|decide|say|provide)"
    r"|need (?:the|an|to see the) image|\bno image(?=\W*$| (?:was|is|has|provided|attached))"
    r"|(?:hard|difficult|impossible) to (?:say|tell)|i (?:don't|do not) know"
)
#: Where the reach of a denial ends: that of one before a pause, and that of any other.
SENTENCE = re.compile(rf"[.!?;\n]+|{_any(lexicon.CONNECTIVES)}")
CLAUSE = re.compile(rf"{SENTENCE.pattern}|,(?!\s*(?:that|dass|que)\s)|\s[-–—]+\s|[–—]+|\s\((?=[^\s()]+\s|$)")
#: An answer that turns a question into a statement.
YES = re.compile(rf"\?+\s*{_any({'en': 'yes|ja|oui|sí', 'zh': '是的', 'ja': 'はい'})}")

_OPTION = r"(?:⟦\w⟧|\([A-Z]\)|\b[A-Z]\b)"
#: Phrases whose words mislead, and what they mean.
IDIOMS = tuple(
    (re.compile(phrase, re.IGNORECASE), meaning)
    for phrase, meaning in (
        (
            r"\b(?:any|every|all)(?:thing)?(?: else)?(?: of (?:them|these))?(?: (?:answer|option|choice)s?)? but\b",
            "except",
        ),
        (r"\bnothing else than\b|\btodo menos\b", "except"),
        (
            r"\b(?:there is |there's )?(?:no|without(?: a| any)?|beyond(?: any)?) (?:doubt|question)(?: that)?\b|\bnot only\b",
            "surely",
        ),
        (r"\bsans (?:aucun )?doute\b|\bsin duda\b|毫无疑问|間違いなく", "surely "),
        (
            rf"\b(?:(?:plutôt|más bien|eher)\s+({_OPTION}\s+)?|((?:plus|más)\s[^\W\d]+\s+))(?:que|als)(?=\s+{_OPTION}(?!'))",
            r"\1\2rather than",
        ),
        (rf"{_OPTION}\s*より[もは]?|[与和]\s*{_OPTION}\s*相比|比(?:起|较)?\s*{_OPTION}", ""),
        (r"[のは]可能性が(?:最も|一番|より|非常に)?高い", "が最も適切"),
        (r"(?:で間違い|しか|に違い)ありません", "です"),
        (r"すみません", "sorry"),
        (r"\b(is|be|are) (?:therefore|thus|hence)\b", r"\1"),
        (r"\b(initially|originally|at first),", r"\1"),
        (r"\bas (?=the (?:best|most)|being |(?:most )?(?:correct|right)\b)", ""),
        (r"(?<!\w)!(?=[a-h]\b)", "not "),
        (r"\bstands out\b", "fits"),
        (r"\bnone other than\b", "surely"),
        (r"\band nothing else\b", "only"),
        (r"\bto be (?=⟦\w⟧,)", "frankly "),
        (r"^(⟦\w⟧) (?=(?:there|it|this|they) )", r"\1, "),
        (r"\bso (?:is|could be)\b|\bbut also\b", "maybe"),
        (r"\b(?:cannot|can't|can not) be (?:excluded|ruled out|dismissed)", "is possible too"),
        (r"\b(?:(?:is|are) )?(?:just )?as (?:likely|plausible|probable|good) as\b", "or"),
        (r"\b(?:just )?as (?:likely|plausible|probable|good)\b", "possible too"),
    )
)
