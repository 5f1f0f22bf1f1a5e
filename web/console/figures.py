"""The figures of a run, made from its report: curves, weakness, costs, who answered, whether it will stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from medq.controller.v1.controller_pb2 import GetReportRequest, GetRunRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.errors import NotFound
from shared.pages.charts import Line, Point, curve
from shared.pages.report_charts import accuracy_curve, answered, arm_name, curve_rows, role_of, weakness_maps
from shared.pages.words import dollars
from shared.status import typed
from web.calls import Services
from web.console.costs import cost_rows, dollars_before, price_of_a_point
from web.console.stopping import heading, will_it_stop

Json = dict[str, Any]


def report_of(services: Services, run_id: str) -> Json | None:
    """The report of a run, as far as it has come; None before its first step.

    Raises:
        grpc.RpcError: There is no such run, the controller does not answer, or the caller may not see it.
    """
    stub = services.stub("controller", ControllerServiceStub)
    try:
        found = stub.GetReport(GetReportRequest(run_id=run_id))
    except Exception as error:
        if isinstance(typed(error), NotFound):
            stub.GetRun(GetRunRequest(run_id=run_id))  # fails where there is no such run
            return None
        raise
    report: Json = json.loads(found.report_json)
    return report


def figures(services: Services, run_id: str, report: Json) -> Json:
    """What the template of the figures shows."""
    main = report["result"]["arm"] or next(iter(report["arms"]), "")
    rounds = report["arms"][main]["rounds"] if main else []
    paid = dollars_before(services, run_id, report["arms"])
    href = partial(cell_href, run_id, main)
    return {
        "report": report,
        "main": report["arms"][main] if main else None,
        "test_curve": accuracy_curve(report, "test"),
        "dev_curve": accuracy_curve(report, "dev"),
        "cost_curve": Markup("") if paid is None else cost_curve(report, paid),
        "is_ledger_read": paid is not None,
        "curve_rows": _with_dollars(report, paid),
        "maps": weakness_maps(report, main, href),
        "cell_href": href,
        "costs": cost_rows(report),
        "price": price_of_a_point(report),
        "stops": [(heading(name, report), will_it_stop(report, name)) for name in report["arms"]],
        "answered": [(one["round"], answered(one["annotation"]), one["annotation"]) for one in rounds if one["annotation"]],
        "simulated_parts": [one["part"] for one in report["simulated"]],
    }  # fmt: skip


def cell_href(run_id: str, arm: str, cell: Json) -> str:
    """The page with the dev images of a cell of the map of weakness."""
    query = urlencode({"arm": arm, "modality": cell["modality"], "value": cell["value"]})
    return f"/runs/{quote(run_id, safe='')}/cells?{query}"


def cost_curve(report: Json, paid: Mapping[str, Mapping[int, float]]) -> Markup:
    """Accuracy on test against the dollars that answers had cost, a line an arm; empty where nothing was paid."""
    lines = [
        Line(arm_name(name, arm), role_of(report, name), _points(arm, paid[name]))
        for name, arm in report["arms"].items()
    ]
    known = [line for line in lines if line.points]
    if not any(point.x > 0 for line in known for point in line.points):
        return Markup("")
    level = report["test_set"]["guessing"] if report["test_set"] else None
    return curve(
        "Accuracy on test against dollars spent on answers, with 95 % intervals",
        known,
        x_name="dollars spent on answers",
        x_text=dollars,
        level=level,
        level_name="guessing",
    )


def _with_dollars(report: Json, paid: Mapping[str, Mapping[int, float]] | None) -> list[Json]:
    """The numbers of the curves, each with what its answers had cost."""
    by_name = {arm_name(name, arm): (paid or {}).get(name, {}) for name, arm in report["arms"].items()}
    return [{**row, "usd": _paid_before(by_name[row["arm"]], row["round"])} for row in curve_rows(report)]


def _paid_before(paid: Mapping[int, float], number: int) -> float:
    """Dollars before a round; after the last one that paid nothing more was paid."""
    return paid.get(number, max(paid.values(), default=0.0))


def _points(arm: Json, paid: Mapping[int, float]) -> list[Point]:
    scores = [
        (facts["round"], facts["test"]["perception"]["overall"])
        for facts in arm["rounds"]
        if facts["test"] and facts["test"]["perception"]["overall"]["value"] is not None
    ]
    return [Point(_paid_before(paid, number), score["value"], score["low"], score["high"]) for number, score in scores]
