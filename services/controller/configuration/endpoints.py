"""Looks whether the endpoints that a configuration names exist and may be sent what they will be, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.controller.configuration.choices import SIMULATED
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.paths import Problem
from shared.chat.endpoints import Endpoint, MayReceive, require_endpoint
from shared.errors import MedqError


def endpoint_problems(configuration: RunConfiguration, endpoints: Mapping[str, Endpoint]) -> Iterator[Problem]:
    """What is wrong with the names of endpoints in a configuration, given those of the site."""
    needed: dict[str, tuple[str, MayReceive]] = {}
    oracles = {
        f"arms.{place}.annotate.oracle": arm.annotate.get("oracle") for place, arm in enumerate(configuration.arms)
    }
    for field, oracle in {"annotate.oracle": configuration.annotate.oracle, **oracles}.items():
        if oracle and oracle != SIMULATED:
            needed[field] = (oracle, "images")
    if configuration.evaluate.judge:
        needed["evaluate.judge"] = (configuration.evaluate.judge, "text")
    for field, (name, may_receive) in needed.items():
        try:
            require_endpoint(name, endpoints, may_receive, field)
        except MedqError as error:
            yield Problem(field, error.message, error.remedy)
