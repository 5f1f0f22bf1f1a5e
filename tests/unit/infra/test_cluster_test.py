from __future__ import annotations

import re

import pytest

from infra.cluster_test.__main__ import STEP_OF, Steps, _compared
from infra.cluster_test.machine import IMAGES, ROOT, CommandFailed, Machine
from shared.settings import SERVICES


def _report(accuracy: float, seconds: float) -> dict[str, object]:
    entry = {"test": {"perception": {"overall": {"value": accuracy}}}}
    return {"arms": {"failure_driven": {"rounds": [entry]}}, "measured": {"seconds": seconds}}


def test_reports_that_differ_only_in_what_was_measured_are_equal():
    assert _compared(_report(0.5, 1.0), _report(0.5, 2.0)) == "test accuracy by round: failure_driven 0.500"


def test_another_figure_is_named_by_its_path():
    with pytest.raises(CommandFailed, match=r"failure_driven.rounds\[0\].test.perception.overall.value: 0.5 and 0.25"):
        _compared(_report(0.5, 1.0), _report(0.25, 1.0))


def test_every_service_is_deleted_at_some_step():
    assert sorted(STEP_OF.values()) == sorted(SERVICES)


def test_every_image_of_the_product_is_in_the_node():
    dockerfile = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    assert sorted(IMAGES) == sorted(re.findall(r"^FROM \S+ AS on-(\S+)$", dockerfile, re.MULTILINE))


def test_a_step_that_fails_is_in_the_table(capsys: pytest.CaptureFixture[str]):
    steps = Steps()
    with pytest.raises(CommandFailed), steps.step("install"):
        raise CommandFailed("no")
    steps.show()
    assert [row[:2] for row in steps.rows] == [("install", "failed")]
    assert "failed" in capsys.readouterr().out


def test_a_command_that_fails_tells_its_last_words(tmp_path):
    with pytest.raises(CommandFailed, match="no such bucket"):
        Machine(tmp_path).call("sh", "-c", "echo no such bucket >&2; exit 3")
