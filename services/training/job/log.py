"""What a job on another machine says: JSON lines among whatever else its log holds.

One line is `{"medq_training": KIND, ...}`, of kind `progress` (a step), `checkpoint` (the URI of one that is stored), `result`
(the URI of the model) or `error` (a typed one). Reading a line twice does no harm.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MARK = "medq_training"


@dataclass(frozen=True)
class TrainingProgress:
    """How far a job is.

    Args:
        step: Optimiser steps done, from 1.
        n_steps: Optimiser steps of the whole job.
        loss: Of this step, in nats.
        learning_rate: Of this step.
    """

    step: int
    n_steps: int
    loss: float
    learning_rate: float


def tell(kind: str, content: Mapping[str, Any]) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(json.dumps({MARK: kind, **content}, sort_keys=True) + "\n")
    sys.stdout.flush()


def messages(log: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and content of each line of a log that is a message, in order; a line cut off is none."""
    for line in log.splitlines():
        if MARK not in line:
            continue
        try:
            content = json.loads(line)
            yield str(content.pop(MARK)), content
        except (ValueError, KeyError, AttributeError):
            continue


def read_progress(content: Mapping[str, Any]) -> TrainingProgress:
    """The step that a `progress` line, or a line of a job's progress file, tells of."""
    return TrainingProgress(content["step"], content["n_steps"], content["loss"], content["learning_rate"])
