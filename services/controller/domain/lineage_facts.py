"""What lineage is made of: the rows of a round, and what is said of a sample and of a dev item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.controller.domain.ledger import Entry
from shared.rows.annotation import Decision, Unanswered
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.selection import Sample
from shared.rows.training import Dropped, Lineage


@dataclass(frozen=True)
class RoundRows:
    """The rows of one round of one arm; what the loop has not come to is empty, and `None` where that says something else.

    Attributes:
        answers: To dev, by the model of this round.
        later_answers: To dev, by the model of the next round; None before there is one.
        failures, prototypes, capabilities: Of this round; None where they were not looked for.
        later_capabilities: Of the next round; None where its failures were not looked for.
        strategy: How the images were drawn.
        dataset_uri: Of the training set; "" before there is one.
    """

    arm: str
    round: int
    answers: Sequence[Answer] = ()
    later_answers: Sequence[Answer] | None = None
    failures: Sequence[Failure] | None = None
    prototypes: Sequence[PrototypeRow] = ()
    capabilities: Sequence[CapabilityErrorRate] = ()
    later_capabilities: Sequence[CapabilityErrorRate] | None = None
    strategy: str = ""
    samples: Sequence[Sample] = ()
    decisions: Sequence[Decision] = ()
    unanswered: Sequence[Unanswered] = ()
    trained: Sequence[Lineage] = ()
    dropped: Sequence[Dropped] = ()
    dataset_uri: str = ""


@dataclass(frozen=True)
class FailedItem:
    """A dev item that the model failed, and its share of wrong runs."""

    item_id: str
    error_rate: float


@dataclass(frozen=True)
class Cause:
    """Why an image was drawn; see `medq.controller.v1.Cause`."""

    strategy: str
    capability: str
    prototype_id: str
    similarity: float | None
    contrast: float | None
    failures: tuple[FailedItem, ...]
    score: float | None = None


@dataclass(frozen=True)
class ErrorChange:
    """Mean shares of wrong runs before and after a training; see `medq.controller.v1.ErrorChange`."""

    what: str
    name: str
    before: float | None
    after: float | None
    n_items: int
    error_rate_before: float | None = None
    error_rate_after: float | None = None


@dataclass(frozen=True)
class SampleLineage:
    """Where a training sample comes from; see `medq.controller.v1.SampleLineage`."""

    arm: str
    round: int
    kind: str
    sample_id: str
    decision_id: str
    image_id: str
    image_uri: str
    modality: str
    source_id: str
    cause: Cause | None
    decision: Decision | None
    fate: str
    dataset_uri: str
    costs: tuple[Entry, ...] = ()
    changes: tuple[ErrorChange, ...] = ()


@dataclass(frozen=True)
class ItemRound:
    """A dev item in a round; see `medq.controller.v1.ItemRound`."""

    arm: str
    round: int
    n_runs: int
    n_wrong: int
    answers: tuple[str, ...]
    is_failure: bool | None
    capability: str = ""
    prototype_id: str = ""
    sample_ids: tuple[str, ...] = ()
    decided: Mapping[str, int] = field(default_factory=dict)
    n_trained: int = 0
