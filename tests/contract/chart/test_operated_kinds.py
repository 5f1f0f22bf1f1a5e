"""Kinds of operators (Strimzi, KEDA, Prometheus), whose CRDs no test server has: looked at as they are rendered."""

from __future__ import annotations

import json

import yaml

from shared.settings import SERVICES
from tests.support import chart


def test_keda_scales_embedding_by_the_lag_of_its_group() -> None:
    documents = chart.overlay("values-hospital.yaml")
    scaled = chart.find(documents, "ScaledObject", "medq-embedding")["spec"]
    assert scaled["scaleTargetRef"] == {"name": "medq-embedding"}
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "kafka"
    metadata = trigger["metadata"]
    assert (metadata["consumerGroup"], metadata["topic"]) == ("embedding", "medq.embedding.image-ingested.v1")
    assert (metadata["sasl"], metadata["tls"]) == ("scram_sha512", "enable")
    assert all(isinstance(value, str) for value in metadata.values())  # KEDA takes nothing else
    assert (
        metadata["bootstrapServers"]
        == chart.environment(documents, "embedding")["MEDQ_EMBEDDING_KAFKA__BOOTSTRAP"]["value"]
    )
    login = chart.find(documents, "TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]
    variables = chart.environment(documents, "embedding")
    assert {parameter["parameter"] for parameter in login["env"]} == {"username", "password"}
    assert all(parameter["name"] in variables for parameter in login["env"])
    assert [parameter["parameter"] for parameter in login["secretTargetRef"]] == ["ca"]
    assert not chart.of_kind(documents, "HorizontalPodAutoscaler")


def test_keda_asks_a_plain_kafka_without_credentials_by_the_prefixed_names() -> None:
    documents = chart.overlay(
        *(
            "values-lab.yaml",
            "--set",
            "embedding.autoscaling.enabled=true",
            "--set",
            "embedding.autoscaling.keda.enabled=true",
        ),
        *("--set", "externalKafka.topicPrefix=site-a."),
    )
    (trigger,) = chart.find(documents, "ScaledObject", "medq-embedding")["spec"]["triggers"]
    assert "authenticationRef" not in trigger
    assert trigger["metadata"]["consumerGroup"] == "site-a.embedding"
    assert trigger["metadata"]["topic"] == "site-a.medq.embedding.image-ingested.v1"
    assert not chart.of_kind(documents, "TriggerAuthentication")


def test_strimzi_makes_the_topics_and_the_user_that_services_need() -> None:
    documents = chart.overlay("values-hospital.yaml")
    cluster = chart.find(documents, "Kafka", "medq-kafka")
    for document in chart.of_kind(documents, "KafkaNodePool", "KafkaUser", "KafkaTopic"):
        assert document["metadata"]["labels"]["strimzi.io/cluster"] == cluster["metadata"]["name"]
    topics = {document["metadata"]["name"] for document in chart.of_kind(documents, "KafkaTopic")}
    page = (chart.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(f"`{topic.removesuffix('.dlq')}`" in page for topic in topics)
    (user,) = chart.of_kind(documents, "KafkaUser")
    variables = chart.environment(documents, "retrieval")
    assert variables["MEDQ_RETRIEVAL_KAFKA__USERNAME"]["value"] == user["metadata"]["name"]
    password = variables["MEDQ_RETRIEVAL_KAFKA__PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert password == {"name": user["metadata"]["name"], "key": "password"}  # the operator's Secret
    (pool,) = chart.of_kind(documents, "KafkaNodePool")
    assert set(pool["spec"]["roles"]) == {"controller", "broker"}
    assert cluster["spec"]["kafka"]["listeners"][0]["authentication"]["type"] == user["spec"]["authentication"]["type"]


def test_one_broker_asks_for_no_second_replica() -> None:
    documents = chart.overlay(chart.SITE, "--set", "kafka.replicas=1")
    config = chart.find(documents, "Kafka", "medq-kafka")["spec"]["kafka"]["config"]
    assert config["min.insync.replicas"] == config["default.replication.factor"] == 1


def test_prometheus_scrapes_the_six_services_by_the_port_of_their_metrics() -> None:
    documents = chart.overlay("values-hospital.yaml", "--set", "serviceMonitor.labels.release=prometheus")
    monitor = chart.find(documents, "ServiceMonitor", "medq")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    selector = monitor["spec"]["selector"]
    selected = [
        document
        for document in chart.of_kind(documents, "Service")
        if selector["matchLabels"].items() <= document["metadata"]["labels"].items()
        and document["metadata"]["labels"]["app.kubernetes.io/component"] in selector["matchExpressions"][0]["values"]
    ]
    assert len(selected) == len(SERVICES)
    for service in selected:
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_alerts_and_dashboards_are_installed_as_their_files_say() -> None:
    documents = chart.overlay("values-hospital.yaml")
    files = chart.CHART / "files"
    alerts = yaml.safe_load((files / "alerts.yaml").read_text(encoding="utf-8"))
    assert chart.find(documents, "PrometheusRule", "medq")["spec"] == alerts
    boards = chart.find(documents, "ConfigMap", "medq-dashboards")["data"]
    paths = list(files.glob("dashboards/*.json"))
    assert paths
    assert {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths} == {
        name: json.loads(text) for name, text in boards.items()
    }
