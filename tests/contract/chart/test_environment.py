"""What the chart puts into the services' environment is what their settings classes read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.registry import REGISTRY
from shared.settings import SERVICES, Section
from tests.support import chart

#: Values for what comes from Secrets and from the pod itself.
_SECRETS = {"DATABASE_URL": "postgresql://medq@db/medq", "HASH_KEY": "a-key-of-sixteen-or-more"}
_FULL = (
    *("--set", "auth.serviceTokenSecret=medq-token", "--set", "telemetry.otlpEndpoint=otel:4317"),
    *("--set", "telemetry.network.cidrs={10.20.3.1/32}"),
    *("--set", "endpoints.existingSecret=site-endpoints", "--set", "endpoints.network.cidrs={10.20.4.1/32}"),
    *("--set", "auth.oidc.caSecret=hospital-ca", "--set", "evaluation.settings.vllm.deployment=vllm"),
    *("--set", "evaluation.settings.vllm.base_url=http://vllm:8000/v1", "--set", "embedding.settings.batch_size=1000"),
    *(
        "--set",
        "evaluation.secretSettings.vllm\\.api_key.name=vllm",
        "--set",
        "evaluation.secretSettings.vllm\\.api_key.key=key",
    ),
)
VARIANTS = [(name, ()) for name in chart.OVERLAYS] + [("values-hospital.yaml", _FULL)]


def value_of(variable: dict[str, Any]) -> str:
    """What the variable will hold in the pod."""
    if "value" in variable:
        return str(variable["value"])
    if "fieldRef" in variable["valueFrom"]:
        return "medq-oracle-0"
    return next((text for end, text in _SECRETS.items() if variable["name"].endswith(end)), "secret")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("overlay", "arguments"), VARIANTS)
def test_settings_are_made_from_the_rendered_environment(
    service: str, overlay: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = chart.environment(chart.overlay(overlay, *arguments), service)
    for name, variable in variables.items():
        monkeypatch.setenv(name, value_of(variable))
    settings = REGISTRY[service].settings()
    assert settings.state_folder == Path("/state")
    assert settings.listen.endswith(":50051")
    assert settings.health_listen.endswith(":50052")
    assert settings.metrics_port == 9464
    assert set(settings.targets) == set(SERVICES)
    assert settings.s3.endpoint
    assert settings.database_url.get_secret_value() == _SECRETS["DATABASE_URL"]
    assert bool(settings.kafka.bootstrap) == (service != "evaluation")  # which neither publishes nor listens


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("overlay", "arguments"), VARIANTS)
def test_every_variable_is_a_field(service: str, overlay: str, arguments: tuple[str, ...]) -> None:
    # pydantic-settings passes over an unknown name in silence.
    variables = chart.environment(chart.overlay(overlay, *arguments), service)
    prefix = f"MEDQ_{service.upper()}_"
    for name in variables.keys() - {"HOME"}:
        assert name.startswith(prefix), name
        field, _, inner = name.removeprefix(prefix).lower().partition("__")
        model = REGISTRY[service].settings.model_fields[field]
        if inner:
            assert isinstance(model.annotation, type)
            assert issubclass(model.annotation, Section)
            assert inner in model.annotation.model_fields, name


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_no_variable_is_set_twice(overlay: str) -> None:
    for name, pod in chart.pods(chart.overlay(overlay)):
        for container in pod["spec"]["containers"]:
            names = [variable["name"] for variable in container.get("env", ())]
            assert len(names) == len(set(names)), name


def test_values_of_other_types_arrive_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = chart.overlay("values-hospital.yaml", "--set", "training.settings.kubernetes.nodes=1000")
    for name, variable in chart.environment(documents, "training").items():
        monkeypatch.setenv(name, value_of(variable))
    settings = REGISTRY["training"].settings()
    kubernetes = getattr(settings, "kubernetes")  # noqa: B009
    assert kubernetes.nodes == 1000
    assert kubernetes.node_selector == {"nvidia.com/gpu.present": "true"}
    assert kubernetes.tolerations[0]["key"] == "nvidia.com/gpu"
    assert kubernetes.image_pull_secrets == ["medq-registry"]
    assert kubernetes.namespace == chart.NAMESPACE
    assert kubernetes.image.startswith("registry.hospital.example/medq-training:")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_told_paths_reads_none_outside_of_the_data(service: str) -> None:
    documents = chart.overlay("values-lab.yaml", "--set", "data.mountPath=/images")
    roots = chart.environment(documents, service).get(f"MEDQ_{service.upper()}_INPUT_ROOTS")
    has_paths = "input_roots" in REGISTRY[service].settings.model_fields
    assert roots == ({"name": f"MEDQ_{service.upper()}_INPUT_ROOTS", "value": '["/images"]'} if has_paths else None)


def test_a_million_is_not_written_with_an_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = chart.overlay("values-lab.yaml", "--set", "training.settings.checkpoint_every=1000000")
    variables = chart.environment(documents, "training")
    assert variables["MEDQ_TRAINING_CHECKPOINT_EVERY"]["value"] == "1000000"


def test_a_training_job_gets_the_object_store_of_the_service() -> None:
    documents = chart.overlay("values-lab.yaml")
    variables = chart.environment(documents, "training")
    data = chart.find(documents, "ConfigMap", "medq-training-job")["data"]
    for name in ("ENDPOINT", "BUCKET", "PREFIX", "REGION"):
        assert data[f"MEDQ_TRAINING_S3__{name}"] == variables[f"MEDQ_TRAINING_S3__{name}"]["value"]
    secrets = json.loads(variables["MEDQ_TRAINING_KUBERNETES__ENV_FROM_SECRET_KEYS"]["value"])
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        reference = variables[f"MEDQ_TRAINING_S3__{name}"]["valueFrom"]["secretKeyRef"]
        assert secrets[f"MEDQ_TRAINING_S3__{name}"] == f"{reference['name']}/{reference['key']}"
    maps = json.loads(variables["MEDQ_TRAINING_KUBERNETES__ENV_FROM_CONFIG_MAPS"]["value"])
    assert maps == ["medq-training-job"]


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_no_secret_is_written_into_a_manifest(overlay: str) -> None:
    documents = chart.overlay(overlay)
    assert not chart.of_kind(documents, "Secret")
    is_secret = re.compile(r"PASSWORD|SECRET_KEY$|ACCESS_KEY$|API_KEY|HASH_KEY|DATABASE_URL|TOKEN$")
    for name, pod in chart.pods(documents):
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", ()):
                if is_secret.search(variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"], f"{name}: {variable['name']}"


def test_the_generated_parts_of_the_chart_are_current() -> None:
    root = chart.ROOT
    result = subprocess.run(
        [sys.executable, "-m", "infra.chart", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
