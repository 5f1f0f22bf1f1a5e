"""The environment that a process is started with, and what it reads from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.training.settings import KubernetesSection, TrainingSettings
from shared.settings import S3Section, environment_of


def test_a_process_reads_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "state_folder": Path("/state"),
        "metrics_port": 9000,
        "is_reflection_on": False,
        "targets": {"retrieval": "127.0.0.1:1"},
        "s3": S3Section(endpoint="http://s3:9000", secret_key=SecretStr("key"), ca_file=Path("/ca.crt")),
        "kubernetes": KubernetesSection(labels={"a": "b"}, tolerations=[{"key": "gpu"}], gpus=2),
        "database_url": SecretStr("postgresql://medq@db/medq"),
    }
    for name, value in environment_of(TrainingSettings, **values).items():
        monkeypatch.setenv(name, value)
    assert TrainingSettings() == TrainingSettings(**values)


def test_only_what_was_set_is_written() -> None:
    assert environment_of(TrainingSettings, owner="a", s3=S3Section(prefix="", ca_file=None)) == {
        "MEDQ_TRAINING_OWNER": "a",
        "MEDQ_TRAINING_S3__PREFIX": "",
    }


def test_a_field_that_the_service_does_not_read_is_refused() -> None:
    with pytest.raises(TypeError, match="TrainingSettings has no field 'hash_key'"):
        environment_of(TrainingSettings, hash_key="a")
