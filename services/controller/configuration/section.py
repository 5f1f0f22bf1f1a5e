"""What the parts of a run's file have in common."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

PathText = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise problem("Input should not be yes, no, true or false", "Write the value itself.")
        return value


def problem(message: str, remedy: str, field: str = "") -> PydanticCustomError:
    """What is wrong with a value, and what to do; `field` where it is another than the one looked at."""
    return PydanticCustomError("problem", "{message}", {"message": message, "remedy": remedy, "field": field})
