"""The evaluation service as a process, with a model that answers by a rule: `python -m tests.support.evaluation_replica`.

With `HANG_AT` in its environment it never ends its answers to that item, and says so by a file `hangs` in its folder.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

from services.evaluation.main import build
from services.evaluation.ports import Prompt, Sampling
from services.evaluation.settings import EvaluationSettings
from shared.rpc.main import serve
from tests.support.evaluation import RuleModel


def answer(prompt: Prompt, sampling: Sampling) -> str:
    if prompt.item_id == os.environ.get("HANG_AT"):
        Path(os.environ["MEDQ_EVALUATION_STATE_FOLDER"], "hangs").touch()
        signal.pause()
    return f"{prompt.item_id} {prompt.run} {sampling.seed}"


if __name__ == "__main__":
    serve("evaluation", EvaluationSettings(), partial(build, load_model=lambda _: RuleModel(answer)))
