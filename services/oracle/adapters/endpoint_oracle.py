"""An annotation oracle behind an endpoint of the site: it sees image, weakness and bank, and what it answers is checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.oracle.domain.bank import Bank, BankPart, Slot, part_of, slots_of
from services.oracle.domain.generated import CUT, UselessError, proposals_of
from services.oracle.domain.prompts import SYSTEM, answer_schema, most_tokens, task_text
from services.oracle.domain.questions import Asking, Proposal
from services.oracle.ports import Outcome
from shared.chat.egress import StoredImage
from shared.chat.messages import ChatReply, ChatRequest
from shared.outside.accounts import CallBook
from shared.outside.call import Prepared
from shared.outside.endpoint import GuardedEndpoint
from shared.rows.selection import Sample
from shared.spending import Spending

_LARGEST_SEED = 2**31


class EndpointOracle:
    """An `AnnotationOracle` over a chat model.

    Args:
        endpoint: The model, behind the guard of what may leave.
        bank: What may be asked about.
        asking: Which questions.
        read_image: (height, width, 3) uint8, RGB, of the stored image at a URI.
    """

    is_simulated = False

    def __init__(
        self, endpoint: GuardedEndpoint, bank: Bank, asking: Asking, read_image: Callable[[str], NDArray[np.uint8]]
    ) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._bank = bank
        self._asking = asking
        self._read_image = read_image

    def book(self, work_id: str, run_id: str, max_in_flight: int) -> CallBook:
        """No more in flight than the endpoint takes; see the port."""
        return self._endpoint.book(work_id, run_id, max_in_flight)

    def prepare(self, sample: Sample, complaint: str = "") -> Prepared[Outcome]:
        """The image as it may leave, and what is asked about it; see the port."""
        part, slots, is_without_choice = self._wanted(sample)
        request = ChatRequest(
            text=task_text(self._bank, part, slots, complaint),
            system=SYSTEM,
            schema=answer_schema(part),
            seed=self._asking.seed % _LARGEST_SEED,
            max_tokens=most_tokens(slots),
        )
        image = StoredImage(sample.image_id, self._read_image(sample.image_uri))

        def read(reply: ChatReply, spending: Spending) -> Outcome:
            try:
                proposals = self._proposals(sample, reply, part, slots)
            except UselessError as error:
                return Outcome(None, "", spending, fault=str(error))
            return Outcome(None, "", spending, proposals, is_without_choice=is_without_choice)

        return self._endpoint.prepare(request, [image], read)

    def _wanted(self, sample: Sample) -> tuple[BankPart, tuple[Slot, ...], bool]:
        """The part of the bank and the questions; by the seed rule alike for all images of a modality, the weakness not told."""
        asking = self._asking
        if asking.is_seed_rule:
            part = part_of(self._bank, sample.modality, "")
            return part, *slots_of(part, asking.n, "slots", asking.seed, part.modality)
        part = part_of(self._bank, sample.modality, sample.capability)
        return part, *slots_of(part, asking.n, "slots", asking.seed, sample.sample_id)

    def _proposals(
        self, sample: Sample, reply: ChatReply, part: BankPart, slots: tuple[Slot, ...]
    ) -> tuple[Proposal, ...]:
        if reply.is_cut:
            raise UselessError(CUT)
        return proposals_of(reply.text, part, slots, "options", self._asking.seed, sample.image_id)
