"""Which images become a development set, and what the pool has to leave out for it. Pure: knows neither services nor files."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A stored image.

    Attributes:
        image_id: sha256 of its pixels.
        path: Of its file, as the source names it.
        modality: As it was taken in.
        source_id: The unit that intervals resample.
        patient, session: Names or keyed hashes; "" where nothing is known.
    """

    image_id: str
    path: str
    modality: str
    source_id: str
    patient: str = ""
    session: str = ""


def draw(candidates: Iterable[Candidate], n: int, seed: int) -> list[Candidate]:
    """Draw a set that is spread over modalities, and in each over sources.

    Every modality gets the same number, as far as it has images; what one lacks goes to the others. In a modality each source
    gives one image before any gives two. A patient counts as a source where one is known.

    Args:
        candidates: With different image ids, in any order: the draw depends on what they are alone.
        n: How many, at least 1.
        seed: Of the draw.

    Returns: min(n, number of candidates) of them, by modality.
    """
    waiting: dict[str, list[Candidate]] = defaultdict(list)
    for one in sorted(candidates, key=lambda one: one.image_id):
        waiting[one.modality].append(one)
    queues = {modality: _by_turns(waiting[modality], f"{seed}/{modality}") for modality in sorted(waiting)}
    shares = _equal_shares({modality: len(queue) for modality, queue in queues.items()}, n)
    return [one for modality, queue in queues.items() for one in queue[: shares[modality]]]


def left_out(candidates: Iterable[Candidate], drawn: Iterable[Candidate]) -> set[str]:
    """The ids of the images that the pool must not have: those drawn, and what shares a patient, session or source with one."""
    taken = {mark for one in drawn for mark in _marks(one)}
    return {one.image_id for one in candidates if not taken.isdisjoint(_marks(one))}


def _marks(one: Candidate) -> Iterator[tuple[str, str]]:
    yield "image", one.image_id
    yield "source", one.source_id
    if one.patient:
        yield "patient", one.patient
    if one.session:
        yield "session", one.session


def _by_turns(images: Sequence[Candidate], seed: str) -> list[Candidate]:
    """The images of a modality, one of each source, then the second of each, and so on; sources and images in a drawn order."""
    rng = random.Random(seed)
    sources: dict[str, list[Candidate]] = defaultdict(list)
    for one in images:
        sources[one.patient or one.source_id].append(one)
    order = [sources[name] for name in sorted(sources)]
    rng.shuffle(order)
    for own in order:
        rng.shuffle(own)
    return [own[turn] for turn in range(max(map(len, order))) for own in order if turn < len(own)]


def _equal_shares(sizes: dict[str, int], n: int) -> dict[str, int]:
    """How many each gives: alike, but none more than it has."""
    shares, left = dict.fromkeys(sizes, 0), n
    while left and (open_ones := [name for name in sizes if shares[name] < sizes[name]]):
        each = max(1, left // len(open_ones))
        for name in open_ones:
            more = min(each, sizes[name] - shares[name], left)
            shares[name] += more
            left -= more
    return shares
