"""What a configuration plans, as the estimate of its costs takes it: the sizes of its sets are counted, prices looked up."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from services.controller.configuration.choices import SIMULATED
from services.controller.configuration.models import RunConfiguration
from services.controller.domain.estimate import SIMULATED_ORACLE, Endpoint, Plan
from shared.chat import endpoints as site
from shared.errors import InvalidArgument
from shared.folders import walk
from shared.tables import read_rows

#: A larger table takes long to read.
_MOST_BYTES = 64 * 1024 * 1024


def plans_of(configuration: RunConfiguration, endpoints: Mapping[str, site.Endpoint]) -> list[Plan]:
    """What the arms of a configuration plan, those that plan alike as one.

    Args:
        configuration: With absolute paths, checked before, its endpoints too.
        endpoints: Those of the site, by name.
    """
    arms = [own for _, own in configuration.each_arm()]
    needed = max(own.select.budget for own in arms) * configuration.rounds
    n_pool, n_asked = _n_images(Path(configuration.data.pool), needed), _n_asked(configuration)
    alike = Counter(_plan_of_one(own, endpoints, n_pool, *n_asked) for own in arms)
    return [replace(plan, n_arms=n_arms) for plan, n_arms in alike.items()]


def _plan_of_one(
    configuration: RunConfiguration,
    endpoints: Mapping[str, site.Endpoint],
    n_pool: int | None,
    n_descriptions: int | None,
    n_replies: int | None,
) -> Plan:
    """What an arm plans, by its own configuration."""
    annotate, evaluate = configuration.annotate, configuration.evaluate
    oracle, judge = annotate.oracle, evaluate.judge
    return Plan(
        n_arms=1,
        rounds=configuration.rounds,
        budget=configuration.select.budget,
        n_pool=n_pool,
        questions_per_image=annotate.questions_per_image,
        oracle=SIMULATED_ORACLE if oracle == SIMULATED else _endpoint(oracle, endpoints),
        expert=annotate.expert,
        audit_share=annotate.audit_share,
        overlap_share=annotate.review.overlap_share,
        judge=_endpoint(judge, endpoints) if judge else None,
        n_descriptions=n_descriptions,
        reader=_endpoint(judge, endpoints) if evaluate.extractor == "judge" else None,
        n_replies=n_replies,
        reply_tokens=evaluate.max_new_tokens,
    )


def _endpoint(name: str, endpoints: Mapping[str, site.Endpoint]) -> Endpoint:
    found = endpoints[name]
    return Endpoint(name, found.usd_per_million.into, found.usd_per_million.out, found.image_tokens)


def _n_images(pool: Path, most: int) -> int | None:
    """Files of a folder or rows of a table, counted up to what is needed; None where that is not quick."""
    try:
        if pool.is_dir():
            files = (found for found in walk(Path(os.path.realpath(pool))) if not found.reason)
            return sum(1 for _ in islice(files, most))
        rows = _rows(pool)
        return None if rows is None else len(rows)
    except (InvalidArgument, OSError):  # the ingest says what is wrong with it
        return None


def _n_asked(configuration: RunConfiguration) -> tuple[int | None, int | None]:
    """Descriptions, and questions with options, that one evaluation asks for: of dev in each run, of each test once."""
    descriptions = questions = 0
    data = configuration.data
    tests = [(table, 1) for table in (data.test, *data.further_tests.values())]
    for table, runs in ((data.dev, configuration.evaluate.runs), *tests):
        try:
            rows = _rows(Path(table))
        except (InvalidArgument, OSError):
            rows = None
        if rows is None:
            return None, None
        n_described = sum(not (row.get("A") and row.get("B")) for row in rows)
        descriptions += runs * n_described
        questions += runs * (len(rows) - n_described)
    return descriptions, questions


def _rows(table: Path) -> list[Mapping[str, str]] | None:
    if table.suffix.lower() not in (".tsv", ".csv") or table.stat().st_size > _MOST_BYTES:
        return None
    return [row.cells for row in read_rows(table, "table", "data")]
