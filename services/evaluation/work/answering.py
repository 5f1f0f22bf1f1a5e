"""Asks a model many questions, a batch at a time, and keeps each batch before the next begins.

A batch is stored whole or not at all, and questions come in a fixed order, so that after a kill the batches that are left
are those that an undisturbed run would have made: not even the rounding of sums differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from prometheus_client import Counter

from services.evaluation.ports import Generation, ModelServer, Prompt, ReadImage, Sampling
from services.evaluation.store import AnswerKey, AnswerStore
from shared.objects.store import digest_of
from shared.operations import OperationContext

_ANSWERS = Counter(
    "medq_evaluation_answers_total", "Answers that a model gave; those found in the store are not counted."
)
Answers = dict[tuple[str, int], Generation]
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
    """

    item_id: str
    image_uri: str
    text: str


Batch = list[tuple[AnswerKey, Query]]


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
    ) -> Answers:
        """Answer each query `n_runs` times.

        Args:
            context: Of the operation.
            model_uri: Who answers.
            queries: What is asked.
            n_runs: Answers a query.
            sampling: How answers are drawn.
            shard: (k, n) gives every n-th batch, from the k-th on. The shards together make the very batches of the whole.

        Returns: (item_id, run) to answer, for runs 0 to n_runs - 1; of a shard, its own.

        Raises:
            Cancelled: the operation was called off; what was answered is kept.
            NotFound, InvalidArgument, DataLoss: the model or an image is not there, not one, or damaged.
        """
        model, way = digest_of(model_uri), sampling_digest(sampling)
        known = self._store.known(model, way)
        batches = self._batches(queries, n_runs)[shard[0] :: shard[1]]
        mine = [key for batch in batches for key, _ in batch]
        answers = {key: known[key] for key in mine if key in known}
        for whole in batches:
            context.progress(len(answers), len(mine), "answers")
            batch = [(key, query) for key, query in whole if key not in known]
            if not batch:
                continue
            prompts = self._prompts(batch)
            generations = self._models.generate(model_uri, prompts, sampling, context.check_cancelled)
            made = {key: made for (key, _), made in zip(batch, generations, strict=True)}
            self._store.save(model, way, made)
            _ANSWERS.inc(len(made))
            answers.update(made)
        context.progress(len(answers), len(mine), "answers")
        return {(key.item_id, key.run): answer for key, answer in answers.items()}

    def _batches(self, queries: Sequence[Query], n_runs: int) -> list[Batch]:
        """Every run of every query in the fixed order, all runs of a query in one batch."""
        ordered = sorted(queries, key=lambda query: query.item_id)
        keys = [(_key(query, run), query) for query in ordered for run in range(n_runs)]
        step = max(1, self._batch_answers // n_runs) * n_runs
        return [keys[start : start + step] for start in range(0, len(keys), step)]

    def _prompts(self, batch: Batch) -> list[Prompt]:
        images = {uri: self._read_image(uri) for uri in {query.image_uri for _, query in batch}}
        return [Prompt(query.item_id, key.run, images[query.image_uri], query.text) for key, query in batch]


def sampling_digest(sampling: Sampling) -> str:
    """sha256 of the way answers are drawn; greedy answers depend neither on the seed nor on the nucleus."""
    settled = replace(sampling, seed=0, top_p=1.0) if sampling.temperature == 0 else sampling
    return hashlib.sha256(json.dumps(asdict(settled), sort_keys=True).encode()).hexdigest()


def _key(query: Query, run: int) -> AnswerKey:
    prompt_digest = hashlib.sha256(query.text.encode()).hexdigest()
    return AnswerKey(query.item_id, digest_of(query.image_uri), prompt_digest, run)
