"""What `make cluster-test` installs: every Secret that its release names is made, and certificates are good for who has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from infra.cluster_test.identities import Identities
from shared.rpc.rights import Role
from shared.rpc.tokens import StaticCallers
from tests.support import chart

#: Of the stores, which the cluster test makes too.
OF_STORES = {"medq-postgresql", "medq-s3", "medq-embedding"}


@pytest.fixture
def identities(tmp_path: Path) -> Identities:
    return Identities(tmp_path, chart.NAMESPACE)


def named(manifest: Any) -> Iterator[tuple[str, str]]:
    """Each Secret that a manifest names, with the key."""
    if isinstance(manifest, dict):
        if "secretKeyRef" in manifest:
            yield manifest["secretKeyRef"]["name"], manifest["secretKeyRef"]["key"]
        secret = manifest.get("secret")
        if isinstance(secret, dict):
            name = secret.get("name") or secret["secretName"]
            yield from ((name, item["key"]) for item in secret["items"])
        if "secretName" in manifest and "hosts" in manifest:
            yield from ((manifest["secretName"], key) for key in ("tls.crt", "tls.key"))
        for value in manifest.values():
            yield from named(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from named(value)


def test_every_secret_that_the_release_names_is_made(identities: Identities, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(identities.values()), encoding="utf-8")
    documents = chart.overlay("values-lab.yaml", "--values", str(values), *chart.sets("test.command={python}"))
    made = {(name, key) for name, content in identities.secrets().items() for key in content}
    wanted = {pair for document in documents for pair in named(document) if pair[0] not in OF_STORES}
    assert wanted == made
    assert len(chart.of_kind(documents, "Ingress")) == 7


def test_the_list_of_callers_has_one_of_each_role(identities: Identities, tmp_path: Path) -> None:
    listed = tmp_path / "tokens.yaml"
    listed.write_text(identities.secrets()["medq-callers"]["tokens.yaml"], encoding="utf-8")
    callers = StaticCallers(listed)
    assert {role: callers.by_token(token).roles for role, token in identities.tokens.items()} == {
        role: {role} for role in Role
    }


@pytest.mark.parametrize(("secret", "host"), [("medq-tls", "*.medq-rendered.svc"), ("medq-ingress", "*.medq.test")])
def test_a_certificate_is_good_for_the_hosts_of_who_has_it(identities: Identities, secret: str, host: str) -> None:
    pem = identities.secrets()[secret]["tls.crt"].encode()
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]
