"""The bank of questions from its files, which are a part of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from services.oracle.domain.bank import Bank, Common, Modality
from shared.errors import InvalidArgument

FOLDER = Path(__file__).resolve().parent.parent / "bank"
_COMMON = "bank.yaml"
_T = TypeVar("_T")


def read_bank(folder: Path = FOLDER) -> Bank:
    """Read and check the bank.

    Raises:
        InvalidArgument: A file is not YAML or has not the form that README.md beside the files describes.
    """
    common = _read(folder / _COMMON, Common)
    files = sorted(path for path in folder.glob("*.yaml") if path.name != _COMMON)
    modalities = [_read(path, Modality) for path in files]
    return Bank(common, {one.modality: one for one in modalities})


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), kind)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        where = str(error) if isinstance(error, msgspec.ValidationError) else "It cannot be read as YAML."
        raise InvalidArgument(f"{path.name} is no part of the bank: {where}", field=path.stem) from None
