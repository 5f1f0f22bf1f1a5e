"""What a row and its fields are made of: the base class, and the types that occur in several kinds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, dataclass_transform

from msgspec import Meta, Struct, field


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Row(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A row of a dataset, or an object in it: frozen, and checked against types and ranges where it is written and read.

    A field with a default is optional: it is left out where it has that value. A reader passes over fields that it does not know.
    """


def written(value: Any) -> Any:
    """The default of a field that came later: old rows without it are read as this value, new rows always have it."""
    return field(default_factory=lambda: value)


Split = Literal["pool", "dev", "test", "replay"]
Modality = Literal["mri", "ct", "endoscopy", "fundus", "histopathology", "unknown"]
ImageId = Annotated[str, Meta(description="sha256 of the stored pixels, 64 hex digits", min_length=64, max_length=64)]
ObjectUri = Annotated[str, Meta(description="`sha256:` and 64 hex digits", min_length=71, max_length=71)]
SourceId = Annotated[
    str, Meta(description="patient, phantom or acquisition: the unit that intervals resample", min_length=1)
]
#: Columns of a table that hold options.
LETTERS = "ABCDE"
Letter = Annotated[str, Meta(description="letter of an option", min_length=1, max_length=1)]
Options = Annotated[
    dict[Letter, str], Meta(description="letter to text of the options; empty: the question asks for a description")
]
#: What answers a question: where it has options the letter of one, else a text, a description.
Reply = Annotated[str, Meta(description="letter of an option; a text where there are no options", min_length=1)]
Label = Annotated[str, Meta(description='lower case, words joined by "_"; "" for none')]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]
Usd = Annotated[float, Meta(ge=0, description="US dollars")]
