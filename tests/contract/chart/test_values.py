"""Values: what is wrong is refused before anything is installed, with the key and what to do."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.support import chart


@pytest.mark.parametrize("overlay", chart.OVERLAYS)
def test_helm_lint_is_strict_and_content(overlay: str) -> None:
    result = chart.run_helm("lint", "--strict", str(chart.CHART), *chart.values_of(overlay))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("embeding.replicas=2", "embeding"),
        ("embedding.replica=2", "replica"),
        ("embedding.replicas=many", "/embedding/replicas"),
        ("embedding.settings.batchsize=3", "batchsize"),
        ("embedding.settings.batch_size=0", "/embedding/settings/batch_size"),
        ("embedding.settings.database_url=postgresql://u:p@h/d", "database_url"),  # a secret, inline
        ("training.settings.s3.secret_key=abc", "secret_key"),
        ("training.settings.kubernetes.gpu=1", "gpu"),
        ("evaluation.settings.vllm.api_key=abc", "api_key"),
        ("externalS3.secretKey=abc", "secretKey"),
        ("externalKafka.securityProtocol=TLS", "/externalKafka/securityProtocol"),
        ("externalKafka.network.cidrs={everywhere}", "/externalKafka/network/cidrs"),
        ("controller.replicas=2", "replicas"),
        ("oracle.image.digest=latest", "/oracle/image/digest"),
        ("data.hostPath=relative", "/data/hostPath"),
        ("oracle.secretSettings.Key.name=a", "secretSettings"),
        ("ingress.services={console}", "/ingress/services"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(value: str, complaint: str) -> None:
    result = chart.template("--set", value)
    assert result.returncode != 0
    assert complaint in result.stderr
    assert "schema" in result.stderr


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (["kafka.enabled=false"], "set externalKafka.bootstrap"),
        (
            ["externalKafka.bootstrap=kafka:9092", "externalKafka.username=a", "externalKafka.existingSecret=b"],
            "choose one",
        ),
        (["s3.enabled=false"], "set externalS3.endpoint"),
        (["externalS3.endpoint=http://s3:9000"], "choose one"),
        (["qdrant.enabled=true", "externalQdrant.url=http://qdrant:6334"], "choose one"),
        (["retrieval.replicas=2"], "Leave 1, or set externalQdrant.url"),
        (["data.hostPath=/a", "data.existingClaim=b"], "choose one"),
        (["tls.mutual=true"], "needs tls.existingSecret"),
        (["ingress.enabled=true", "auth.tokensSecret=a", "tls.existingSecret=b"], "needs ingress.domain"),
        (
            ["kafka.enabled=false", "externalKafka.bootstrap=k:9092", "externalKafka.securityProtocol=SASL_SSL"],
            "needs externalKafka.username and externalKafka.existingSecret",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_a_remedy(values: list[str], remedy: str) -> None:
    result = chart.template(*chart.values_of(chart.SITE), *chart.sets(*values))
    assert result.returncode != 0
    assert remedy in result.stderr


def test_every_value_has_a_description_and_a_default() -> None:
    schema = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8"))

    def walk(node: dict[str, object], defaults: object, path: str) -> None:
        reference = node.get("$ref")
        if isinstance(reference, str):
            node = schema["definitions"][reference.rsplit("/", 1)[1]]
        assert node.get("description") or not path, path
        properties = node.get("properties")
        if isinstance(properties, dict) and not path.endswith(("settings", "resources")):
            assert isinstance(defaults, dict), path
            assert set(properties) == set(defaults), path
            for name, inner in properties.items():
                walk(inner, defaults[name], f"{path}.{name}")

    walk(schema, values, "")


@pytest.mark.parametrize("release", ["medq", "a-very-long-name-of-a-release-that-someone-chose"])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    result = chart.run_helm("template", release, str(chart.CHART), "--namespace", "a", *chart.values_of(chart.SITE))
    assert result.returncode == 0, result.stderr
    for document in filter(None, yaml.safe_load_all(result.stdout)):
        assert len(document["metadata"]["name"]) <= 63
