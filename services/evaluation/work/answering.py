"""Asks a model many questions, a batch at a time, and keeps each batch before the next begins.

A batch is stored whole or not at all, and questions come in a fixed order, so that after a kill the batches that are left
are those that an undisturbed run would have made: not even the rounding of sums differs. A question whose image cannot be read
is left out of its batch and tried again; nothing is stored of it, so whoever asks later tries it again too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

from services.evaluation.ports import Generation, ModelServer, Prompt, ReadImage, Sampling
from services.evaluation.store import AnswerKey, AnswerStore
from shared.errors import DataLoss, MedqError, NotFound
from shared.objects.store import digest_of
from shared.operation_context import OperationContext

_ANSWERS = Counter(
    "medq_evaluation_answers_total", "Answers that a model gave; those found in the store are not counted."
)
#: An item and the number of the run.
Run = tuple[str, int]
#: Passes over the questions. An image may be back once the other questions are answered.
_TRIES = 3
#: The first number that is taken, and of how many each one that follows: whole work is (0, 1).
Shard = tuple[int, int]
WHOLE: Shard = (0, 1)


@dataclass(frozen=True)
class Query:
    """A question about a stored image, as a model is asked.

    Attributes:
        item_id: Unique among the questions asked together.
        image_uri: Where the image lies.
        text: The prompt.
        candidates: What the reply may be; empty: anything.
    """

    item_id: str
    image_uri: str
    text: str
    candidates: tuple[str, ...] = ()


Batch = list[tuple[AnswerKey, Query]]


@dataclass(frozen=True)
class Replies:
    """What was answered, and why the rest was not: its image is lost."""

    answers: Mapping[Run, Generation]
    lost: Mapping[Run, MedqError]


class Answering:
    """Answers from the store where they are there, from the model where they are not.

    Args:
        read_image: Gives the pixels of a stored image.
        store: Where answers are kept.
        models: Who answers.
        batch_answers: Answers that are made and stored at a time, at least 1; all runs of a question stay together.
    """

    def __init__(self, read_image: ReadImage, store: AnswerStore, models: ModelServer, batch_answers: int) -> None:
        self._read_image = read_image
        self._store = store
        self._models = models
        self._batch_answers = batch_answers

    def answer(
        self,
        context: OperationContext,
        model_uri: str,
        queries: Sequence[Query],
        n_runs: int,
        sampling: Sampling,
        shard: Shard = WHOLE,
        scope: str = "",
    ) -> Replies:
        """Answer each query `n_runs` times.

        Args:
            context: Of the operation.
            model_uri: Who answers.
            queries: What is asked.
            n_runs: Answers a query.
            sampling: How answers are drawn.
            shard: (k, n) gives every n-th batch, from the k-th on. The shards together make the very batches of the whole.
            scope: Answers are found among those of the same scope alone. In another batch the last bits of an answer's
                log-probabilities are others; so calls whose queries overlap need scopes to give the same whoever comes first.

        Returns: Of each query the runs 0 to n_runs - 1; of a shard, its own.

        Raises:
            Cancelled: the operation was called off; what was answered is kept.
            NotFound, InvalidArgument, DataLoss: the model is not there, not one, or damaged.
        """
        model, way = digest_of(model_uri), sampling_digest(sampling, scope)
        known = self._store.known(model, way)
        batches = self._batches(queries, n_runs)[shard[0] :: shard[1]]
        mine = [key for batch in batches for key, _ in batch]
        answers = {key: known[key] for key in mine if key in known}
        for _ in range(_TRIES):
            lost: dict[AnswerKey, MedqError] = {}
            for whole in batches:
                context.progress(len(answers), len(mine), "answers")
                prompts, unreadable = self._prompts([(key, query) for key, query in whole if key not in answers])
                lost |= unreadable
                if not prompts:
                    continue
                generations = self._models.generate(
                    model_uri, list(prompts.values()), sampling, context.check_cancelled
                )
                made = dict(zip(prompts, generations, strict=True))
                self._store.save(model, way, made)
                _ANSWERS.inc(len(made))
                answers.update(made)
            if not lost:
                break
        context.progress(len(answers), len(mine), "answers")
        return Replies(
            {(key.item_id, key.run): answer for key, answer in answers.items()},
            {(key.item_id, key.run): error for key, error in lost.items()},
        )

    def _batches(self, queries: Sequence[Query], n_runs: int) -> list[Batch]:
        """Every run of every query in the fixed order, all runs of a query in one batch."""
        ordered = sorted(queries, key=lambda query: query.item_id)
        keys = [(_key(query, run), query) for query in ordered for run in range(n_runs)]
        step = max(1, self._batch_answers // n_runs) * n_runs
        return [keys[start : start + step] for start in range(0, len(keys), step)]

    def _prompts(self, batch: Batch) -> tuple[dict[AnswerKey, Prompt], dict[AnswerKey, MedqError]]:
        """What is asked, in order, and what cannot be asked since its image cannot be read."""
        images = {uri: self._read(uri) for uri in {query.image_uri for _, query in batch}}
        prompts, lost = {}, {}
        for key, query in batch:
            image = images[query.image_uri]
            if isinstance(image, MedqError):
                lost[key] = image
            else:
                prompts[key] = Prompt(query.item_id, key.run, image, query.text, query.candidates)
        return prompts, lost

    def _read(self, uri: str) -> NDArray[np.uint8] | MedqError:
        try:
            return self._read_image(uri)
        except (NotFound, DataLoss) as error:
            return error


def sampling_digest(sampling: Sampling, scope: str = "") -> str:
    """sha256 of the way answers are drawn, and of their scope; greedy answers depend neither on the seed nor on the nucleus."""
    settled = replace(sampling, seed=0, top_p=1.0) if sampling.temperature == 0 else sampling
    return hashlib.sha256((json.dumps(asdict(settled), sort_keys=True) + scope).encode()).hexdigest()


def _key(query: Query, run: int) -> AnswerKey:
    asked = json.dumps([query.text, *query.candidates]) if query.candidates else query.text
    prompt_digest = hashlib.sha256(asked.encode()).hexdigest()
    return AnswerKey(query.item_id, digest_of(query.image_uri), prompt_digest, run)
