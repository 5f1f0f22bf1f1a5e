"""`ModelServer` on vLLM: the model that is asked for is served before the first prompt is sent.

A swap waits until nothing is asked of the model before (by this process, or by others as vLLM counts), patches the Deployment,
waits for the rollout, and then for the server to name the model. The name is the URI, so another model can never answer in its
place: the server does not know the name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from services.evaluation.adapters.model_deployment import ModelDeployment
from services.evaluation.adapters.openai_model import OpenAIModel, OpenAIServer
from services.evaluation.ports import Generation, Prompt, Sampling
from services.evaluation.settings import VllmSection
from shared.errors import DeadlineExceeded, FailedPrecondition, NotFound, Unavailable
from shared.kubernetes_api import connect
from shared.objects.dataset import read_manifest
from shared.objects.store import ObjectStore


class VllmModelServer:
    """Models of the object store on one vLLM server.

    Args:
        objects: Where models lie, as datasets of kind `model`.
        server: Answers.
        deployment: What is patched; None where someone else sees to it that the model is served.
        section: Deadlines.
    """

    def __init__(
        self, objects: ObjectStore, server: OpenAIServer, deployment: ModelDeployment | None, section: VllmSection
    ) -> None:
        self._objects = objects
        self._server = server
        self._deployment = deployment
        self._section = section
        self._changed = threading.Condition()
        self._n_asking = 0
        self._served = ""

    def generate(
        self, model_uri: str, prompts: Sequence[Prompt], sampling: Sampling, check: Callable[[], None]
    ) -> list[Generation]:
        """Answer each prompt, in order; see `ModelServer.generate`. A model that was swapped meanwhile is served anew, once."""
        try:
            with self._serving(model_uri, check):
                return OpenAIModel(self._server, model_uri).generate(prompts, sampling)
        except NotFound:
            self._forget(model_uri)
        with self._serving(model_uri, check):
            return OpenAIModel(self._server, model_uri).generate(prompts, sampling)

    def close(self) -> None:
        """Close the connections; the model stays served."""
        self._server.close()

    @contextmanager
    def _serving(self, model_uri: str, check: Callable[[], None]) -> Iterator[None]:
        """While this holds, no other thread has another model served."""
        with self._changed:
            self._require(lambda: self._served == model_uri or self._n_asking == 0, self._changed.wait, check)
            if self._served != model_uri:
                self._swap(model_uri, check)
            self._n_asking += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_asking -= 1
                self._changed.notify_all()

    def _forget(self, model_uri: str) -> None:
        with self._changed:
            if self._served == model_uri:
                self._served = ""

    def _swap(self, model_uri: str, check: Callable[[], None]) -> None:
        """
        Raises:
            Unavailable: others ask the model that is served, and go on doing so.
            FailedPrecondition: nobody serves it, or the rollout was given up.
            DeadlineExceeded: it is not served in time.
        """
        read_manifest(self._objects, model_uri, "model")
        self._served = ""
        if self._deployment is None:
            if model_uri not in self._server.models():
                raise FailedPrecondition(
                    "The model is not served.",
                    field="model_uri",
                    value=model_uri,
                    remedy="Serve it under its URI, or name the Deployment that does so in vllm.deployment.",
                )
        else:
            self._roll_out(self._deployment, model_uri, check)
        self._served = model_uri

    def _roll_out(self, deployment: ModelDeployment, model_uri: str, check: Callable[[], None]) -> None:
        """Drain, patch, and wait until nothing but the model is served."""
        if model_uri not in self._names():
            self._require(lambda: self._server.n_requests() == 0, time.sleep, check)
        deployment.serve(model_uri)

        def is_served() -> bool:
            return deployment.is_rolled_out(model_uri) and model_uri in self._names()

        if not self._holds(is_served, self._section.rollout_seconds, time.sleep, check):
            raise DeadlineExceeded(
                "The model is not served yet.",
                field="vllm.rollout_seconds",
                value=self._section.rollout_seconds,
                remedy="Look at the Deployment's pods; start the operation again, which goes on with the rollout.",
            )

    def _names(self) -> set[str]:
        """What is served now; nothing while the server is away, as it is during a rollout."""
        try:
            return self._server.models()
        except (Unavailable, DeadlineExceeded):
            return set()

    def _require(
        self, is_idle: Callable[[], bool], pause: Callable[[float], object], check: Callable[[], None]
    ) -> None:
        """
        Raises:
            Unavailable: the model that is served is asked for longer than `drain_seconds`.
        """
        if not self._holds(is_idle, self._section.drain_seconds, pause, check):
            raise Unavailable(
                "The model that is served is still asked by others.",
                field="vllm.drain_seconds",
                remedy="Wait for that evaluation, or raise the time.",
            )

    def _holds(
        self, condition: Callable[[], bool], seconds: float, pause: Callable[[float], object], check: Callable[[], None]
    ) -> bool:
        """Look now and then, and at once where the pause is cut short, whether a condition comes to hold."""
        deadline = time.monotonic() + seconds
        while not condition():
            check()
            if time.monotonic() >= deadline:
                return False
            pause(self._section.poll_seconds)
        return True


def vllm_model_server(objects: ObjectStore, section: VllmSection) -> VllmModelServer:
    """The model server that the settings ask for.

    Raises:
        FailedPrecondition: a Deployment is named, and the cluster cannot be reached.
    """
    deployment = ModelDeployment(connect(section.kubeconfig), section) if section.deployment else None
    return VllmModelServer(objects, OpenAIServer(section), deployment, section)
