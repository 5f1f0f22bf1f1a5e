"""Kinds `known-answers`, `questions`, `generations` and `decisions`: what was asked of an image, and whose answer was adopted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from shared.rows.fields import (
    Count,
    ImageId,
    Label,
    Letter,
    ObjectUri,
    Options,
    Row,
    Seconds,
    Share,
    SourceId,
    Usd,
    written,
)

#: The reason of a question without an answer that is as it should be.
REJECTED_BY_EXPERT = "the expert rejected it"
Nats = Annotated[float, Meta(ge=0)]
Route = Literal["self", "reference", "expert", "review", "audit"]


class KnownAnswer(Row):
    """What the simulated oracle and expert know of a pool image."""

    image_id: ImageId
    question: str
    options: Options
    answer: Letter
    answer_text: Annotated[str, Meta(description="text of the right option")]
    question_type: Label
    attribute: Label
    severity: Label
    scope: Label
    modality: Label
    item_id: str


class Question(Row):
    """A question for a model to answer freely."""

    question_id: Annotated[str, Meta(description="unique in the dataset", min_length=1)]
    image_uri: ObjectUri
    question: str
    options: Annotated[Options, Meta(description="empty: asked as it stands")]


class Generation(Row):
    """A model's reply to a question."""

    question_id: str
    answer: Annotated[str, Meta(description="the reply as the model wrote it")]
    choice: Annotated[Letter | None, Meta(description="the letter that was read; null where none can be")]
    token_logprobs: Annotated[
        tuple[float, ...], Meta(description="log-probability of each token, nats; empty where one cannot be used")
    ]
    answer_logprobs: Annotated[
        tuple[float, ...] | None,
        Meta(description="those of the tokens that carry the answer; null in rows of before: then all do"),
    ] = written(None)
    logprobs_fault: Annotated[str, Meta(description='why the log-probabilities cannot be used; "" where they can')] = (
        written("")
    )


class Decision(Row):
    """One question about one image, whose answer was adopted, and why (Eq. 3 of the paper)."""

    decision_id: Annotated[str, Meta(description="from arm, round, sample and question, 32 hex digits", min_length=1)]
    sample_id: str
    image_id: ImageId
    image_uri: ObjectUri
    modality: Label
    source_id: SourceId
    capability: Annotated[str, Meta(description='the capability that the image was drawn for; "" for none')]
    prototype_id: Annotated[str, Meta(description='the prototype that found it; "" for none')]
    question: str
    options: Options
    question_type: Label
    attribute: Label
    scope: Label
    route: Annotated[
        Route,
        Meta(description="whose answer it is; `review`: cold start; `audit`: reviewed although no expert was asked"),
    ]
    audited_route: Annotated[str, Meta(description='the route that was audited; "" where none was')]
    answer: Annotated[
        Letter | None, Meta(description="the adopted letter; null where the expert rejected the question")
    ]
    self_answer: Annotated[
        Letter | None, Meta(description="the model's own; null where it was not asked or not readable")
    ]
    reference_answer: Annotated[Letter, Meta(description="the oracle's")]
    expert_action: Annotated[str, Meta(description='`accept`, `edit` or `reject`; "" where no expert saw it')]
    entropy: Annotated[Nats | None, Meta(description="H_traj, nats per token; null where the model was not asked")]
    agreement: Annotated[Share | None, Meta(description="delta_ann; null where the model has no letter")]
    simulated: Annotated[bool, Meta(description="the oracle or the expert is simulated")]


class Unanswered(Row):
    """A question without an adopted answer."""

    sample_id: str
    image_id: ImageId
    question: Annotated[str, Meta(description='"" where no question is known')]
    options: Options
    reason: str


class ResidualError(Row):
    """The error left in what no expert saw, estimated by the audit, with its exact 95 % interval."""

    value: Share | None
    low: Share | None
    high: Share | None
    n: Annotated[int, Meta(ge=0, description="audited answers")]
    n_wrong: Annotated[int, Meta(ge=0, description="audited answers that the expert did not accept")]
    population: Annotated[int, Meta(ge=0, description="answers that no expert saw")]


class Account(Row):
    """What the calls of one kind cost together."""

    calls: Count
    usd: Usd
    tokens_in: Count
    tokens_out: Count
    expert_seconds: Seconds


class Summary(Row):
    """What a set of decisions says of itself."""

    n_decided: Annotated[int, Meta(ge=0, description="decided questions, the rejected ones among them")]
    n_decisions: Annotated[int, Meta(ge=0, description="decisions with an answer")]
    routes: dict[str, Count]
    expert_actions: dict[str, Count]
    review_share: Annotated[Share | None, Meta(description="of the decided questions; null where there are none")]
    residual_error: ResidualError
    unanswered: Annotated[dict[str, Count], Meta(description="by reason")]
    account: Annotated[dict[str, Account], Meta(description="by kind of call: `oracle`, `expert`")]
    stopped: Annotated[dict[str, str], Meta(description='why calls of a kind ended early; "" where they did not')]
    policy: Annotated[dict[str, Any], Meta(description="`medq.oracle.v1.AnnotationPolicy` as it was asked for")]
    simulated: bool
