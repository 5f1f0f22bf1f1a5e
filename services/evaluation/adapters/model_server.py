"""`ModelServer` in this process: a few models in memory, swapped when others are asked for."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.evaluation.ports import Generation, Prompt, Sampling, VisionLanguageModel
from shared.objects.dataset import materialize, read_manifest
from shared.objects.store import ObjectStore

LoadModel = Callable[[Path], VisionLanguageModel]


@dataclass(eq=False)
class _Place:
    """Room for one model in memory."""

    uri: str = ""
    model: VisionLanguageModel | None = None


class InProcessModelServer:
    """Answers for any model of the object store, a call at a time for each model that it may hold.

    Args:
        objects: Where models lie, as datasets of kind `model`.
        cache_folder: Where their files are laid out for loading.
        load_model: Makes a model from a checkpoint folder.
        n_models: How many may be in memory.
    """

    def __init__(self, objects: ObjectStore, cache_folder: Path, load_model: LoadModel, n_models: int = 1) -> None:
        self._objects = objects
        self._cache_folder = cache_folder
        self._load_model = load_model
        self._changed = threading.Condition()
        self._loading = threading.Lock()  # it changes what the libraries share
        self._n_places = n_models
        self._free = [_Place() for _ in range(n_models)]  # the one that was used last is the last

    def generate(
        self, model_uri: str, prompts: Sequence[Prompt], sampling: Sampling, check: Callable[[], None]
    ) -> list[Generation]:
        """Answer each prompt, in order; see the port. `check` is called once: a model that is being loaded cannot be stopped.

        Raises:
            NotFound: there is no such object.
            InvalidArgument: it is no model, or its checkpoint is incomplete.
            DataLoss: a stored file does not match its digest.
        """
        place = self._take(model_uri)
        try:
            check()
            return self._loaded(place, model_uri).generate(prompts, sampling)
        finally:
            with self._changed:
                self._free.append(place)
                self._changed.notify()

    def close(self) -> None:
        """Let the models go, once nobody uses them."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._free) == self._n_places)
            for place in self._free:
                _release(place)

    def _take(self, model_uri: str) -> _Place:
        """A place of which nobody has the use: that of the model, else the one that was used longest ago."""
        with self._changed:
            self._changed.wait_for(lambda: self._free)
            place = next((one for one in self._free if one.uri == model_uri), self._free[0])
            self._free.remove(place)
            return place

    def _loaded(self, place: _Place, model_uri: str) -> VisionLanguageModel:
        if place.model is None or place.uri != model_uri:
            read_manifest(self._objects, model_uri, "model")
            _release(place)  # before the next one is loaded: two do not fit
            with self._loading:
                place.model = self._load_model(materialize(self._objects, model_uri, self._cache_folder))
            place.uri = model_uri
        return place.model


def _release(place: _Place) -> None:
    place.uri, place.model = "", None
    gc.collect()
