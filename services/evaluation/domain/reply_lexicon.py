"""The words by which people name, affirm, deny and take back an option, by language: data, and no rules.

Each list is a part of a regular expression in lower case; a blank stands for any white space. What the lists are for says
`reply_words`. A word that is the text of an option ("No", "None", "Reject") is none of these: `reply_text` marks it before.
"""

from __future__ import annotations

Words = dict[str, str]

#: What an answer is called.
ANSWERS: Words = {
    "en": "answer|ans|response|solution",
    "de": "antwort|lösung|ergebnis",
    "fr": "réponse|lettre",
    "es": "respuesta|solución|letra",
    "zh": "答案",
    "ja": "正解|正答|答え|回答|解答",
}
#: What else may stand before "is C" and means the answer.
NOUNS: Words = {
    "en": "option|choice|selection|pick|letter|vote|guess|verdict|conclusion|decision|best (?:fit|match)"
    "|(?:correct|right|best|only) (?:one|statement)",
    "de": "nummer|option|wahl|alternative|richtig|korrekt",
    "fr": r"(?:la|le) plus [^\W\d]+|choix|correcte|bonne|proposition",
    "es": r"(?:la|el|lo) más [^\W\d]+|opción|elección|alternativa|correct[ao]",
    "zh": "正确的|选项|最[^,是]{1,6}的",
    "ja": "選択肢|最も[^,は]{1,6}のは",
}
COPULAS: Words = {
    "en": "is|are|be|remains|seems|appears|=",
    "de": "ist|sind|lautet|heißt|wäre|muss|müsste|sollte|dürfte",
    "fr": "est|sont|serait|(?:doit|devrait) être",
    "es": "es|son|sería|debe(?:ría)? ser",
    "zh": "是|为|选|应该|应",
    "ja": "は|選",
}
#: Verbs of which the option is the object.
CHOOSES: Words = {
    "en": "only|choos(?:e|ing)|chosen?|pick(?:ing|ed)?|select(?:ing|ed)?|say|suppose|assume|suspect|mark|tick|take|put"
    "|recommend|propose|submit|enter|circle|nominate|confident in|answer|guess|conclude|prefer|leav(?:es|ing)"
    "|(?:chang|switch|revis)(?:e|ing)? (?:(?:my answer|it) )?to|decided? (?:on|for)|settled? on|go(?:ing)? (?:with|for)"
    "|(?:rate|grade|score|classify) (?:it|this)(?: as)?|opt for|vot(?:e|ing)(?: for)?|lean(?:ing)? towards?",
    "de": "wähle|nehme|tippe[n]? auf|sage|(?:entscheide|habe) mich für|nur|würde",
    "fr": "(?:je|j') ?(?:choisis|choisirais|dirais|retiens)|sélectionne|choisi[sr]?|seule?|prends|réponds",
    "es": "elijo|eleg(?:ido|ir(?:ía)?)|solo(?: puede ser)?|me inclino (?:por|hacia)|escojo|selecciono|marco|diría"
    "|me quedo con",
    "zh": "选择?了?|选的?是|倾向于?|投",
    "ja": "選択は",
}
#: Adverbs and their like.
ADVERBS: Words = {
    "en": "[a-z]+ly|in fact|indeed|in (?:all likelihood|my opinion|my view)|now|after all|then|so|therefore|thus|hence|most"
    "|fairly|quite|pretty|very|maybe|perhaps|rather|just|only|either|both|though",
    "de": "eher|am (?:ehesten|wahrscheinlichsten|besten)|(?:höchst)?wahrscheinlich|vermutlich|sicher|offensichtlich|eindeutig"
    "|ganz|klar|somit|folglich|demnach|deshalb|deswegen|daher|also|schon|doch|jetzt|nun|wohl|nur|zweifellos|vielleicht"
    "|eventuell|meines erachtens|meiner meinung nach|nach meiner einschätzung",
    "fr": r"[^\W\d]+(?:ément|[ae]mment|ement)|sans doute|plutôt|ainsi|après réflexion|donc|bien|peut-être",
    "es": r"[^\W\d]+mente|más bien|así|entonces|quizás|tal vez",
    "zh": "实际上|应该|很|最|可能|也|后来|确定|显然|明显|肯定|一定",
    "ja": "もしかすると|ひょっとすると|おそらく|恐らく|たぶん|多分|きっと|明らかに|間違いなく|ゆえに|つまり|よって|従って",
}
#: May stand between a cue and the option, or beside an option that stands alone.
FILLERS: Words = {
    "en": "one|has|have|to|option|choice|letter|answer|the|a|an|it|this|that|it's|that's|is|be|would|must|should|could|may"
    "|might|will|can|also|and|or|likely|am|convinced|i|i'd|i'm|i'll|think|believe|say|meant|mean|alternatively|wait"
    "|otherwise|sure|image|shows?|possible|plausible",
    "de": "es|ist|muss|wird|kann|wäre|dürfte|sollte|handelt sich um|die|der|das|ein|eine|ich|denke|glaube|zeigt|bild"
    "|zu sehen",
    "fr": "doit être|ce|soit|serait|ça|cela|c'est|la|le|l'|l'option|lettre|du|de la|un|une|je pense|que|montre|il s'agit"
    "|d'un|d'une|est",
    "es": "que sea|debe(?:ría)?(?: ser)?|tiene que ser|parece(?: ser)?|el|una|es|creo|imagen|muestra|opción|se trata de|sería",
    "zh": "是|为|我|认为|觉得|选项|项|这|图像|显示|选",
    "ja": "番|図像|です|でした|でしょう|か?だ?と(?:考え|思|判断|推測|確信|言)[ぁ-ん]*|だ|これは|は",
}
#: May stand behind an option at the end of its clause.
AFTERTHOUGHTS: Words = {
    "en": "and|or|please|for (?:sure|certain)|alone|only|[a-z]+ly|of course|i (?:guess|suppose|think|believe)|here"
    "|it (?:is|must be|has to be)|then|for me",
    "de": "sein|schon|und",
    "fr": "et|non",
    "es": "y",
    "zh": "选项|项|而",
    "ja": "番|です|ね|でした|でしょう|か?だ?と(?:考え|思|判断|推測|確信|言)[ぁ-ん]*|とな[ぁ-ん]+|だ|を?選びます|を選択します",
}
#: Says of an option that it is the answer.
AFFIRMING: Words = {
    "en": "correct|right|best|better|sense|the (?:only )?one|winner|closest|spot on|match|guess|(?:best )?fit|vote|answer"
    "|true|appropriate|accurate|likely|it|fits?|describes|matches|explains|makes|(?:more|most) [a-z]+"
    "|(?:my|the) (?:pick|choice)|(?:would|i|i'd|i'll) (?:choose|pick|select|say)",
    "de": "am (?:besten|wahrscheinlichsten|ehesten)|besser|wahrscheinlicher|plausibler|zu|nahe|schon|beste|richtige?|korrekte?"
    "|zutreffend|in frage|am nächsten|antwort|möglichkeit",
    "fr": r"plus [^\W\d]+|meilleure?|correcte?|bonne|juste|exacte?|réponse",
    "es": r"más [^\W\d]+|correct[ao]|respuesta|mejor|buena",
    "zh": "正确|对|合适|符合|接近|最好|最佳|[最更很较][大高]|[最更]可能",
    "ja": "正解|正し|を選|適切|近い|高い|合って|妥当|最適|答え",
}
#: Between an option and what affirms it.
AFTER_VERBS: Words = {
    "en": "is|are|would be|must be|seems|looks|appears|has|best|fits|describes|matches|explains|makes|strikes|comes|would"
    "|should|to be|could|may|might|too|also",
    "de": "ist|passt|trifft|wäre|dürfte|müsste|scheint|kommt|wählen|für",
    "fr": "est|serait|(?:me )?(?:semble|paraît)",
    "es": "es|sería|parece",
    "zh": "的可能性|选?项?是?(?=最|更|正确|对|可能|符合|合适|唯一)",
    "ja": "(?:だけ)?が|の(?:方|ほう)が|を選|も",
}
POSSIBLE: Words = {
    "en": r"possible|possibly|plausible|less (?:likely|probable)|too(?! [a-z])|(?<=\w\s)also|could|might|may|maybe|perhaps"
    "|alternatively|otherwise|equally",
    "de": "möglich",
    "fr": "aussi",
    "es": "posible|también",
    "zh": "(?<![很最])可能",
    "ja": "もしかすると|ひょっとすると|可能性|かもしれ",
}
#: Between two options that are named together.
JOINERS: Words = {
    "en": r"and|or|or else|vs\.?|versus|then|plus|to|through|alternatively|as well as"
    "|(?:together |along |in combination |combined )?with|[/|+&]",
    "de": r"und|oder|oder (?:aber|auch)|sowie|als auch|bzw\.?",
    "fr": "et|ou|soit|que|ou bien|ainsi que",
    "es": "y|o|o bien|igual que|así como",
    "zh": "和|跟|及|或者?|与|还是|就是",
    "ja": "もしくは|あるいは|および|または|と|か|も|でも|・",
}
#: Behind such a word, before the second option.
JOINED_BY_THE_WAY: Words = {
    "en": "either|alternatively|otherwise|with|for|maybe|possibly|perhaps|also|the|option",
    "de": "eventuell|vielleicht|auch",
    "fr": "soit|la|peut-être",
    "es": "tal vez",
    "zh": "可能",
}
#: Before an option that is the object of a sentence: "the grain points to B". No noun: "vitamin C", "type B".
LEADS: Words = {
    "en": "is|be|clear|it|it's|that's|are|was|to|with|for|as|by|on|of|than|(?:result|come|stem)s? from|like|at|towards?|the"
    "|called|namely|[a-z]+ly|(?:mean|say|indicate|suggest|show|support|implie|favou?r|matche|fit|give)s?|match|imply"
    "|suggesting|indicating|supporting|leaving|choosing",
    "de": "für|zu|auf|von|um|nach|ist|bleibt|passt|nur|die|bei|entspricht|trifft|stimmt",
    "fr": "c'est|soit|pour|à|de|par|est|reste|que|la|l'|indique(?:nt)?|suggère(?:nt)?|évoque",
    "es": "con|en|por|para|a|es|queda|muestra|indican?|sugieren?",
    "zh": "[是为選选]|符合|属于|剩下?",
    "ja": "[はがで]|もと",
}
#: Behind an option that is the subject of a sentence: "C explains the void". Not "C would show": that is no claim.
SUBJECT_OF: Words = {
    "en": "(?:explain|matche|fit|describe|account|applie|remain|win|make|correspond|capture|agree|reflect|represent"
    "|suit|characterize|follow|hold|work|depict|illustrate|identifie|satisfie|meet|seem|look|appear|sound|stand|get|hit)s"
    "|is (?:the|my|what|where|all|consistent|in line|in agreement|compatible)"
    "|(?:is|was|can be) (?:clearly )?(?:seen|visible|present|evident|supported"
    "|preferred|what|left|favou?red|confirmed|chosen|indicated)",
    "de": "ist (?:die|der|das|meine)|bleibt|passt|erklärt|entspricht|beschreibt|stimmt|trifft",
    "fr": "est (?:la|le|ce)|explique|correspond|convient|décrit|reste",
    "es": "es (?:la|lo|el)|explica|corresponde|describe|encaja|queda|parece",
    "zh": "[最更符很]",
    "ja": "が|に",
}
#: Behind an option's text that means itself there; not so in "noise level" or "good question".
GOES_ON: Words = {
    "en": "in|on|at|around|near|along|across|over|of|due|from|by|with|for|to|throughout|everywhere|here|there|this|that"
    "|which|is|are|was|and|or|it|as|best|most|more|than|can|has|dominates|affects|degrades|appears|covers|causes|obscures"
    "|remains|visible|present|seen",
    "de": "sprechen|spricht|hin|vor|aus|sagen|zu|zu (?:sehen|erkennen)|sichtbar|erkennbar|vorhanden|gestört|betroffen"
    "|beeinträchtigt|im|in|am|an|auf|bei|mit|um|durch|ist",
    "fr": "dans|sur|près|autour|avec|à|en|est",
    "es": "cerca|alrededor|con|sobre|por|de|en|es",
    "ja": "[぀-ヿ一-鿿]",
}
#: Denies the options behind it in its clause, and those before it.
DENIES: Words = {
    "en": "non(?=-)|not|no|never|none|neither|nor|cannot|without|unlike|except|excluding|exclude|rul(?:es?|ing) out|skip"
    "|forget|nowhere|conflicts?|away|ruling out|eliminat(?:e|ing)|dismiss|reject|contradict(?:s|ed)?|against|refutes?"
    "|discard|avoid|doubts?|hardly|rather than|instead of|other than|something else than|far from|disagree|mistake|nobody"
    "|impossible|inconsistent|incompatible|aside from|apart from|save for|besides|ruled out|eliminated|unlikely|improbable"
    r"|excluded|unclear|whether|don't know|unsure|fail to|lacks?|absence of(?: any)?(?=\W*$)|refuse|little|drop(?:ped)?"
    "|cross(?:ed)? out|strike(?: out)?|struck|ignored?|omit|scratch|delete|remove|dismissed|rejected|discarded|worst|wrong"
    "|incorrect|false|least|[a-z]+n't|free (?:of|from)|nothing|(?:elimination|exclusion) of|mistaken for|confused with",
    "de": "nicht|nichts|kein|keine[nmrs]?|weder|noch|niemals|nie|außer|statt|ausschließen|auf keinen fall|keinesfalls"
    "|ausschluss von|gegen|bis auf|ohne",
    "fr": r"pas|ni|jamais|sauf|aucune?|exclu[rst]e?|sans|rejette|doute|élimine|écarte|absence de(?=\W*$)",
    "es": r"nunca|excepto|salvo|menos|descarto|jamás|ning[uú]n[ao]?|sin|excluyo|rechazo|dudo|ausencia de(?=\W*$)",
    "zh": "不|非|未|排除|除了?|没|别|既不|无",
}
#: Denies the options behind it only.
DENIES_AFTER: Words = {"en": "over|than", "de": "als", "fr": "au lieu de", "es": "en lugar de|en vez de"}
#: Denies the options before it only.
DENIES_BEFORE: Words = {
    "en": "(?!under|until|unless|uniform|undoubt|uniq|unit|unamb|unequiv|unmist|unsurp)un[a-z]{4,}|implausible|irrelevant"
    "|in(?:valid|accurate|appropriate|applicable|adequate)|mis(?:leading|taken|guided)"
    "|dis(?:proved|proven|qualified|regarded)|doubtful|questionable|erroneous|absurd|ridiculous|far-fetched|nonsense"
    "|distractor|omitted|absent|less|fails?|out|off|weak(?:er|est)?|minimal|negligible|insignificant|low|normal|acceptable"
    "|(?:bad|poor) (?:choice|answer|option)",
    "de": "falsch[a-z]*|schlecht[a-z]*|ausgeschlossen|scheidet aus|fällt weg|unmöglich|unpassend|unwahrscheinlich",
    "fr": "faux|fausses?|mauvaise?s?|incorrecte?|erronée?|impossible|éliminée?|absente?",
    "es": "incorrect[ao]|fals[ao]|exclu[ií]d[ao]s?|descartad[ao]s?|equivocad[ao]s?|erróne[ao]s?|mal[ao]|imposible|mal"
    "|ausente",
    "zh": "错",
    "ja": "誤|ない|なく|じゃな|ません|違|間違|以外|除",
}
#: Before a pause, denies nothing.
INTERJECTIONS: Words = {
    "en": "no|wait|hmm|oh|oops|sorry|not at all|not really|[a-z]+ly not|of course not",
    "de": "nein",
    "fr": "non",
    "zh": "不对?|不是",
    "ja": "いや|いえ|いいえ",
}
#: What follows replaces what stood before.
CORRECTS: Words = {
    "en": "wait|actually|or rather|correction|edit|reconsider|rethink|recheck|double-check|check again|hold on"
    "|look(?:ing)? again|on second thought|on reflection|sorry|oops|meant|mean|overall|in summary|ultimately|all in all"
    "|in the end|scratch that|correct myself|change my answer|final|instead|i now|no(?=[,.]| wait)|therefore|thus|hence"
    "|in conclusion",
    "de": "nein|doch|korrektur|eigentlich|sondern|endgültige?|daher",
    "fr": "non|en fait|pardon|finale?|donc",
    "es": "perdón|en realidad|sino|por lo tanto",
    "zh": "等等|更正|不对|因此|综上",
    "ja": "いや|いえ|訂正|最終|したがって",
}
#: Says that what stands beside it is not, or no longer, the writer's view.
SUPPOSES: Words = {
    "en": "thought|at first|initially|originally|previously|earlier|first (?:answer|impression|pick|say|think|choose)"
    "|at first glance|was (?:going|about) to|(?:i'd|would) have(?! to)|was leaning|i first|considered"
    "|(?:some|others|many) (?:would|might|may|could)|one (?:might|may|could)|if you|who(?:ever)? says|looked for"
    "|check(?:ed)? for|although|tempting|second choice",
    "de": "zunächst|zuerst|erst|anfangs|ursprünglich",
    "fr": "d'abord|au début|initialement",
    "es": "primero|al principio|antes|inicialmente",
    "zh": "开始|以为|起初|最初|之前|原以为",
    "ja": "最初は|はじめは",
}
#: Where a reason or another thought begins, and the reach of "not" ends.
CONNECTIVES: Words = {
    "en": r"but|(?<!not\s)(?:because|since|as|due to|owing to|given|so)|therefore|thus|hence|whereas|while"
    "|and(?= the| it| i| this| my)",
    "de": "aber|sondern|weil|da|denn|daher",
    "fr": "mais|car|donc|parce que",
    "es": "sino|pero|porque|así que|ya que|por lo tanto",
    "zh": "因为|所以|因此|但是?|而是|故",
    "ja": "ので|から|したがって|そのため|ため(?=,)",
}
_YES = "yes|yeah|yep|yup|i think so|ja|oui|sí|si|是|是的|对|有|はい"
_NO = (
    "no|nope|absolutely not|certainly not|definitely not|clearly not|of course not|not at all|i don't think so|nein"
    "|auf keinen fall|keinesfalls|überhaupt nicht|non|absolument pas|certainement pas|pas du tout|en absoluto"
    "|claro que no|para nada|否|不|不是|没有|无|并不是|いいえ|ありません"
)
#: How people say yes and how they say no; a reply may use another form, or language, than the option.
YES_AND_NO = (frozenset(_YES.split("|")), frozenset(_NO.split("|")))
