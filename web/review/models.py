"""What the script of the review page reads and sends: the messages of the queue in JSON, as the OpenAPI page shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel, Field

M = TypeVar("M", bound=BaseModel)

#: 32 hex digits.
TaskId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
#: 64 hex digits.
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Annotation(BaseModel):
    """Who an annotation is from, and what it says."""

    answer: str | None = None
    entropy: float | None = None


class Decision(BaseModel):
    """What an expert has decided."""

    action: str
    answer: str | None = None
    reason: str
    active_seconds: float
    reviewer: str
    decide_time: datetime | None = None


class Task(BaseModel):
    """One question about one image, for an expert: `medq.oracle.v1.ReviewTask`."""

    task_id: str
    revision: int
    state: str
    run_id: str
    arm: str
    round: int
    image_uri: str
    modality: str
    question: str
    question_type: str
    attribute: str
    options: dict[str, str]
    proposal: str | None = None
    self_annotation: Annotation = Annotation()
    reference_annotation: Annotation = Annotation()
    agreement: float | None = None
    route: str
    route_reason: str
    reviewer: str
    lease_end_time: datetime | None = None
    decision: Decision | None = None
    clean_neighbours: list[str]
    similar_failures: list[str]
    opinion: int
    opinions: list[Decision]
    is_blind: bool
    is_reference_simulated: bool
    priority: int
    assignee: str


class InHand(BaseModel):
    """The tasks that a reviewer has in hand, and for how long nobody else gets them."""

    tasks: list[Task]
    undoable: Task | None = None
    seconds: int


class Counts(BaseModel):
    """How many tasks are in which state."""

    open: int
    leased: int
    decided: int
    closed: int
    withdrawn: int


class Changed(BaseModel):
    """A task after a change; `is_new` is false where the same change was there already."""

    task: Task
    is_new: bool


class Released(BaseModel):
    """A task that was given back; `is_released` is false where it was not in this reviewer's hand."""

    task: Task
    is_released: bool


class ByReviewer(BaseModel, extra="forbid"):
    """A change. `reviewer`: in whose name it was made in the browser; another login since then is refused. Empty: not said."""

    reviewer: Annotated[str, Field(max_length=200)] = ""


class Asked(ByReviewer):
    """Asks for tasks."""

    count: Annotated[int, Field(ge=1, le=20)]


class Decided(ByReviewer):
    """A decision; the queue checks what of it goes together."""

    revision: _Revision
    action: Literal["accept", "edit", "reject"]
    answer: Annotated[str, Field(max_length=20_000)] = ""
    reason: Annotated[str, Field(max_length=2_000)] = ""
    active_seconds: Annotated[float, Field(ge=0, le=86_400)]


class TakenBack(ByReviewer):
    """Takes the decision about a revision back."""

    revision: _Revision


def transcoded(message: Message, model: type[M], **more: object) -> M:
    """A message in the JSON form of protobuf, as a model.

    Args:
        message: Of a service.
        model: Has those of its fields that are shown.
        more: Fields that it does not have.
    """
    given = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return model.model_validate({**given, **more})
