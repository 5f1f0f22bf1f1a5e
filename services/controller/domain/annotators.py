"""Who pre-annotates and who reviews in a run, and what of it is simulated: said by name, in words for people."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
#: Names an oracle or an expert that is a program.
_SIMULATED = "simulated"
_SAID_OF_ORACLE = {
    _SIMULATED: "The annotation oracle is simulated: it knows the answers of the pool and errs at a set rate."
}
_SAID_OF_ENDPOINT = (
    "The annotation oracle is the endpoint {name}: an outside model wrote the questions and answered them."
)
_SAID_OF_EXPERT = {
    _SIMULATED: "The expert is simulated, and so is the expert's time: no person has seen an image.",
    "review": "The expert is whoever decided at the queue of reviews.",
    "none": "No expert reviewed: in round 0 the oracle's answers were adopted unreviewed, later what needed an expert was left "
    "out, and the error that is left in what was adopted was not measured.",
}


def annotators_of(configuration: Json) -> list[Json]:
    """Who pre-annotates and who reviews, by name, and what that means."""
    section = configuration["annotate"]
    oracle, expert = section["oracle"], section["expert"]
    return [
        {"part": "oracle", "name": oracle, "text": _SAID_OF_ORACLE.get(oracle, _SAID_OF_ENDPOINT.format(name=oracle))},
        {"part": "expert", "name": expert, "text": _SAID_OF_EXPERT[expert]},
    ]


def conditions_of(configuration: Json) -> str:
    """On what a run's figures were measured, where a part of that is simulated, to be said beside them; "" where none is."""
    parts = [part["part"] for part in simulated_of(configuration)]
    people = [part for part in parts if part != "images"]
    enrichment = configuration["data"].get("enrichment")  # older runs have none
    said = (
        "on synthetic degradations" if "images" in parts else "",
        f"simulated {' and '.join(people)}" if people else "",
        "" if enrichment is None else f"at enrichment {enrichment:.3g}",
    )
    return ", ".join(part for part in said if part)


def simulated_of(configuration: Json) -> list[Json]:
    """Each part that is simulated, with the accuracy that it is set to (None: none is) and a sentence."""
    images = configuration["data"]["simulated_images"]
    parts = [{"part": "images", "accuracy": None, "text": images}] if images else []
    for one in annotators_of(configuration):
        if one["name"] == _SIMULATED:
            accuracy = configuration["annotate"][f"simulated_{one['part']}_accuracy"]
            parts.append({"part": one["part"], "accuracy": accuracy, "text": one["text"]})
    return parts
