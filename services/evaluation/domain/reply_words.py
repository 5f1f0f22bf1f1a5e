"""The words by which people name, affirm, refuse and take back an option, in six languages.

English, German, French and Spanish words stand alone; Chinese and Japanese ones stand against each other. Patterns are
lower-case and are searched in lower-cased text. In `reply_text`, options stand as one sign each, so a word that is the
text of an option ("No", "None", "Reject") is never one of these.
"""

from __future__ import annotations

import re


def _words(latin: str, cjk: str) -> str:
    """A pattern for one of these words; lists are split at "|", a blank is any blank."""
    return rf"(?:(?<!\w)(?:{latin})(?!\w)|{cjk})".replace(" ", r"\s+")


_NOUNS = _words(
    "answer|ans|option|choice|solution|response|selection|pick|letter|vote|guess|verdict|conclusion|best (?:fit|match)"
    "|decision|(?:correct|right|best|only) (?:one|statement)"
    "|antwort|lösung|option|wahl|alternative|richtig|korrekt|réponse|choix|respuesta|opción|alternativa|letra"
    "|correct[aeo]|bonne",
    "答案|正确的|选项|正解|正答|答え|回答|選択肢|解答|最[^，,是]{1,6}的|最も[^、,は]{1,6}のは",
)
_ANSWER_NOUNS = _words("answer|ans|response|solution|antwort|lösung|solución|letra|lettre|réponse|respuesta", "答案|正解|正答|答え|回答|解答")
_COPULAS = _words("is|are|be|remains|seems|appears|=|ist|lautet|wäre|sind|est|sont|serait|es|sería|son", "是|为|選|选|は|应该|应")
_VERBS = _words(
    "choos(?:e|ing)|chosen?|pick(?:ing|ed)?|select(?:ing|ed)?|say|suppose|assume|suspect|mark|tick|take|put|recommend|propose|submit|enter|circle|nominate|confident in|answer|guess|conclude|prefer|leav(?:es|ing)"
    "|change my answer to|decided? (?:on|for)|settled on|go(?:ing)? (?:with|for)|opt for|vot(?:e|ing)(?: for)?|settle on"
    "|lean(?:ing)? towards?|wähle|nehme|tippe auf|sage|entscheide mich für|würde|(?:je|j') ?(?:choisis|choisirais|dirais)"
    "|sélectionne|choisis|prends|réponds|elijo|escojo|elegiría|selecciono|diría|me quedo con",
    "选择?了?|選択は|选的?是",
)
_ADVERBS = (
    "[a-z]+ly|[a-z]+(?:mente|ément|amment|ement)|am ehesten|am wahrscheinlichsten|wahrscheinlich|vermutlich|sicher"
    "|in fact|indeed|in (?:all likelihood|my opinion|my view)|now|after all|then|offensichtlich|eindeutig|klar|höchstwahrscheinlich|sans doute|plutôt|más bien|somit|folglich|demnach|deshalb|deswegen|schon|doch|jetzt|nun|ainsi|après réflexion"
)
#: May stand between a cue and the option, or beside an option that stands alone.
FILLER = _words(
    f"{_ADVERBS}|one|has|have|to|option|choice|letter|answer|the|a|an|it|this|that|it's|that's|is|be|would|must|should|could|may"
    "|might|will|can|also"
    "|so|and|or|now|though|therefore|thus|hence|probably|definitely|clearly|most|likely|am|convinced|fairly|quite|pretty|very|maybe|perhaps"
    "|possibly|certainly|i|i'd|i'm|i'll"
    "|think|believe|say|meant|mean|rather|mainly|mostly|primarily|obviously|simply|just|alternatively"
    "|actually|wait|only|sure|either|both|to be|image|shows|show"
    "|es|ist|muss|wird|dürfte|sollte|doit être|ce|ça|cela|debe(?:ría)?(?: ser)?|tiene que ser|parece(?: ser)?|así|die|der|das|ein|eine|ich|denke|glaube|also|daher|zeigt|bild|wohl|c'est|la|le|l'|l'option"
    "|lettre|du|de la|un|une"
    "|je pense|que|donc|montre|il s'agit|d'un|d'une|est|el|una|creo|imagen|muestra|opción|se trata de"
    "|entonces|sería|zu sehen"
    "|possible|plausible|eventuell|vielleicht|peut-être|quizás|tal vez",
    "应该|很|最|おそらく|たぶん|多分|可能|也|是|为|我|认为|觉得|选项|项|番|这|図像|图像|显示|选|です|でしょう|だ?と(?:考え|思|判断|推測|言)[ぁ-ん]*|だ|これは|は|后来|确定",
)
_AFFIRMING = _words(
    "correct|right|best|sense|the (?:only )?one|winner|closest|spot on|match|guess|(?:best )?fit|answer|true|appropriate|accurate|likely|it|fits?|describes|matches|explains|makes|better|(?:more|most) [a-z]+"
    "|(?:my|the) (?:pick|choice)|(?:would|i|i'd|i'll) (?:choose|pick|select|say)|am (?:besten|wahrscheinlichsten|ehesten)|zu|nahe|schon|(?:la|le|lo) (?:más|plus) [a-zé]+|beste"
    "|richtige?|korrekte?|antwort|correcte?|bonne|juste|exacte?|réponse|correct[ao]|respuesta|mejor",
    "正确|对|合适|符合|接近|正解|正し|を選|適切|近い|高い|合って",
)
_POSSIBLE = _words(
    "possible|possibly|plausible|less (?:likely|probable)|too|could|might|may|maybe|perhaps|alternatively|otherwise|equally|möglich|aussi|posible|también",
    "(?<![很最])可能|かもしれ",
)
_AFTER_VERBS = _words(
    "is|are|would be|must be|seems|looks|appears|has|best|fits|describes|matches|explains|makes|strikes|comes|would|should|must|to be|ist|passt|trifft|wäre|est|serait"
    "|es|sería|wählen|could|may"
    "|might|too|also",
    "选?项?是?(?=最|更|正确|对|可能|符合|合适)|が|を選|も",
)
#: Text before an option that states it as the answer.
STATES = re.compile(rf"(?:{_NOUNS}.*?(?:{_COPULAS}|[:=])|{_ANSWER_NOUNS}|{_VERBS})\W*(?:{FILLER}\W*)*$", re.DOTALL)
#: Text after an option that states it as the answer, or as one that may be.
STATES_AFTER = re.compile(
    rf"^\W*(?:{FILLER}\W*)?{_AFTER_VERBS}(?!\s+(?:equally|possible too)\b).*?{_AFFIRMING}|^\s*(?:as )?(?:the )?(?:best|correct|right|most [a-z]+|likeliest)\b|^\s*fits?\b(?:\W*$| (?:well|best|and\b))|^\W*yes\b|^\W*(?:wählen|richtig|korrekt|を選|が?正解|选?项?正确)",
    re.DOTALL,
)
POSSIBLE = re.compile(_POSSIBLE)
POSSIBLE_AFTER = re.compile(rf"^\W*{_AFTER_VERBS}.*?{_POSSIBLE}|^\W*{_POSSIBLE}")
ONLY_FILLER = re.compile(rf"\W*(?:{FILLER}\W*)*")
_JOINERS = _words(
    "and|or|or else|then|plus|to|through|alternatively|as well as|(?:together |along |in combination |combined )?with|und|oder|als auch|et|ou|ou bien|y|o",
    "bzw\\.?|[/|+&]|和|もしくは|或者?|与|および|または|と|か|も|でも",
)
#: Between two options that are named together.
JOINS = re.compile(
    rf"[\s(–-]*(?:,\s*{_JOINERS}?|{_JOINERS})[\s,]*"
    rf"(?:{_words('either|alternatively|otherwise|with|for|maybe|possibly|perhaps|also|the|option|soit|la|eventuell|vielleicht|peut-être|tal vez', '可能')}\s*)*"
)
_AFTERTHOUGHT = _words(
    "and|please|sein|schon|for (?:sure|certain)|alone|only|[a-z]+ly|of course|i (?:guess|suppose)|i think|i believe|here|it is|then",
    "选项|项|番|です|でしょう|だ?と(?:考え|思|判断|推測|言)[ぁ-ん]*|とな[ぁ-ん]+|だ|而|を?選びます",
)
_SHOWS = _words(
    "is|are|shows?|has|contains|suffers from|(?:affected|degraded|corrupted|caused) by|suggests?|indicates?|seems"
    "|looks?|like|appears|see|sieht man|handelt sich um|on voit|se observa|rate|ist|zeigt|est|montre|es|muestra",
    "是|为|は",
)
#: Text before an option that is the object of a sentence: "the grain points to B". No noun: "vitamin C", "type B".
LEADS = re.compile(
    _words(
        "is|be|clear|it|it's|that's|c'est|are|was|to|with|for|as|by|on|of|than|like|at|the|called|namely|[a-z]+ly|namely|indique|muestra|entspricht|auf"
        "|(?:mean|say|indicate|suggest|show|support|implie|favou?r|matche|fit|give)s?|match|imply"
        "|suggesting|indicating|supporting|leaving|choosing"
        "|für|zu|auf|von|ist|bleibt|passt|nur|die|bei|pour|à|de|par|est|reste|la|l'|con|por|para|a|es|queda",
        "[是为選选はがで]|もと|符合",
    )
    + r"[\s(\"':]*$|^\W*(?:i|we|i'(?:d|ll|m|ve)|ich|je|yo)\s(?:[^\W\d]+\s+){1,4}$"
)
#: Text behind an option that is the subject of a sentence: "C explains the void". Not "C would show": that is no claim.
SUBJECT_OF = re.compile(
    r"\s*"
    + _words(
        "(?:explain|matche|fit|describe|account|applie|remain|win|make|correspond|capture|agree|reflect|represent|suit|characterize|follow|hold|work|depict|illustrate|identifie|satisfie|meet|seem|look"
        "|appear|sound|stand|get|hit)s|(?:is|was|can be) (?:clearly )?(?:seen|visible|present|evident|supported|preferred|what|left|favou?red|confirmed|chosen|indicated)"
        "|bleibt|passt|erklärt|entspricht|beschreibt|stimmt|trifft|explique|correspond|convient|décrit|reste"
        "|explica|corresponde|describe|encaja|queda|parece",
        "[最更符很]|が|に",
    )
)
#: Text behind an option that does not make it part of another word's meaning, as in "noise level" or "good question".
GOES_ON = re.compile(
    r"\W*$|\s*[^\w\s'-]|\s*"
    + _words(
        "in|on|at|around|near|along|across|over|of|due|from|by|with|for|to|throughout|everywhere|here|there|this|that|which|is|are|was|and|or|it"
        "|as|best|most|more|than"
        "|can|has|dominates|affects|degrades|appears|covers|causes|obscures|remains|prevails"
        "|hin|vor|zu sehen|zu erkennen|sichtbar|erkennbar|vorhanden|gestört|betroffen|beeinträchtigt|im|in|am|an|auf|bei|mit|um|durch|ist|zu|am|dans|sur|près|autour|avec|à|en|cerca|alrededor|con|sobre|por|de|es|est",
        "[\u3040-\u30ff\u4e00-\u9fff]",
    )
)
#: A noun of the trade behind an option that is an adjective: "mild noise".
NOUN = re.compile(
    r"\s*(?:image|scan|picture|slice|quality|artifact|artefact|noise|motion|blur|blurring|degradation|ghosting)s?\b"
)
#: Behind an option that stands at the end of its clause.
FILLER_AFTER = re.compile(rf"\W*(?:{_AFTERTHOUGHT}\W*)*")
#: Behind a list of options, not a new clause.
LIST_GOES_ON = re.compile(rf"\s*(?:[],.;!?)}}\n]|$|{_words('and|or|und|oder|et|ou|y|o', '和|或|と|か')})")
#: Before an option that is only named.
NAMES = re.compile(rf"{_words('options?|choice|opción|letter', '选项|選択肢')}\W*$")
#: Before an option's text that says what the image is or shows.
PREDICATE = re.compile(rf"{_SHOWS}\W*(?:{FILLER}\W*)*$")
#: An option's text that no other sentence holds by chance.
PHRASE = re.compile(r"\S\s+\S|[\u3040-\u30ff\u4e00-\u9fff]{2}")

_NOT_BEFORE = (
    "not|no|never|none|neither|nor|cannot|without|unlike|except|excluding|exclude|rule out|ruling out"
    "|eliminat(?:e|ing)|dismiss|reject|contradict(?:s|ed)?|against|refutes?"
    "|discard|avoid|doubt|hardly|rather than|instead of|other than|something else than|far from|disagree"
    "|mistake|nobody|impossible|inconsistent|incompatible|aside from|apart from|save for|besides|ruled out|eliminated|unlikely|improbable|excluded|unclear|whether|don't know|unsure|fail to|lacks?|absence of(?: any)?(?=\\W*$)"
    "|refuse|little|drop(?:ped)?|cross(?:ed)? out|strike(?: out)?|struck|ignored?|omit|scratch|delete|remove|doubts|dismissed|rejected|discarded|excluded|worst|wrong|incorrect|false|least|[a-z]+n't|free (?:of|from)|nothing|(?:elimination|exclusion) of|mistaken for|confused with"
    "|nicht|kein|keine|keinen|keinem|keiner|weder|noch|niemals|nie|außer|statt|ausschließen|auf keinen fall|keinesfalls|ausschluss von"
    "|pas|ni|jamais|sauf|aucune?|exclure|nunca|excepto|salvo|menos|descarto|jamás|ningun[ao]|sans|sin|nichts"
)
_NOT_BEFORE_CJK = "不|非|未|排除|除了?|没|既不|并非|无"
#: Negation that reaches the options after it in its clause.
DENIES = re.compile(_words(_NOT_BEFORE + "|over|than|als|au lieu de", _NOT_BEFORE_CJK))
#: The same, at the very end of what stands between two options: it belongs to the second.
DENIES_NEXT = re.compile(_words(_NOT_BEFORE + "|over|than|als", "不是|不|非") + r"\W*$")
#: The same before a pause: "not, in my view, C".
DENIES_AHEAD = re.compile(rf"{_words('not|never|except|without|unlike|nicht|niemals|außer|pas|jamais|sauf|nunca|excepto|salvo', '不是|非')}\s*(?:,(?=[^,]*,\s*$)|$)")
#: Negation that reaches back to the option before it in its clause.
DENIES_BEFORE = re.compile(
    _words(
        _NOT_BEFORE
        + r"|(?!under|until|unless|uniform|undoubt|uniq|unit|unamb|unequiv|unmist|unsurp)un[a-z]{4,}|in(?:valid|accurate|appropriate|applicable|adequate)"
        "|irrelevant|mis(?:leading|taken|guided)|dis(?:proved|proven|carded|qualified|regarded)|doubtful|questionable|erroneous|absurd|ridiculous"
        "|dropped|struck|omitted|or(?=\\W*(?:other)?$)|absent|less|fails?|little|nonsense|distractor|implausible|minimal|negligible|insignificant|low|normal|acceptable|(?:bad|worst|poor) (?:choice|answer|option)|weak(?:er|est)?|out|excluded|ruled out|eliminated|dismissed|rejected|falsch|ausgeschlossen|scheidet aus|faux|fausse"
        "|incorrecte|incorrect[ao]|fals[ao]|exclue?|descartad[ao]s?",
        _NOT_BEFORE_CJK + "|错|誤|ない|なく|じゃな|ません|違|間違|以外|除",
    )
)
#: An interjection is no negation.
INTERJECTION = re.compile(rf"(?:{_words('no|nein|non|wait|hmm|oh|oops|sorry|not at all|not really|[a-z]+ly not|of course not', '不对?|不是|いや|いえ')}\W*)+")
_REFUTES = _words("no|not(?: (?:present|visible|seen|there|found|true|right|correct|likely|possible|convincing|supported))?|absent|no way|wrong|incorrect|false|nein|falsch|non|faux|falso", "错|不")
#: A denial behind a pause: "C - no.", "C, certainly not."
DENIED = re.compile(rf"(?:,|\.+|\s[-–—]+|\s?\()\s*(?:(?:which |that )?is )?(?:[a-z]+ly )?{_REFUTES}\s*(?:[.,;!?)\n]|$)")
#: Text before an option that belongs to the option before: "B is wrong and C is right".
OF_THE_ONE_BEFORE = re.compile(
    rf"^\W*(?:{_COPULAS}|isn't|does|doesn't|can|cannot|seems|fits|matches).*{_words('and|und|et|y', '而')}\W*$|^\s*(?:では|じゃ)なく\W*$",
    re.DOTALL,
)
#: A reply that gives none; only an answer stated beside it counts.
REFUSES = re.compile(
    r"(?:can't|cannot|can not|unable to|not able to|won't) "
    r"(?:answer|help|assist|determine|tell|judge|assess|view|decide|say|provide)"
    r"|need (?:the|an|to see the) image|\bno image(?=\W*$| (?:was|is|has|provided|attached))|(?:hard|difficult|impossible) to (?:say|tell)|i (?:don't|do not) know"
)
#: What is taken back, supposed or asked is not affirmed.
SUPPOSED = re.compile(
    _words(
        "thought|at first|initially|first (?:answer|impression)|at first glance|was going to|(?:i'd|would) have(?! to)|first (?:say|think|choose)|was leaning|i first|originally|considered|(?:some|others|many) (?:would|might|may|could)|one (?:might|may|could)|if you|who(?:ever)? says"
        "|previously|earlier|looked for|check(?:ed)? for|although|though [a-z]+ is|tempting|earlier|second choice",
        "一开始|最初は",
    )
)
#: What follows one of these replaces what stood before.
CORRECTS = re.compile(
    _words(
        "wait|actually|or rather|correction|edit|reconsider|rethink|recheck|check again|hold on|look(?:ing)? again|on second thought|on reflection"
        "|sorry|oops|meant|mean|overall|in summary|ultimately|all in all|in the end|scratch that|correct myself|change my answer|final"
        "|instead|i now|no(?=[,.]| wait)|therefore|thus|hence|in conclusion|nein|doch|korrektur|eigentlich"
        "|sondern|endgültige?|non|en fait|pardon"
        "|finale?|perdón|en realidad|sino|daher|donc|por lo tanto",
        "等等|更正|不对|因此|综上|いや|いえ|訂正|最終|したがって",
    )
)
#: Phrases whose words mislead, and what they mean.
IDIOMS = (
    (
        re.compile(r"(?i)\b(?:any|every|all)(?:thing)?(?: else)?(?: of (?:them|these|those))?(?: (?:answer|option|choice)s?)? but\b|\bnothing else than\b"),
        "except",
    ),
    (
        re.compile(
            r"(?i)\b(?:there is |there's )?(?:no|without(?: a| any)?) (?:doubt|question)(?: that)?\b|\bsans (?:aucun )?doute\b|\bsin duda\b|\bnot only\b"
        ),
        "surely",
    ),
    (re.compile(r"(?i)\b(is|be|are) (?:therefore|thus|hence)\b"), r"\1"),
    (re.compile(r"(?i)\b(initially|originally|at first),"), r"\1"),
    (re.compile(r"(?i)\bas (?=the (?:best|most)|being |(?:most )?(?:correct|right)\b)"), ""),
    (re.compile(r"(?i)\bstands out\b"), "fits"),
    (re.compile(r"(?i)\band nothing else\b"), "only"),
    (re.compile(r"(?i)\bto be (?=⟦\w⟧,)"), "frankly "),
    (re.compile(r"(?i)^(⟦\w⟧) (?=(?:there|it|this|they) )"), r"\1, "),
    (re.compile(r"(?i)\bso (?:is|could be)\b|\bbut also\b"), "maybe"),
    (re.compile(r"(?i)\b(?:cannot|can't|can not) be (?:excluded|ruled out|dismissed)"), "is possible too"),
    (re.compile(r"(?i)\b(?:(?:is|are) )?(?:just )?as (?:likely|plausible|probable|good) as\b"), "or"),
    (re.compile(r"(?i)\b(?:just )?as (?:likely|plausible|probable|good)\b"), "possible too"),
    (re.compile(r"(?i)\btodo menos\b"), "excepto"),
)
_CONNECTIVES = _words(
    "but|because|since|as|so|therefore|thus|hence|whereas|while|due to|owing to|given|and(?= the| it| i| this| my)"
    "|aber|sondern|weil|da|denn|daher|mais|car|donc|parce que|sino|pero|porque|así que|ya que|por lo tanto",
    "因为|所以|因此|但是?|而是|故|ので|から|したがって|そのため",
)
#: Where the reach of "not ..., C" ends.
SENTENCE = re.compile(rf"[.!?;\n]+|{_CONNECTIVES}")
#: Where a clause ends, and with it the reach of a negation.
CLAUSE = re.compile(rf"{SENTENCE.pattern}|,(?!\s*(?:that|dass|que)\s)|\s[-–—]+\s|[–—]+|\s\((?=[^\s()]+\s|$)")
#: An answer that turns a question into a statement.
YES = re.compile(rf"\?+\s*{_words('yes|ja|oui|sí', '是的|はい')}")
#: How people say yes and how they say no; a reply may use another form, or language, than the option.
YES_AND_NO = (
    frozenset("yes yeah yep yup ja oui sí si 是 是的 对 有 はい".split()),
    frozenset("no nope nein non 否 不是 没有 无 いいえ".split()),
)
#: Behind an option of which only is said what it would look like.
WOULD = re.compile(r"\W*(?:would|could|should|might)\b")
