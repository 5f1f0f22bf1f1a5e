"""What decides the next token of each row of a batch, and notes how likely the model finds it: transformers calls them.

A writer answers with scores whose argmax is its token, so the model decodes greedily.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from services.evaluation.domain.sampling import keyed_gumbel
from services.evaluation.ports import Sampling


class KeyedSampler(LogitsProcessor):  # type: ignore[misc]
    """Turns greedy decoding into sampling with keyed noise, and records the probability of each drawn token.

    Args:
        keys: (item_id, run) of each row of the batch, in order.
        sampling: Temperature, top-p and seed.

    Attributes:
        logprobs: per step, (b,) float32: log-probability of the drawn tokens under the unmodified logits.
    """

    def __init__(self, keys: Sequence[tuple[str, int]], sampling: Sampling) -> None:
        self._keys = list(keys)
        self._sampling = sampling
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores whose argmax is the drawn token: (b, v) float32 in, (b, v) float64 out."""
        perturbed = self._perturbed(scores.double(), position=len(self.logprobs))
        drawn = perturbed.argmax(dim=-1, keepdim=True)
        self.logprobs.append(scores.float().log_softmax(dim=-1).gather(1, drawn)[:, 0].cpu())
        return perturbed

    def _perturbed(self, logits: torch.Tensor, position: int) -> torch.Tensor:
        """Logits at the set temperature, outside the nucleus -inf, plus standard Gumbel noise."""
        settings = self._sampling
        if settings.temperature == 0:
            return logits
        kept = keep_nucleus(logits / settings.temperature, settings.top_p)
        noise = [
            torch.from_numpy(keyed_gumbel(settings.seed, item, run, position, logits.shape[1]))
            for item, run in self._keys
        ]
        return kept + torch.stack(noise).to(kept)


class ForcedAnswers(LogitsProcessor):  # type: ignore[misc]
    """Makes each row write a given answer, and records how likely the model finds its tokens.

    Args:
        answers: Token ids of each row of the batch, in order, the end token last.

    Attributes:
        length: Tokens of the longest answer.
        logprobs: per step, (b,) float32; of a row whose answer has ended, meaningless.
    """

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self.length = max(len(answer) for answer in answers)
        self._columns = torch.tensor([[*answer, *[answer[-1]] * (self.length - len(answer))] for answer in answers]).T
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores whose argmax is the next token of the given answer: (b, v) float32 in and out."""
        column = self._columns[len(self.logprobs)][:, None].to(scores.device)
        self.logprobs.append(scores.float().log_softmax(dim=-1).gather(1, column)[:, 0].cpu())
        return torch.full_like(scores, -torch.inf).scatter(1, column, 0.0)


def keep_nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Set to -inf what lies outside the smallest set of tokens whose probability reaches `top_p`.

    Args:
        logits: (b, v), not modified; ties stand in the order of their index.
        top_p: In (0, 1]; 1 returns the logits as they are.
    """
    if top_p >= 1:
        return logits
    ordered, index = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return logits.masked_fill(outside.scatter(-1, index, outside), -torch.inf)
