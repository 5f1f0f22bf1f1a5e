"""What an oracle behind an endpoint answers: well, by the task that it is given, and in every way that is of no use."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from services.oracle.domain.bank import Slot
from shared.quality_level import closing_phrase

_WANTED = re.compile(r"^  \d+\. (yes_no|what|how): (.+?\?) .*`attribute`: (.+)\.$", re.MULTILINE)


def answer_to(slots: Sequence[Slot], seen: str, severity: str = "mild", level: str = "usable", **changes: Any) -> str:
    """The JSON of an oracle that sees one degradation in an image and answers the wanted questions by it."""
    questions = []
    for slot in slots:
        asked: dict[str, Any] = {"type": slot.question_type, "attribute": slot.attribute}
        if slot.question_type == "yes_no":
            answer = "Yes" if slot.attribute == seen else "No"
            asked |= {"question": f"Does it show {slot.attribute}?", "options": ["Yes", "No"], "answer": answer}
        elif slot.question_type == "what":
            name = seen.replace("_", " ").capitalize()
            options = [name, "Something else", "None of these"]
            asked |= {"attribute": seen, "question": "What is degraded here?", "options": options, "answer": name}
        elif slot.attribute:
            answer = severity if slot.attribute == seen else "none"
            options = ["None", "Mild", "Severe"]
            asked |= {"question": f"How severe is {slot.attribute}?", "options": options, "answer": answer.capitalize()}
        else:
            options = ["Good", "Usable", "Reject"]
            asked |= {"question": "How good is it as a whole?", "options": options, "answer": level.capitalize()}
        questions.append(asked)
    body = {
        "findings": [{"attribute": seen, "severity": severity}],
        "level": level,
        "questions": questions,
        "description": f"The image shows {seen} of a {severity} degree at many places. {closing_phrase(level)}",
    }
    return json.dumps(body | changes)


def answer_to_task(text: str, schema: dict[str, Any]) -> str:
    """The answer to a task as it goes over the wire: the first degradation of the list is seen."""
    seen = schema["properties"]["findings"]["items"]["properties"]["attribute"]["enum"][0]
    slots = [
        Slot(kind, "" if kind == "what" or about == "an empty text" else about)
        for kind, _, about in _WANTED.findall(text)
    ]
    return answer_to(slots, seen)
