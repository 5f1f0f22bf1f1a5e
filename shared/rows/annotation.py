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
    Reply,
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
    answer: Reply
    answer_text: Annotated[
        str, Meta(description="text of the right option; the description itself where there is none")
    ]
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
        Reply | None, Meta(description="the adopted letter or description; null where the expert rejected the question")
    ]
    self_answer: Annotated[
        Reply | None, Meta(description="the model's own; null where it was not asked or not readable")
    ]
    reference_answer: Annotated[Reply, Meta(description="the oracle's")]
    expert_action: Annotated[str, Meta(description='`accept`, `edit` or `reject`; "" where no expert saw it')]
    entropy: Annotated[Nats | None, Meta(description="H_traj, nats per token; null where the model was not asked")]
    agreement: Annotated[Share | None, Meta(description="delta_ann; null where the model has no answer")]
    simulated: Annotated[bool, Meta(description="the oracle or the expert is simulated")]
    route_reason: Annotated[
        str, Meta(description='why it took that route, where entropy and agreement did not decide; else ""')
    ] = written("")


class Unanswered(Row):
    """A question without an adopted answer."""

    sample_id: str
    image_id: ImageId
    question: Annotated[str, Meta(description='"" where no question is known')]
    options: Options
    reason: str
    entropy: Annotated[Nats | None, Meta(description="H_traj of a question that the expert rejected")] = None
    agreement: Annotated[Share | None, Meta(description="delta_ann of such a question")] = None


class ResidualError(Row):
    """The error left in what no expert saw, estimated by the audit, with its 95 % interval, which counts sources."""

    value: Share | None
    low: Share | None
    high: Share | None
    n: Annotated[int, Meta(ge=0, description="audited answers")]
    n_wrong: Annotated[int, Meta(ge=0, description="audited answers that the expert did not accept")]
    population: Annotated[int, Meta(ge=0, description="answers that no expert saw")]
    n_sources: Annotated[int, Meta(ge=0, description="sources of the audited answers")] = 0


class RouteShare(Row):
    """What went one route: how much, how much of it an expert saw, and how often the expert found it wrong."""

    n: Annotated[int, Meta(ge=0, description="decided questions, the audited ones among them")]
    share: Annotated[Share, Meta(description="of all decided questions")]
    review_share: Annotated[Share, Meta(description="of these, what an expert saw")]
    error: Annotated[
        ResidualError,
        Meta(
            description="of what was proposed; on the routes of the expert it was corrected, on the others it is left"
        ),
    ]


class Calibration(Row):
    """A threshold tau_H that was fitted on reviews, and what it stands on."""

    tau_entropy: Annotated[Nats, Meta(description="a model's answer is adopted strictly below; 0 adopts none")]
    target_error_rate: Annotated[Share, Meta(description="most that may be wrong of what is adopted")]
    is_met: Annotated[bool, Meta(description="the upper limit meets it; else this threshold has the lowest limit")]
    n_reviewed: Annotated[int, Meta(ge=0, description="reviewed answers of the model that agreed with the reference")]
    n_adopted: Annotated[int, Meta(ge=0, description="those of them below the threshold")]
    n_wrong: Annotated[int, Meta(ge=0, description="those of these that the expert found wrong")]
    upper_error_rate: Annotated[
        Share | None, Meta(description="upper 95 % limit of n_wrong / n_adopted; null where nothing is adopted")
    ]


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
    unanswered: Annotated[dict[str, Count], Meta(description="questions without an adopted answer, by reason")]
    account: Annotated[dict[str, Account], Meta(description="by kind of call: `oracle`, `expert`")]
    stopped: Annotated[dict[str, str], Meta(description='why calls of a kind ended early; "" where they did not')]
    policy: Annotated[dict[str, Any], Meta(description="`medq.oracle.v1.AnnotationPolicy` as it was asked for")]
    simulated: Annotated[bool, Meta(description="the oracle or the expert is")]
    calibration: Annotated[
        Calibration | None,
        Meta(description="how tau_H of questions with options was fitted; null in a cold start, and where it is set"),
    ] = written(None)
    calibration_description: Annotated[
        Calibration | None, Meta(description="likewise of descriptions, whose entropy is on another scale")
    ] = written(None)
    by_route: Annotated[
        dict[str, RouteShare], Meta(description="`self`, `reference`, `expert`, `review`, an audited one under its own")
    ] = written({})
    n_without_choice: Annotated[
        int, Meta(ge=0, description="images of which no more questions are known than are asked: each mode asks all")
    ] = written(0)
    route_reasons: Annotated[
        dict[str, Count], Meta(description="questions that entropy and agreement did not route, by reason")
    ] = written({})
    n_asked_again: Annotated[
        int, Meta(ge=0, description="images about which the oracle was asked twice, its first answer being of no use")
    ] = written(0)
    simulated_parts: Annotated[list[str], Meta(description="what was simulated: `oracle`, `expert`")] = written([])
    images_without_question: Annotated[
        dict[str, Count], Meta(description="drawn images about which no question was brought, by reason")
    ] = written({})
