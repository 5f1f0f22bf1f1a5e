"""How the samples of one optimiser step are shared among processes."""

from __future__ import annotations

from shared.errors import InvalidArgument


def share_step(batch_size: int, gradient_accumulation: int, n_processes: int) -> tuple[int, int]:
    """Batches of each process, so that a step has the same samples however many processes there are.

    Args:
        batch_size: Most samples of one forward pass, at least 1.
        gradient_accumulation: Forward passes of one step where one process does them all, at least 1.
        n_processes: At least 1.

    Returns: Samples of one forward pass and forward passes of one step, of each process. The first is the largest divisor of
        the process's share that `batch_size` allows.

    Raises:
        InvalidArgument: The step's samples cannot be shared evenly.
    """
    if n_processes == 1:
        return batch_size, gradient_accumulation
    samples = batch_size * gradient_accumulation
    if samples % n_processes:
        raise InvalidArgument(
            f"A step of {samples} samples cannot be shared by {n_processes} processes.",
            field="batch_size",
            value=f"{batch_size} * {gradient_accumulation}",
            remedy=f"Let batch_size * gradient_accumulation be a multiple of {n_processes}.",
        )
    share = samples // n_processes
    size = max(size for size in range(1, min(batch_size, share) + 1) if share % size == 0)
    return size, share // size
