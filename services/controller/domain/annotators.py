"""Who pre-annotates and who reviews in a run, and what of it is simulated: said by name, in words for people."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from services.controller.domain.arms import settings_of

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
    """Who pre-annotates and who reviews, by name, and what that means; where arms differ in it, the text says whose it is."""
    return [
        {"part": part, "name": name, "text": whose + _said(part, name)}
        for part in ("oracle", "expert")
        for (name,), whose in _by_arms(configuration, part)
    ]


def conditions_of(configuration: Json) -> str:
    """On what a run's figures were measured, where a part of that is simulated, to be said beside them; "" where none is."""
    parts = dict.fromkeys(
        part["part"] for part in simulated_of(configuration)
    )  # each once, also where arms differ in it
    people = [part for part in parts if part != "images"]
    enrichment = configuration["data"].get("enrichment")  # older runs have none
    said = (
        "on synthetic degradations" if "images" in parts else "",
        f"simulated {' and '.join(people)}" if people else "",
        "" if enrichment is None else f"at enrichment {enrichment:.3g}",
    )
    return ", ".join(part for part in said if part)


def simulated_of(configuration: Json) -> list[Json]:
    """Each part that is simulated, with the accuracy that it is set to (None: none is) and a sentence, as `annotators_of`."""
    images = configuration["data"]["simulated_images"]
    parts = [{"part": "images", "accuracy": None, "text": images}] if images else []
    for part in ("oracle", "expert"):
        for (name, accuracy), whose in _by_arms(configuration, part, f"simulated_{part}_accuracy"):
            if name == _SIMULATED:
                parts.append({"part": part, "accuracy": accuracy, "text": whose + _said(part, name)})
    return parts


def _said(part: str, name: str) -> str:
    if part == "oracle":
        return _SAID_OF_ORACLE.get(name, _SAID_OF_ENDPOINT.format(name=name))
    return _SAID_OF_EXPERT[name]


def _by_arms(configuration: Json, *keys: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Each combination of values that arms have for these keys of `annotate`, and whose it is, "" where it is that of all."""
    found: dict[tuple[Hashable, ...], list[str]] = {}
    for arm in configuration["arms"]:
        section = settings_of(configuration, arm)["annotate"]
        found.setdefault(tuple(section[key] for key in keys), []).append(arm["name"])
    for values, arms in found.items():
        yield values, f"{'Arm' if len(arms) == 1 else 'Arms'} {', '.join(arms)}: " if len(found) > 1 else ""
