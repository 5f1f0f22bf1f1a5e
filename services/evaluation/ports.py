"""What evaluation needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.chat.messages import ChatReply, ChatRequest
from shared.errors import MedqError
from shared.tables import TableRow

#: The rows of a benchmark's table; raises NotFound, or InvalidArgument where it is no such table.
ReadTable = Callable[[Path], list[TableRow]]
#: (height, width, 3) uint8, RGB, of the image at a URI; raises NotFound, or DataLoss where it is damaged or no image.
ReadImage = Callable[[str], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question about one image, asked once.

    Args:
        item_id: The benchmark item; with `run` it keys the noise of the answer.
        run: Number of the run, from 0.
        image: (height, width, 3) uint8, RGB.
        text: The question as asked, options included; no chat format and no image placeholder.
        candidates: Where there are any, the answer is one of these, drawn by how likely the model finds each as a whole.
    """

    item_id: str
    run: int
    image: NDArray[np.uint8]
    text: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Args:
        seed: Seed of the noise.
        temperature: At least 0; 0 is greedy and draws no noise.
        top_p: In (0, 1]; 1 keeps the whole distribution.
        max_new_tokens: At least 1.
    """

    seed: int
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 16


@dataclass(frozen=True)
class Generation:
    """One answer.

    Args:
        text: The answer without special tokens, stripped of white space at both ends.
        token_logprobs: (n_tokens,) natural logarithms of the probability of each generated token under the
            unmodified model, whatever the sampling was; the end token is included where it was generated.
            A number that the model did not give is NaN.
        n_tokens: Number of generated tokens, the end token included.
        token_ends: (n_tokens,) offset in `text` behind each token, ascending; that of the token before where a token adds
            nothing to the text, as an end token. Empty where it is not known.
    """

    text: str
    token_logprobs: tuple[float, ...]
    n_tokens: int
    token_ends: tuple[int, ...] = ()


class VisionLanguageModel(Protocol):
    """A model that answers questions about images."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Answer each prompt, in order; all have candidates, or none has.

        An answer depends on its prompt and on (seed, item_id, run), neither on the other prompts nor on their order.
        """
        ...


class JudgeCalls(Protocol):
    """Puts requests to the model of one endpoint, with accounts.

    Attributes:
        model: The model that answers there.
    """

    model: str

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        """The reply to each request by its key, or why there is none.

        Args:
            requests: Under keys that say what is asked; the same key is answered once.
            progress: Told how many have come back; what it raises ends the work.

        Raises:
            MedqError: The endpoint refuses them all, for good.
        """
        ...


class OpenJudge(Protocol):
    """Finds the judge at an endpoint of the site."""

    def __call__(self, endpoint: str, run_id: str, work_id: str) -> JudgeCalls:
        """The judge at `endpoint`; the ledger of `run_id` pays ("": nobody's), and `work_id` names what the calls are for.

        Raises:
            NotFound, PermissionDenied, FailedPrecondition: The site has no such endpoint, or does not let texts go there.
        """
        ...


class ModelServer(Protocol):
    """Serves one model at a time, and changes to another when it is asked for: after a round, the new one."""

    def generate(
        self, model_uri: str, prompts: Sequence[Prompt], sampling: Sampling, check: Callable[[], None]
    ) -> list[Generation]:
        """Answer each prompt, in order, with the model at `model_uri` and no other.

        Where another model is served, what is being asked of it ends first; then the new one takes its place, and only when it
        is there is the first prompt asked.

        Args:
            model_uri: `sha256:<hex>` of a `model`.
            prompts: What is asked.
            sampling: How answers are drawn.
            check: Called now and then while a model is waited for; what it raises ends the wait. The next call goes on with it.

        Raises:
            NotFound: there is no such object.
            InvalidArgument: it is no model, its checkpoint is incomplete, or a sampling setting is out of range.
            DataLoss: a stored file does not match its digest.
            FailedPrecondition, Unavailable, DeadlineExceeded: the model cannot be served, or not in time, or gives no
                log-probabilities of candidates.
        """
        ...

    def close(self) -> None:
        """Let the model go, where this process holds it."""
        ...
