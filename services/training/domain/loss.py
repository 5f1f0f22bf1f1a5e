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
    n_of_step: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """Eq. 4: L_SFT = -E[sum_i log p_theta(y_i | y_<i, x, q)], the negative log-likelihood of the answers.

    Args:
        logits: (b, t, v) scores of the model; position i predicts token i + 1.
        labels: (b, t) int64 token ids; `IGNORED` where a token is no part of an answer. The first position of a
            row is never predicted.
        reduction: "sample_sum" is the equation as printed: summed over the tokens of an answer, averaged over
            samples. "token_mean" divides by the number of answer tokens, so that long answers weigh no more per
            token than short ones.
        n_of_step: What to divide by where this is one of several batches that make one step: the step's
            answer tokens ("token_mean") or samples ("sample_sum"); by default those of this batch. So a short
            last batch weighs as its samples do, and the parts of a step add up.

    Returns: A scalar, float32, in nats; 0 where no token is to be predicted.
    Source: section 2.4; "token_mean" is our default.
    """
    import torch
    from torch.nn import functional

    targets = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
    )
    divisor = n_to_divide_by(labels, reduction) if n_of_step is None else n_of_step
    return losses.sum() / torch.as_tensor(divisor).clamp(min=1)


def n_to_divide_by(labels: torch.Tensor, reduction: Reduction) -> int:
    """The samples of a batch ("sample_sum"), or its answer tokens that are predicted ("token_mean"); labels as above."""
    return labels.shape[0] if reduction == "sample_sum" else int((labels[:, 1:] != IGNORED).sum())
