"""A part of the system that has operations and nothing else, on one database and in as many processes as are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medq.training.v1.training_pb2 import StartImportModelRequest, StartTrainRequest
from shared.objects.folder import FolderObjectStore
from shared.operation_context import OperationContext
from shared.operation_table import METADATA
from shared.operations import Operations
from tests.support.databases import Database

Function = Callable[[OperationContext, StartImportModelRequest], str]


def named(operation_id: str, folder: str = "f") -> StartImportModelRequest:
    return StartImportModelRequest(operation_id=operation_id, folder_uri=folder)


def nothing(context: OperationContext, request: Any) -> str:
    return ""


class Part:
    """Operations on one database, as many processes as are asked for."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects")

    def operations(
        self, function: Function, owner: str = "one", lease_seconds: float = 30.0, n_workers: int = 2
    ) -> Operations:
        functions: Mapping[Any, Any] = {StartImportModelRequest: function, StartTrainRequest: nothing}
        return Operations("part", self.engine, functions, owner=owner, lease_seconds=lease_seconds, n_workers=n_workers)


def until_terminal(operations: Operations, operation_id: str) -> Any:
    seen = 0
    for _ in range(100):
        found = operations.wait(operation_id, seen, 5.0, lambda: True)
        if found.is_terminal:
            return found
        seen = found.revision
    raise AssertionError("the operation did not end")
