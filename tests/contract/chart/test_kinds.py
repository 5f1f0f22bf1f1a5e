"""What is installed when a value asks for it."""

from __future__ import annotations

from collections import Counter

import pytest

from services.registry import REGISTRY
from shared.settings import SERVICES
from tests.support import chart

HEALTH = {"port": 50052}


def kinds(documents: tuple[chart.Manifest, ...]) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(document["kind"] for document in documents)


def test_the_lab_has_the_kinds_that_every_cluster_knows() -> None:
    found = kinds(chart.overlay("values-lab.yaml"))
    assert set(found) == {
        *("ServiceAccount", "Service", "Deployment", "StatefulSet", "PodDisruptionBudget", "PersistentVolumeClaim"),
        *("NetworkPolicy", "Role", "RoleBinding", "ConfigMap", "Job", "Pod"),
    }
    assert (
        found["Deployment"] + found["StatefulSet"] == found["Service"] == found["PodDisruptionBudget"] == len(SERVICES)
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
    (container,) = dict(chart.pods(chart.overlay("values-hospital.yaml")))[f"medq-{service}"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"] == HEALTH


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_more_time_to_end_than_it_drains(service: str) -> None:
    grace = dict(chart.pods(chart.overlay(chart.SITE)))[f"medq-{service}"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > REGISTRY[service].settings.model_fields["drain_seconds"].default


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
        *("values-lab.yaml", "--set", "externalQdrant.url=https://qdrant:6334", "--set", "retrieval.replicas=3"),
        *("--set", "externalQdrant.network.cidrs={10.9.0.1/32}"),
    )
    retrieval = chart.find(documents, "StatefulSet", "medq-retrieval")["spec"]
    assert retrieval["replicas"] == 3
    assert not chart.of_kind(documents, "PersistentVolumeClaim")
    assert chart.environment(documents, "retrieval")["MEDQ_RETRIEVAL_INDEX__URL"]["value"] == "https://qdrant:6334"


def test_on_a_disk_of_the_node_each_claim_has_its_volume() -> None:
    documents = chart.overlay(
        "values-lab.yaml", "--set", "storage.hostPath=/var/lib/medq", "--set", "data.hostPath=/srv/images"
    )
    volumes = {
        document["metadata"]["name"]: document["spec"] for document in chart.of_kind(documents, "PersistentVolume")
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
        "values-lab.yaml", "--set", "embedding.autoscaling.enabled=true", "--set", "evaluation.autoscaling.enabled=true"
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


def test_an_ingress_leads_to_the_grpc_port_by_host_name() -> None:
    documents = chart.overlay("values-hospital.yaml")
    ingress = chart.find(documents, "Ingress", "medq-controller")["spec"]
    (rule,) = ingress["rules"]
    assert rule["host"] == "controller.medq.hospital.example"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "medq-controller", "port": {"name": "grpc"}}
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
