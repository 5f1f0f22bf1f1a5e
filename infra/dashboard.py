"""Generate Grafana's dashboard from `infra/telemetry/dashboard.yaml`, or check that it is what would be generated.

`python -m infra.dashboard` writes it into the chart, which is its one place; `--check` compares and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = _ROOT / "infra" / "telemetry" / "dashboard.yaml"
DASHBOARD = _ROOT / "charts" / "medq-engine" / "files" / "dashboards" / "medq.json"
_COLUMNS = 24
_PANEL_WIDTH, _PANEL_HEIGHT = 8, 7


def dashboard(description: Mapping[str, Any]) -> dict[str, Any]:
    """Grafana's model of a dashboard.

    Args:
        description: `title` and `rows`, each with a `title` and `panels` (title, unit, expr; `by`: labels of the legend).
    """
    panels: list[dict[str, Any]] = []
    y = 0
    for row in description["rows"]:
        panels.append({"type": "row", "title": row["title"], "gridPos": _place(0, y, _COLUMNS, 1)})
        y += 1
        for number, panel in enumerate(row["panels"]):
            x = number * _PANEL_WIDTH % _COLUMNS
            at = _place(x, y + number * _PANEL_WIDTH // _COLUMNS * _PANEL_HEIGHT, _PANEL_WIDTH, _PANEL_HEIGHT)
            panels.append({"type": "timeseries", "gridPos": at, **_panel(panel)})
        y += -(-len(row["panels"]) * _PANEL_WIDTH // _COLUMNS) * _PANEL_HEIGHT
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {
        "title": description["title"],
        "uid": "medq-engine",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": panels,
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Mapping[str, str]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    legend = " ".join(f"{{{{{label}}}}}" for label in panel.get("by", "").split()) or panel["title"]
    return {
        "title": panel["title"],
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": source, "expr": panel["expr"], "legendFormat": legend}],
    }


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    description = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    text = json.dumps(dashboard(description), indent=1, sort_keys=True) + "\n"
    if not is_check:
        DASHBOARD.write_text(text, encoding="utf-8")
    elif not DASHBOARD.is_file() or DASHBOARD.read_text(encoding="utf-8") != text:
        sys.stderr.write("The dashboard is not current: run `python -m infra.dashboard`.\n")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
