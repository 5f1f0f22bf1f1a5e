"""The questions that the simulated oracle can ask about an image: those whose answers it knows, else those of dev."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from services.oracle.domain.questions import Asking, QuestionTemplate, capability_driven, seed_rule, templates_of
from shared.rows.annotation import KnownAnswer
from shared.rows.benchmark import Item
from shared.rows.selection import Sample


class KnownQuestions:
    """Questions by image and by modality; no answer is looked at.

    Args:
        known: Known answers about pool images.
        dev: The dev benchmark, whose questions are templates for images about which nothing is known.
    """

    def __init__(self, known: Sequence[KnownAnswer], dev: Sequence[Item]) -> None:
        self._own: dict[str, list[KnownAnswer]] = defaultdict(list)  # a whole pool: few of its images are asked about
        for answer in known:
            self._own[answer.image_id].append(answer)
        by_modality: dict[str, list[Item]] = defaultdict(list)
        for item in dev:
            by_modality[item.modality].append(item)
        self._templates = {modality: templates_of(items) for modality, items in by_modality.items()}
        self._attributes = {row.attribute for rows in (known, dev) for row in rows} - {"", "none"}

    def about(self, sample: Sample, asking: Asking) -> tuple[Sequence[QuestionTemplate], bool]:
        """Up to `asking.n` of the questions about a sample, by the rule, and one description where one is known.

        Returns: The questions, and whether no more with options are known than are asked.
        """
        every = templates_of(self._own.get(sample.image_id, ())) or self._templates.get(sample.modality, [])
        choices = [labellings for labellings in every if labellings[0].options]
        described = [labellings for labellings in every if not labellings[0].options]
        asked = [*self._choose(sample, choices, asking, asking.n), *self._choose(sample, described, asking, 1)]
        return asked, 0 < len(choices) <= asking.n

    def _choose(
        self, sample: Sample, questions: Sequence[Sequence[QuestionTemplate]], asking: Asking, n: int
    ) -> Sequence[QuestionTemplate]:
        """The draw is keyed by seed and sample."""
        if asking.is_seed_rule:
            return seed_rule([labellings[0] for labellings in questions], n, asking.seed)
        digest = hashlib.sha256(f"questions/{asking.seed}/{sample.sample_id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "big"))
        # Of a question that is labelled in several ways the labelling that fits best.
        fitting = [capability_driven(labellings, sample.capability, 1, rng)[0] for labellings in questions]
        return capability_driven(fitting, sample.capability, n, rng, self._attributes)
