"""The table of services: settings, tables and composition root of each.

Read by what treats all services alike: `embedded`, `migrate`, `make up`, the chart. No service reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from services.controller.migrations import SCHEMA as CONTROLLER
from services.controller.settings import ControllerSettings
from services.embedding.migrations import SCHEMA as EMBEDDING
from services.embedding.settings import EmbeddingSettings
from services.evaluation.migrations import SCHEMA as EVALUATION
from services.evaluation.settings import EvaluationSettings
from services.oracle.migrations import SCHEMA as ORACLE
from services.oracle.settings import OracleSettings
from services.retrieval.migrations import SCHEMA as RETRIEVAL
from services.retrieval.settings import RetrievalSettings
from services.training.migrations import SCHEMA as TRAINING
from services.training.settings import TrainingSettings
from shared.migrations import Schema
from shared.rpc.server import Service
from shared.settings import ServiceSettings


@dataclass(frozen=True)
class Entry:
    """One service.

    Attributes:
        settings: What it reads from the environment.
        schema: Its tables.
    """

    settings: type[ServiceSettings]
    schema: Schema

    @property
    def build(self) -> Callable[..., Service]:
        """What puts it together. Imported when asked for: the image that migrates holds no other service's libraries."""
        build: Callable[..., Service] = import_module(f"services.{self.schema.name}.main").build
        return build


#: In the order of `shared.settings.SERVICES`.
REGISTRY: Mapping[str, Entry] = {
    "embedding": Entry(EmbeddingSettings, EMBEDDING),
    "retrieval": Entry(RetrievalSettings, RETRIEVAL),
    "evaluation": Entry(EvaluationSettings, EVALUATION),
    "oracle": Entry(OracleSettings, ORACLE),
    "training": Entry(TrainingSettings, TRAINING),
    "controller": Entry(ControllerSettings, CONTROLLER),
}
