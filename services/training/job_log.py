"""What a job on another machine says: JSON lines among whatever else its log holds.

One line is `{"medq_training": KIND, ...}`, of kind `progress` (a step), `checkpoint` (the URI of one that is stored), `result`
(the URI of the model) or `error` (a typed one). Reading a line twice does no harm.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from services.training.ports import TrainingProgress

MARK = "medq_training"


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


def progress_content(step: TrainingProgress) -> dict[str, float]:
    """What a `progress` line says."""
    return {
        "step": step.step,
        "n_steps": step.n_steps,
        "loss": step.loss,
        "learning_rate": step.learning_rate,
    }


def read_progress(content: Mapping[str, Any]) -> TrainingProgress:
    """The step that a `progress` line, or a line of a job's progress file, tells of."""
    return TrainingProgress(content["step"], content["n_steps"], content["loss"], content["learning_rate"])
