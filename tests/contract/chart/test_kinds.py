"""What is installed when a value asks for it; kinds of operators, whose CRDs no test server has, are looked at here alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml

from shared.settings import SERVICES
from tests.support import chart

HEALTH = {"port": 50052}


def kinds(documents: tuple[chart.Manifest, ...]) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(document["kind"] for document in documents)


def test_the_lab_has_the_kinds_that_every_cluster_knows() -> None:
    found = kinds(chart.overlay("values-lab.yaml"))
    assert set(found) == {
        *(
            "ServiceAccount",
            "Service",
            "Deployment",
            "StatefulSet",
            "PodDisruptionBudget",
            "PersistentVolumeClaim",
        ),
        *("NetworkPolicy", "Role", "RoleBinding", "ConfigMap", "Job", "Pod"),
    }
    assert (
        found["Deployment"] + found["StatefulSet"]
        == found["Service"]
        == found["PodDisruptionBudget"]
        == len(SERVICES)
    )


def test_the_hospital_has_what_its_operators_make_of_it() -> None:
    documents = chart.overlay("values-hospital.yaml")
    found = kinds(documents)
    operated = {
        "Kafka": 1,
        "KafkaNodePool": 1,
        "KafkaUser": 1,
        "KafkaTopic": 8,
        "ServiceMonitor": 1,
        "PrometheusRule": 1,
    }
    assert {kind: found[kind] for kind in operated} == operated
    assert found["ScaledObject"] == found["TriggerAuthentication"] == 1
    assert found["Ingress"] == len(SERVICES)
    assert {"medq-qdrant", "medq-controller", "medq-retrieval", "medq-oracle", "medq-training"} == {
        document["metadata"]["name"] for document in chart.of_kind(documents, "StatefulSet")
    }


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_no_two_manifests_are_the_same_thing(overlay: str) -> None:
    names = Counter((document["kind"], document["metadata"]["name"]) for document in chart.overlay(overlay))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_on_its_health_port_by_grpc(service: str) -> None:
    (container,) = dict(chart.pods(chart.overlay("values-hospital.yaml")))[f"medq-{service}"]["spec"][
        "containers"
    ]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"] == HEALTH


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_more_time_to_end_than_it_drains(service: str) -> None:
    from infra.chart import SETTINGS

    grace = dict(chart.pods(chart.overlay("values.yaml")))[f"medq-{service}"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    assert grace > SETTINGS[service].model_fields["drain_seconds"].default


def test_the_controller_is_a_stateful_set_of_one() -> None:
    controller = chart.find(chart.overlay("values-hospital.yaml"), "StatefulSet", "medq-controller")
    assert controller["spec"]["replicas"] == 1


def test_the_index_in_the_process_is_one_pod_on_a_claim_that_stays() -> None:
    documents = chart.overlay("values-lab.yaml")
    retrieval = chart.find(documents, "StatefulSet", "medq-retrieval")["spec"]
    assert retrieval["replicas"] == 1
    (state,) = (volume for volume in retrieval["template"]["spec"]["volumes"] if volume["name"] == "state")
    assert state["persistentVolumeClaim"] == {"claimName": "medq-retrieval"}
    claim = chart.find(documents, "PersistentVolumeClaim", "medq-retrieval")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_with_a_qdrant_server_retrieval_keeps_nothing_and_may_have_replicas() -> None:
    documents = chart.overlay(
        "values-lab.yaml", "--set", "externalQdrant.url=http://qdrant:6334", "--set", "retrieval.replicas=3"
    )
    retrieval = chart.find(documents, "StatefulSet", "medq-retrieval")["spec"]
    assert retrieval["replicas"] == 3
    assert not chart.of_kind(documents, "PersistentVolumeClaim")
    assert (
        chart.environment(documents, "retrieval")["MEDQ_RETRIEVAL_INDEX__URL"]["value"]
        == "http://qdrant:6334"
    )


def test_on_a_disk_of_the_node_each_claim_has_its_volume() -> None:
    documents = chart.overlay(
        "values-lab.yaml", "--set", "storage.hostPath=/var/lib/medq", "--set", "data.hostPath=/srv/images"
    )
    volumes = {
        document["metadata"]["name"]: document["spec"]
        for document in chart.of_kind(documents, "PersistentVolume")
    }
    paths = {name: volume["local"]["path"] for name, volume in volumes.items()}
    assert paths == {
        "medq-rendered-medq-data": "/srv/images",
        "medq-rendered-medq-retrieval": "/var/lib/medq/retrieval",
    }
    for claim in chart.of_kind(documents, "PersistentVolumeClaim"):
        volume = volumes[claim["spec"]["volumeName"]]
        assert volume["claimRef"]["name"] == claim["metadata"]["name"]
        assert volume["accessModes"] == claim["spec"]["accessModes"]
        assert volume["persistentVolumeReclaimPolicy"] == "Retain"


def test_the_migration_comes_before_everything_and_runs_on_the_database_alone() -> None:
    job = chart.find(chart.overlay("values-lab.yaml"), "Job", "medq-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "services.migrate"]
    assert {variable["name"] for variable in container["env"]} == {"HOME", "MEDQ_MIGRATE_DATABASE_URL"}
    # Nothing that the release itself makes later: it would wait for ever.
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]


def test_workers_scale_by_cpu_and_then_have_no_fixed_number() -> None:
    documents = chart.overlay(
        "values-lab.yaml",
        "--set",
        "embedding.autoscaling.enabled=true",
        "--set",
        "evaluation.autoscaling.enabled=true",
    )
    for name in ("medq-embedding", "medq-evaluation"):
        scaler = chart.find(documents, "HorizontalPodAutoscaler", name)["spec"]
        assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert "replicas" not in chart.find(documents, "Deployment", name)["spec"]
        # Its share of the request is what utilisation means.
        (container,) = chart.find(documents, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"]
    shards = chart.environment(documents, "controller")["MEDQ_CONTROLLER_EVALUATION_REPLICAS"]["value"]
    assert shards == "4"


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
    assert (
        cluster["spec"]["kafka"]["listeners"][0]["authentication"]["type"]
        == user["spec"]["authentication"]["type"]
    )


def test_one_broker_asks_for_no_second_replica() -> None:
    documents = chart.manifests("--set", "kafka.replicas=1")
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
        and document["metadata"]["labels"]["app.kubernetes.io/component"]
        in selector["matchExpressions"][0]["values"]
    ]
    assert len(selected) == len(SERVICES)
    for service in selected:
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_alerts_and_dashboards_are_those_of_the_repository() -> None:
    documents = chart.overlay("values-hospital.yaml")
    telemetry = chart.ROOT / "infra" / "telemetry"
    alerts = yaml.safe_load((telemetry / "alerts.yaml").read_text(encoding="utf-8"))
    assert chart.find(documents, "PrometheusRule", "medq")["spec"] == alerts
    boards = chart.find(documents, "ConfigMap", "medq-dashboards")["data"]
    paths = list(telemetry.glob("dashboards/*.json"))
    assert paths
    assert {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths} == {
        name: json.loads(text) for name, text in boards.items()
    }


def test_an_ingress_leads_to_the_grpc_port_by_host_name() -> None:
    documents = chart.overlay("values-hospital.yaml")
    ingress = chart.find(documents, "Ingress", "medq-controller")["spec"]
    (rule,) = ingress["rules"]
    assert rule["host"] == "controller.medq.hospital.example"
    assert rule["http"]["paths"][0]["backend"]["service"] == {
        "name": "medq-controller",
        "port": {"name": "grpc"},
    }
    assert ingress["tls"] == [{"hosts": [rule["host"]], "secretName": "medq-ingress-tls"}]


def test_tls_and_tokens_are_files_where_the_settings_say() -> None:
    documents = chart.overlay("values-hospital.yaml", "--set", "auth.serviceTokenSecret=medq-token")
    for service in SERVICES:
        spec = dict(chart.pods(documents))[f"medq-{service}"]["spec"]
        mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        files = {
            f"{mounts[volume['name']]}/{item['path']}"
            for volume in spec["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
            for item in source["secret"]["items"]
        }
        variables = chart.environment(documents, service)
        named = {variable["value"] for name, variable in variables.items() if name.endswith("_FILE")}
        assert named <= files
        assert {"/etc/medq/tls/tls.key", "/etc/medq/auth/token", "/etc/medq/auth/tokens.yaml"} <= named
        assert variables[f"MEDQ_{service.upper()}_TLS__IS_CLIENT_CERTIFICATE_REQUIRED"]["value"] == "true"


def test_the_test_asks_every_service_and_runs_a_command_that_is_given() -> None:
    documents = chart.overlay(
        "values-lab.yaml", "--set", "test.command={medq,--help}", "--set", "data.hostPath=/srv/images"
    )
    health = chart.find(documents, "Pod", "medq-test-health")["spec"]["containers"][0]
    asked = [target for target in health["command"] if target.endswith(":50052")]
    assert asked == [f"medq-{service}.{chart.NAMESPACE}.svc:50052" for service in SERVICES]
    compile(health["command"][2], "health.py", "exec")
    study = chart.find(documents, "Pod", "medq-test-study")["spec"]["containers"][0]
    assert study["command"] == ["medq", "--help"]
    assert study["image"].endswith("/medq-client:0.1.0")
    assert not chart.of_kind(chart.overlay("values-lab.yaml", "--set", "test.command=null"), "Secret")
    assert [pod["metadata"]["name"] for pod in chart.of_kind(chart.overlay("values-lab.yaml"), "Pod")] == [
        "medq-test-health"
    ]


def test_gpus_are_a_limit_of_the_container() -> None:
    documents = chart.overlay("values-hospital.yaml")
    spec = dict(chart.pods(documents))["medq-evaluation"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
