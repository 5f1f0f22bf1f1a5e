"""Kind `evaluation`: every answer of a model to a benchmark, and its scores."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, Label, Letter, ObjectUri, Row, Share, SourceId, Split, written


class Answer(Row):
    """One run of a model on one item, and how the reply was read."""

    arm: str
    round: Count
    seed: int
    model: ObjectUri
    run: Annotated[int, Meta(ge=0, description="0 <= run < R")]
    item_id: str
    source_id: SourceId
    modality: Label
    question_type: Label
    attribute: Label
    severity: Label
    scope: Label
    split: Split
    answer: Annotated[str, Meta(description="the reply as the model wrote it")]
    gold: Letter
    choice: Annotated[Letter | None, Meta(description="the letter that was read; null where none can be")]
    scored: Annotated[bool, Meta(description="a letter was read; an evaluated reply without one counts as wrong")]
    correct: Annotated[bool | None, Meta(description="null where no letter was read")]
    tokens: Annotated[int, Meta(ge=0, description="tokens of the reply, the end token included")]
    logprob_sum: Annotated[float, Meta(description="sum over the reply's tokens that have a finite one, nats")]
    evaluated: Annotated[
        bool, Meta(description="false only for our own failure: an image lost, a judge that was down; then UNSCORED")
    ] = written(True)


class Unscored(Row):
    """A run of an item that we could not evaluate; the model is not to blame, and asking again tries it again."""

    item_id: str
    run: Annotated[int, Meta(ge=0, description="0 <= run < R")]
    reason: str
    remedy: str


class Score(Row):
    """An accuracy over evaluated answers with its 95 % interval, which resamples sources."""

    value: Annotated[
        Share | None, Meta(description="right / evaluated answers: an unreadable reply is wrong; null without answers")
    ]
    low: Share | None
    high: Share | None
    n: Annotated[int, Meta(ge=0, description="evaluated answers, readable or not")]
    unscored: Annotated[int, Meta(ge=0, description="answers that we could not evaluate; they are in no figure")]
    scored: Annotated[Share | None, Meta(description="right / readable answers; null where none was readable")]
    coverage: Annotated[Share | None, Meta(description="readable / evaluated answers; null without answers")]
    n_sources: Annotated[Count | None, Meta(description="sources of the evaluated answers")] = None


class Perception(Row):
    """Accuracies on multiple-choice items: overall, and by each axis, value to score."""

    overall: Score
    by_modality: dict[str, Score]
    by_question_type: dict[str, Score]
    by_attribute: dict[str, Score]
    by_severity: dict[str, Score]
    by_scope: dict[str, Score]


class Extractors(Row):
    """How replies were read."""

    used: Annotated[str, Meta(description="a name of `medq.evaluation.v1.Extractor`, in lower case")]
    official: Annotated[Score, Meta(description="by the published evaluator, where an unreadable reply is wrong")]
    disagreement: Annotated[
        Score, Meta(description="share of replies that the two readings take differently; all can be compared")
    ]
    judge: Annotated[
        str, Meta(description='the model that said what replies mean which no rule reads; "" for none')
    ] = written("")
    n_judged: Annotated[int, Meta(ge=0, description="replies that the judge read")] = written(0)


class Scores(Row):
    """The scores of an evaluation."""

    perception: Perception
    extractors: Extractors
