"""Equation (4): the loss of supervised fine-tuning, on the tokens of the answer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the service names reductions; only its jobs, in processes of their own, compute them
    import torch

Reduction = Literal["token_mean", "sample_sum"]
IGNORED = -100
"""Label of a token that is no part of an answer: image, question, padding."""


def sft_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    reduction: Reduction = "token_mean",
    n_tokens: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """Eq. 4: L_SFT = -E[sum_i log p_theta(y_i | y_<i, x, q)], the negative log-likelihood of the answers.

    Args:
        logits: (b, t, v) scores of the model; position i predicts token i + 1.
        labels: (b, t) int64 token ids; `IGNORED` where a token is no part of an answer. The first position of a
            row is never predicted.
        reduction: "sample_sum" is the equation as printed: summed over the tokens of an answer, averaged over
            samples. "token_mean" divides by the number of answer tokens, so that long answers weigh no more per
            token than short ones.
        n_tokens: With "token_mean", what to divide by where this is one of several batches that make one step;
            by default the answer tokens of this batch.

    Returns: A scalar, float32, in nats; 0 where no token is to be predicted.
    Source: section 2.4; "token_mean" is our default.
    """
    import torch
    from torch.nn import functional

    targets = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
    )
    if reduction == "sample_sum":
        return losses.sum() / labels.shape[0]
    divisor = (targets != IGNORED).sum() if n_tokens is None else torch.as_tensor(n_tokens)
    return losses.sum() / divisor.clamp(min=1)
