"""What a reviewer of security asks of each pod and account, in every overlay."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.make_bucket_user import BucketUserSettings
from shared.settings import SERVICES
from tests.support import chart

_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}  # of what "restricted" allows
_CALL = re.compile(r"_(batch|core|apps)\.(create|read|list|patch|replace|delete)_namespaced_(\w+)\(")
_GROUPS = {"batch": "batch", "core": "", "apps": "apps"}
_STUDY = ("--set", "test.command={python}")
VARIANTS = [
    *((name, ()) for name in chart.OVERLAYS),
    (
        "values-lab.yaml",
        (
            *("--set", "test.command={python}", "--set", "data.hostPath=/srv/medq", "--set", "qdrant.enabled=true"),
            *("--set", f"qdrant.image.digest={chart.DIGEST}"),
        ),
    ),
    ("values-hospital.yaml", ("--set", "test.command={python}", "--set", "security.runAsUser=null")),
]


@pytest.fixture(params=VARIANTS, ids=lambda variant: " ".join((variant[0], *variant[1])))
def documents(request: pytest.FixtureRequest) -> tuple[chart.Manifest, ...]:
    """The chart, rendered in several ways."""
    overlay, arguments = request.param
    return chart.overlay(overlay, *arguments)


def test_every_pod_is_restricted(documents: tuple[chart.Manifest, ...]) -> None:
    seen = 0
    for name, pod in chart.pods(documents):
        spec, context = pod["spec"], pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"]["type"] == "RuntimeDefault", name
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            assert not spec.get(field), name
        for volume in spec.get("volumes", ()):
            assert set(volume) - {"name"} <= _VOLUMES, f"{name}: {volume}"
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            _is_restricted(container)
            seen += 1
    assert seen >= len(SERVICES) + 2  # with the migration and the test


def _is_restricted(container: dict[str, Any]) -> None:
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert not context.get("privileged")
    assert all("hostPort" not in port for port in container.get("ports", ()))


def test_every_container_asks_for_memory_and_has_a_limit(documents: tuple[chart.Manifest, ...]) -> None:
    for name, pod in chart.pods(documents):
        for container in pod["spec"]["containers"]:
            assert container["resources"]["requests"]["memory"], name
            assert container["resources"]["limits"]["memory"], name


def test_only_what_talks_to_the_api_server_has_a_token(documents: tuple[chart.Manifest, ...]) -> None:
    with_token = {name for name, pod in chart.pods(documents) if pod["spec"]["automountServiceAccountToken"]}
    assert with_token == {"medq-training"}
    for account in chart.of_kind(documents, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_service_links_do_not_leak_into_the_environment(documents: tuple[chart.Manifest, ...]) -> None:
    # A Service named medq-training would set MEDQ_TRAINING_PORT and more.
    for name, pod in chart.pods(documents):
        assert pod["spec"]["enableServiceLinks"] is False, name


def rights(role: chart.Manifest) -> set[tuple[str, str, str]]:
    """(API group, resource, verb) that a role gives."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def calls(service: str) -> set[tuple[str, str, str]]:
    """The same of what the code of a service, and what it shares, asks of the API server."""
    found = set()
    for path in (chart.ROOT / "services" / service).rglob("*.py"):
        for client, verb, kind in _CALL.findall(path.read_text(encoding="utf-8")):
            resource = "pods/log" if kind == "pod_log" else f"{kind}s"
            found.add((_GROUPS[client], resource, "get" if verb == "read" else verb))
    return found


def test_the_launcher_may_do_what_its_code_does_in_its_namespace_and_nothing_else(
    documents: tuple[chart.Manifest, ...],
) -> None:
    assert not chart.of_kind(documents, "ClusterRole", "ClusterRoleBinding")
    (role,) = chart.of_kind(documents, "Role")
    assert rights(role) == calls("training")
    assert {resource for _, resource, _ in rights(role)} == {"jobs", "services", "pods", "pods/log"}


def test_without_kubernetes_jobs_nothing_has_a_token_or_a_role() -> None:
    documents = chart.overlay("values-lab.yaml", "--set", "training.kubernetesJobs=false")
    assert not chart.of_kind(documents, "Role", "RoleBinding")
    assert not any(pod["spec"]["automountServiceAccountToken"] for _, pod in chart.pods(documents))


def test_evaluation_may_patch_the_one_deployment_that_serves_its_model() -> None:
    documents = chart.overlay("values-lab.yaml", "--set", "evaluation.settings.vllm.deployment=model")
    role = chart.find(documents, "Role", "medq-evaluation")
    assert rights(role) == calls("evaluation")
    patched = [rule for rule in role["rules"] if "patch" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in patched] == [["model"]]
    assert dict(chart.pods(documents))["medq-evaluation"]["spec"]["automountServiceAccountToken"]


def test_input_data_is_mounted_read_only_but_in_the_test() -> None:
    documents = chart.overlay("values-hospital.yaml", "--set", "test.command={python}")
    readers = {}
    for name, pod in chart.pods(documents):
        for mount in pod["spec"]["containers"][0].get("volumeMounts", ()):
            if mount["name"] == "data":
                readers[name] = mount.get("readOnly", False)
    services = ("embedding", "evaluation", "training", "controller")  # those that read paths
    assert readers == {**{f"medq-{name}": True for name in services}, "medq-test-study": False}


def test_a_digest_goes_before_a_tag_and_the_air_gapped_registry_before_all() -> None:
    documents = chart.overlay("values-hospital.yaml", "--set", f"oracle.image.digest={chart.DIGEST}")
    images = {name: pod["spec"]["containers"][0]["image"] for name, pod in chart.pods(documents)}
    assert images["medq-oracle"] == f"registry.hospital.example/medq-oracle@{chart.DIGEST}"
    assert all(image.startswith("registry.hospital.example/") for image in images.values())


def secrets_of(pod: chart.Manifest) -> set[tuple[str, str]]:
    """(Secret, key) of each variable and file of a pod; a whole Secret has the key "*"."""
    containers = pod["spec"]["containers"]
    references = [
        variable["valueFrom"]["secretKeyRef"]
        for container in containers
        for variable in container.get("env", ())
        if "secretKeyRef" in variable.get("valueFrom", {})
    ]
    found = {(reference["name"], reference["key"]) for reference in references}
    found |= {(source["secretRef"]["name"], "*") for part in containers for source in part.get("envFrom", ())}
    for volume in pod["spec"].get("volumes", ()):
        sources = [source["secret"] for source in volume.get("projected", {}).get("sources", ())]
        sources += [{**volume["secret"], "name": volume["secret"]["secretName"]}] if "secret" in volume else []
        for source in sources:
            found |= {(source["name"], item["key"]) for item in source.get("items", [{"key": "*"}])}
    return found


def test_the_root_keys_of_the_object_store_are_for_it_and_for_who_makes_its_user() -> None:
    documents = chart.overlay(chart.SITE)
    root = {("medq-s3-root", "access-key"), ("medq-s3-root", "secret-key")}
    user = {("medq-s3", "access-key"), ("medq-s3", "secret-key")}
    held = {name: secrets_of(pod) for name, pod in chart.pods(documents)}
    assert {name for name, secrets in held.items() if secrets & root} == {"medq-s3", "medq-s3-user-1"}
    assert held["medq-s3"] == root
    assert held["medq-s3-user-1"] == root | user
    assert all(user <= held[f"medq-{name}"] for name in SERVICES)
    variables = chart.environment(documents, "training")  # what pods of training Jobs get
    assert "medq-s3-root" not in variables["MEDQ_TRAINING_KUBERNETES__ENV_FROM_SECRET_KEYS"]["value"]


def test_the_services_user_has_keys_of_its_own() -> None:
    result = chart.template(*chart.values_of(chart.SITE), "--set", "s3.existingSecret=medq-s3-root")
    assert result.returncode != 0
    assert "s3.existingSecret and s3.root.existingSecret are the same Secret" in result.stderr


def test_the_bucket_user_is_made_by_settings_that_the_program_knows() -> None:
    job = chart.find(chart.overlay(chart.SITE), "Job", "medq-s3-user-1")["spec"]["template"]["spec"]
    (container,) = job["containers"]
    assert container["command"] == ["python", "-m", "services.make_bucket_user"]
    names = {variable["name"] for variable in container["env"]} - {"HOME"}
    fields = BucketUserSettings.model_fields
    assert names <= {f"MEDQ_BUCKET_USER_{name.upper()}" for name in fields}
    assert names >= {f"MEDQ_BUCKET_USER_{name.upper()}" for name, field in fields.items() if field.is_required()}


def test_a_test_and_the_migration_hold_no_more_than_they_use() -> None:
    lab = {name: secrets_of(pod) for name, pod in chart.pods(chart.overlay("values-lab.yaml", *_STUDY))}
    assert lab["medq-migrate"] == {("medq-postgresql", "url")}
    assert lab["medq-test-health"] == lab["medq-test-study"] == set()
    tls = {("medq-tls", "ca.crt"), ("medq-tls", "tls.crt"), ("medq-tls", "tls.key")}
    hospital = {name: secrets_of(pod) for name, pod in chart.pods(chart.overlay("values-hospital.yaml", *_STUDY))}
    assert hospital["medq-test-study"] == tls  # it shows a certificate where callers must
    documents = chart.overlay("values-hospital.yaml", *_STUDY, "--set", "tls.mutual=false")
    assert secrets_of(dict(chart.pods(documents))["medq-test-study"]) == {("medq-tls", "ca.crt")}
