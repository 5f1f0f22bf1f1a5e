"""Files that `medq run` and `medq report` cannot read end with a typed error."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.run import read_config, show_report
from shared.errors import DataLoss, InvalidArgument


def test_a_configuration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_bytes(b"name: \xff\n")
    with pytest.raises(InvalidArgument) as refused:
        read_config(config)
    assert refused.value.field == "config"


@pytest.mark.parametrize("text", ["{", "", "[]", "{}"])
def test_a_damaged_report_is_data_loss(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataLoss):
        show_report(tmp_path, is_json=False)
