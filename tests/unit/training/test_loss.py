import math

import pytest
import torch
from torch.nn import functional

from services.training.domain.loss import IGNORED, Reduction, n_to_divide_by, sft_loss


def _uneven_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 6, 11, generator=generator)
    labels = torch.randint(0, 11, (3, 6), generator=generator)
    labels[0, :5] = IGNORED
    labels[1, :2] = IGNORED
    return logits, labels


def test_two_token_answer_by_hand() -> None:
    # One sample; p(token 1) = 3/4 and p(token 0) = 1/5 at the positions before the two answer tokens.
    odds = torch.tensor([[[1.0, 3.0], [1.0, 4.0], [7.0, 9.0]]])
    labels = torch.tensor([[IGNORED, 1, 0]])
    expected = -(math.log(3 / 4) + math.log(1 / 5))
    assert float(sft_loss(odds.log(), labels, "sample_sum")) == pytest.approx(expected)
    assert float(sft_loss(odds.log(), labels, "token_mean")) == pytest.approx(expected / 2)


def test_token_mean_is_cross_entropy_over_answer_tokens() -> None:
    logits, labels = _uneven_batch()
    expected = functional.cross_entropy(logits[:, :-1].reshape(-1, 11), labels[:, 1:].reshape(-1))
    torch.testing.assert_close(sft_loss(logits, labels), expected)


def test_sample_sum_averages_the_sums_of_samples() -> None:
    logits, labels = _uneven_batch()
    sums = [
        functional.cross_entropy(logits[i, :-1], labels[i, 1:], reduction="sum", ignore_index=IGNORED) for i in range(3)
    ]
    torch.testing.assert_close(sft_loss(logits, labels, "sample_sum"), torch.stack(sums).mean())


@pytest.mark.parametrize("reduction", ["token_mean", "sample_sum"])
def test_parts_of_a_step_add_up_to_its_loss(reduction: Reduction) -> None:
    logits, labels = _uneven_batch()
    n = n_to_divide_by(labels, reduction)
    parts = [sft_loss(logits[rows], labels[rows], reduction, n) for rows in (slice(0, 2), slice(2, 3))]
    torch.testing.assert_close(torch.stack(parts).sum(), sft_loss(logits, labels, reduction))


@pytest.mark.parametrize("reduction", ["token_mean", "sample_sum"])
def test_no_answer_token_gives_zero(reduction: str) -> None:
    logits, labels = _uneven_batch()
    assert float(sft_loss(logits, torch.full_like(labels, IGNORED), reduction)) == 0.0
