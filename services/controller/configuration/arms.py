"""An arm in a run's file: how it draws images, and what it changes in the sections of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_serializer
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from services.controller.configuration.annotation import AnnotateSection
from services.controller.configuration.choices import Strategy
from services.controller.configuration.failures import MineSection, SelectSection
from services.controller.configuration.learning import BuildSection, TrainSection
from services.controller.configuration.section import Section
from services.controller.domain.arms import CHANGEABLE
from shared.limits import NAME

Json = dict[str, Any]


def _partial(section: type[Section]) -> type[Section]:
    """The keys of a section, none of them required. What its keys must be together is checked where the section is whole."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        own = _partial(kind) if isinstance(kind, type) and issubclass(kind, Section) else kind
        fields[name] = (Annotated[own, Field(), *field.metadata], None)
    return create_model(section.__name__, __base__=Section, **fields)


def _changes_of(section: type[Section]) -> Callable[[Json], Json]:
    """A check of what an arm changes in a section: each key is one of it, each value one that the key may have."""
    partial = _partial(section)
    return lambda changes: partial.model_validate(changes).model_dump(exclude_unset=True)


def _changed(name: str) -> Any:
    return Field({}, description=f"Ours: keys of `{name}` with the values that they have in this arm.")


class ArmSection(Section):
    """One way to choose and learn training data. A bare strategy names an arm after itself.

    Each arm starts from the same model, is scored on the same dev and test, and has the settings of the whole file but for
    what it changes in them.
    """

    name: str = Field(pattern=f"^{NAME}$", description="Ours: names the arm in the report.")
    strategy: Strategy = Field(
        "failure_contrast",
        description="Ours: how images are drawn from the pool; failure_driven is the paper's way. docs/paper.md compares them.",
    )
    mine: Annotated[Json, AfterValidator(_changes_of(MineSection))] = _changed("mine")
    select: Annotated[Json, AfterValidator(_changes_of(SelectSection))] = _changed("select")
    annotate: Annotated[Json, AfterValidator(_changes_of(AnnotateSection))] = _changed("annotate")
    build: Annotated[Json, AfterValidator(_changes_of(BuildSection))] = _changed("build")
    train: Annotated[Json, AfterValidator(_changes_of(TrainSection))] = _changed("train")

    @property
    def changes(self) -> Json:
        """Section to the keys that are changed in it; sections without a change are left out."""
        return {name: getattr(self, name) for name in CHANGEABLE if getattr(self, name)}

    @model_serializer(mode="wrap")
    def _without_unchanged_sections(self, write: SerializerFunctionWrapHandler) -> Json:
        return {key: value for key, value in write(self).items() if value or key not in CHANGEABLE}


def _named_after_strategy(value: object) -> object:
    return {"name": value, "strategy": value} if isinstance(value, str) else value


Arm = Annotated[ArmSection, BeforeValidator(_named_after_strategy)]
