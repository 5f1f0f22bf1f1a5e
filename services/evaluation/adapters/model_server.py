"""`ModelServer` in this process: one model in memory, swapped when another is asked for."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from services.evaluation.ports import Generation, Prompt, Sampling, VisionLanguageModel
from shared.objects.dataset import materialize, read_manifest
from shared.objects.store import ObjectStore

LoadModel = Callable[[Path], VisionLanguageModel]


class InProcessModelServer:
    """Answers for any model of the object store, one model and one call at a time.

    Args:
        objects: Where models lie, as datasets of kind `model`.
        cache_folder: Where their files are laid out for loading.
        load_model: Makes a model from a checkpoint folder.
    """

    def __init__(self, objects: ObjectStore, cache_folder: Path, load_model: LoadModel) -> None:
        self._objects = objects
        self._cache_folder = cache_folder
        self._load_model = load_model
        self._lock = threading.Lock()
        self._uri = ""
        self._model: VisionLanguageModel | None = None

    def generate(
        self, model_uri: str, prompts: Sequence[Prompt], sampling: Sampling, check: Callable[[], None]
    ) -> list[Generation]:
        """Answer each prompt, in order; see the port. `check` is called once: a model that is being loaded cannot be stopped.

        Raises:
            NotFound: there is no such object.
            InvalidArgument: it is no model, or its checkpoint is incomplete.
            DataLoss: a stored file does not match its digest.
        """
        with self._lock:
            check()
            return self._loaded(model_uri).generate(prompts, sampling)

    def close(self) -> None:
        """Let the model go."""
        with self._lock:
            self._release()

    def _loaded(self, model_uri: str) -> VisionLanguageModel:
        if self._model is None or self._uri != model_uri:
            read_manifest(self._objects, model_uri, "model")
            self._release()  # before the next one is loaded: two do not fit
            self._model = self._load_model(materialize(self._objects, model_uri, self._cache_folder))
            self._uri = model_uri
        return self._model

    def _release(self) -> None:
        self._model, self._uri = None, ""
        gc.collect()
