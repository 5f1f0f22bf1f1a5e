"""The estimate of a run's costs as a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from medq.controller.v1 import controller_pb2 as pb
from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.planning import plans_of
from services.controller.domain import estimate
from services.controller.domain.estimate_assumptions import assumptions
from services.controller.loop.decisions import limits_of
from shared.chat.endpoints import Endpoint


def estimate_run(configuration: RunConfiguration, site: Mapping[str, Endpoint]) -> pb.EstimateRunResponse:
    """What a run will cost.

    Args:
        configuration: With absolute paths, checked before, its endpoints too.
        site: The endpoints of the site, by name.
    """
    plans = plans_of(configuration, site)
    lines = estimate.estimate(plans)
    totals = estimate.totals(lines)
    return pb.EstimateRunResponse(
        rounds=[pb.EstimatedCost(**asdict(line)) for line in lines],
        totals=[pb.EstimatedCost(**asdict(line)) for line in totals],
        assumptions=assumptions(plans),
        warnings=estimate.warnings(totals, limits_of(configuration.stop)),
        is_real=estimate.is_real(lines),
    )
