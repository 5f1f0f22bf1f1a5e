"""A run whose replies are read by a judge where no rule reads them, against what was estimated before its first call."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chat_server import ChatServer, chat_server, says
from tests.support.finished_run import read_report
from tests.support.medq_processes import Ended, run_medq, set_environment
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(300)

PRICES = {"in": 2.5, "out": 10.0}


def says_a(chat: ChatServer, handler: Any, body: dict[str, Any]) -> None:
    """The first option; states a token for every four bytes that it was sent."""
    sent = len(body["messages"][-1]["content"].encode())
    says("A", usage=(sent // 4, 1))(chat, handler, body)


def test_a_run_asks_no_more_of_the_judge_than_the_upper_bound(
    pool: ProcessPoolExecutor, study: Path, tmp_path: Path
) -> None:
    config = write_config(
        study / "judged.yaml",
        rounds=1,
        evaluate={"runs": 2, "max_new_tokens": 4, "extractor": "judge", "judge": "judge", "answer_form": "letter"},
    )
    with chat_server() as server:
        server.otherwise = says_a
        endpoint = {"base_url": server.base_url, "model": "judge-1", "usd_per_million": PRICES}
        site = tmp_path / "endpoints.yaml"
        site.write_text(yaml.safe_dump({"judge": {**endpoint, "prices_of": "2026-11-01", "may_receive": "text"}}))
        prepare = partial(set_environment, {"MEDQ_ENDPOINTS": str(site)})

        def medq(*arguments: object) -> Ended:
            return pool.submit(run_medq, *arguments, prepare=prepare).result()

        estimated = json.loads(medq("estimate", "--config", config, "--json").out)
        (bound,) = [one for one in estimated["totals"] if one["kind"] == "reading"]
        ended = medq("run", "--config", config, "--out", tmp_path / "out", "--yes")
        assert ended.code == 0, ended.err
        n_calls, n_tokens = len(server.stated), sum(map(sum, server.stated))
        assert 0 < n_calls <= bound["calls"]["high"]
        assert n_tokens <= bound["tokens"]["high"]
        usd = server.usd(PRICES["in"], PRICES["out"])
        assert usd <= bound["usd"]["high"]
        assert read_report(tmp_path / "out")["measured"]["ledger"]["judge"]["settled"]["usd"] == pytest.approx(usd)
    assert bound["calls"]["low"] == bound["usd"]["low"] == 0
    assert any("upper bound" in sentence for sentence in estimated["assumptions"])
