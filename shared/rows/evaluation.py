"""Kind `evaluation`: every answer of a model to a benchmark, and its scores."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, Label, Letter, ObjectUri, Reply, Row, Share, SourceId, Split, written

Grade = Annotated[int, Meta(ge=0, le=2)]


class Judgement(Row):
    """What a judge says of a description on the four axes of MedQ-Bench, 0..2 each."""

    completeness: Grade
    preciseness: Grade
    consistency: Grade
    quality_accuracy: Grade
    judge: Annotated[str, Meta(description="the model that judged, and the version of the way it is asked")]


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
    gold: Annotated[Reply, Meta(description="the right letter; of a description its reference text")]
    choice: Annotated[Letter | None, Meta(description="the letter that was read; null where none can be")]
    scored: Annotated[
        bool,
        Meta(description="a letter was read, or a description judged; an evaluated reply without one counts as wrong"),
    ]
    correct: Annotated[bool | None, Meta(description="null where not scored; of a description by the stated rule")]
    tokens: Annotated[int, Meta(ge=0, description="tokens of the reply, the end token included")]
    logprob_sum: Annotated[float, Meta(description="sum over the reply's tokens that have a finite one, nats")]
    evaluated: Annotated[
        bool, Meta(description="false only for our own failure: an image lost, a judge that was down; then UNSCORED")
    ] = written(True)
    level: Annotated[
        str, Meta(description='the quality level that a description ends with: `good`, `usable`, `reject`; "" for none')
    ] = written("")
    judgement: Annotated[Judgement | None, Meta(description="of a description; null where none was judged")] = written(
        None
    )


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


class GradeMean(Row):
    """A mean of grades with its 95 % interval, which resamples sources."""

    value: Annotated[float | None, Meta(description="null where nothing was judged")]
    low: float | None
    high: float | None
    n: Annotated[int, Meta(ge=0, description="descriptions that it is the mean of")]
    unscored: Annotated[int, Meta(ge=0, description="descriptions that we could not judge; they are in no figure")]
    n_sources: Count | None = None


class Description(Row):
    """The description columns of Table 1: the mean of each axis, 0..2, and of their sum, 0..8."""

    completeness: GradeMean
    preciseness: GradeMean
    consistency: GradeMean
    quality_accuracy: GradeMean
    overall: GradeMean
    level_accuracy: Annotated[
        GradeMean, Meta(description="quality accuracy by the closing phrase alone, 0..2; needs no judge")
    ]
    by_modality: Annotated[dict[str, GradeMean], Meta(description="of the sum")]
    judge: Annotated[str, Meta(description='who judged; "" for nobody')]
    pass_sum: Annotated[int, Meta(ge=0, le=8, description="a description is wrong where the sum is below")]
    anchors: Annotated[
        dict[str, float],
        Meta(description="mean sum that the judge gave to the frozen anchor set, by anchor level; empty: not judged"),
    ] = written({})


class Scores(Row):
    """The scores of an evaluation."""

    perception: Perception
    extractors: Extractors
    description: Annotated[Description | None, Meta(description="null where no item asks for one")] = written(None)
