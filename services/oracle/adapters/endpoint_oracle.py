"""An annotation oracle behind an endpoint of the site: it sees image, weakness and bank, and what it answers is checked."""

from __future__ import annotations

from collections.abc import Callable

from services.oracle.domain.bank import Bank, BankPart, Slot, part_of, slots_of
from services.oracle.domain.generated import CUT, UselessError, proposals_of
from services.oracle.domain.prompts import SYSTEM, answer_schema, most_tokens, task_text
from services.oracle.domain.questions import Asking
from services.oracle.ports import Outcome, Spending
from shared.chat.messages import Chat, ChatRequest, Usage
from shared.rows.selection import Sample

_LARGEST_SEED = 2**31


class EndpointOracle:
    """An `AnnotationOracle` over a chat model.

    Args:
        chat: The endpoint.
        bank: What may be asked about.
        asking: Which questions.
        read_image: The PNG file of a stored image, by its URI.
    """

    is_simulated = False

    def __init__(self, chat: Chat, bank: Bank, asking: Asking, read_image: Callable[[str], bytes]) -> None:
        self.name = chat.name
        self._chat = chat
        self._bank = bank
        self._asking = asking
        self._read_image = read_image

    def estimate(self, sample: Sample, complaint: str = "") -> Spending:
        """By the endpoint's prices, which count an image alike whatever it shows, so it is not read; see the port."""
        return _spending(self._chat.most(self._request(sample, complaint, b"")))

    def propose(self, sample: Sample, complaint: str = "") -> Outcome:
        """Ask once, and check what comes back; see the port."""
        part, slots, is_without_choice = self._wanted(sample)
        reply = self._chat.complete(self._request(sample, complaint, self._read_image(sample.image_uri)))
        spending, asking = _spending(reply.usage), self._asking
        try:
            if reply.is_cut:
                raise UselessError(CUT)
            form = self._bank.common.forms.description
            proposals = proposals_of(reply.text, part, slots, form, "options", asking.seed, sample.image_id)
        except UselessError as error:
            return Outcome(None, "", spending, fault=str(error))
        return Outcome(None, "", spending, proposals, is_without_choice=is_without_choice)

    def _wanted(self, sample: Sample) -> tuple[BankPart, tuple[Slot, ...], bool]:
        """The part of the bank and the questions; by the seed rule alike for every image of a modality, the weakness not told."""
        asking = self._asking
        if asking.is_seed_rule:
            part = part_of(self._bank, sample.modality, "")
            return part, *slots_of(part, asking.n, "slots", asking.seed, part.modality)
        part = part_of(self._bank, sample.modality, sample.capability)
        return part, *slots_of(part, asking.n, "slots", asking.seed, sample.sample_id)

    def _request(self, sample: Sample, complaint: str, image: bytes) -> ChatRequest:
        part, slots, _ = self._wanted(sample)
        return ChatRequest(
            text=task_text(self._bank, part, slots, complaint),
            images=(image,),
            system=SYSTEM,
            schema=answer_schema(part),
            seed=self._asking.seed % _LARGEST_SEED,
            max_tokens=most_tokens(slots),
        )


def _spending(usage: Usage) -> Spending:
    return Spending(usd=usage.usd, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out)
