"""What retrieval is asked for in a round, and what the model is asked about the pool before it draws by uncertainty."""

from __future__ import annotations

import numpy as np

from medq.evaluation.v1 import evaluation_pb2
from medq.retrieval.v1 import retrieval_pb2
from services.controller.configuration import choices
from services.controller.configuration.arms import ArmSection
from services.controller.configuration.failures import SelectSection
from services.controller.configuration.models import RunConfiguration
from services.controller.loop.calls import Calls
from services.controller.loop.inputs import Inputs
from shared.objects.dataset import iterate_rows, publish
from shared.objects.store import ObjectStore
from shared.prompts import QUALITY_QUESTIONS
from shared.rows.annotation import Question
from shared.rows.fields import LETTERS
from shared.rows.images import Image

#: Images that the model is asked about for each that is drawn, where the configuration does not say how many.
CANDIDATES_PER_IMAGE = 10
_POOL = "pool"


def selection_request(
    calls: Calls, configuration: RunConfiguration, arm: ArmSection, inputs: Inputs, failures: str, seed: int
) -> retrieval_pb2.StartSelectSamplesRequest:
    """What retrieval is asked for, without the operation's id and what the model answered about the pool."""
    section, build = configuration.select, configuration.build
    return retrieval_pb2.StartSelectSamplesRequest(
        run_id=calls.run_id,
        arm=arm.name,
        round=calls.round,
        failures_uri=failures,
        budget=section.budget,
        tau_sim=section.tau_sim,
        tau_pool_share=section.tau_pool_share or 0.0,
        neighbours=section.neighbours,
        alpha=section.alpha,
        strategy=retrieval_pb2.Strategy.ValueType(choices.STRATEGIES[arm.strategy]),
        seed=seed,
        guard_uris=each_once(inputs.dev_images, *inputs.test_images),
        phash_distance=build.phash_distance,
        pool_uris=[inputs.pool],
        reference_uris=each_once(inputs.replay_images),
        twin_similarity=build.twin_similarity,
    )


def write_questions(objects: ObjectStore, pool: str, section: SelectSection, seed: int) -> str:
    """A dataset of the questions that can be asked of any image, about images of the pool that chance takes.

    Args:
        objects: Where the pool lies.
        pool: Its image set.
        section: Says how many images; all, where there are no more.
        seed: Of the choice; the same one gives the same dataset.

    Returns: Its URI.
    """
    n_images = section.uncertainty_candidates or CANDIDATES_PER_IMAGE * section.budget
    images = [(row.image_id, row.image_uri) for row in iterate_rows(objects, pool, Image) if row.split == _POOL]
    images.sort()
    chosen = np.random.default_rng(seed).permutation(len(images))[:n_images]
    questions = [
        Question(
            question_id=f"{image_id}/{number}",
            image_uri=image_uri,
            question=question,
            options=dict(zip(LETTERS, options, strict=False)),
        )
        for image_id, image_uri in sorted(images[row] for row in chosen)
        for number, (question, options) in enumerate(QUALITY_QUESTIONS.items())
    ]
    return publish(
        objects,
        "questions",
        {"questions.jsonl": questions},
        counts={"questions": len(questions)},
        parents=[pool],
        configuration={"images": n_images},
        seed=seed,
    )


def questions_request(
    configuration: RunConfiguration, run_id: str, model: str, questions: str
) -> evaluation_pb2.StartGenerateRequest:
    """The model is to answer questions once each, greedily, in the form in which it answers everywhere."""
    section = configuration.evaluate
    # No answer is read for its meaning, so no judge is paid for it.
    extractor = "strict" if section.extractor == "judge" else section.extractor
    return evaluation_pb2.StartGenerateRequest(
        model_uri=model,
        questions_uri=questions,
        sampling=evaluation_pb2.Sampling(
            temperature=0.0, top_p=1.0, max_new_tokens=section.max_new_tokens, seed=configuration.seed
        ),
        extractor=evaluation_pb2.Extractor.ValueType(choices.EXTRACTORS[extractor]),
        answer_form=evaluation_pb2.AnswerForm.ValueType(choices.ANSWER_FORMS[section.answer_form]),
        run_id=run_id,
    )


def each_once(*uris: str) -> list[str]:
    """Those that are set, in their order: two rounds, or two sets, may be the same dataset."""
    return [uri for uri in dict.fromkeys(uris) if uri]
