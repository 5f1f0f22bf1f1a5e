"""Who is who in the release: certificates of an authority of this test, callers by token, and an issuer for logins.

The chart lets nobody in from outside without them, so the whole release runs with TLS, and every call says who calls.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.cluster_test.machine import HOST
from shared.rpc.rights import Role
from shared.rpc.tokens import entry_text, new_token
from tests.support.certificates import Authority
from tests.support.issuer import AUDIENCE, CLIENT, Issuer, publishing

#: Services and pages are below it, for callers from outside.
DOMAIN = "medq.test"
#: The issuer on this machine, as pods and this test see it; a port of its own, as the servers have.
ISSUER = (HOST, 31443)
#: Addresses of the ingress controller, as pods see them: it is in the node's own network.
CONTROLLER_ADDRESSES = ("10.201.0.2/32", "10.244.0.1/32")
_KEY = "cluster-test"


class Identities:
    """All of them, made anew.

    Args:
        folder: Where certificates and keys are written; there already.
        namespace: Of the release; its services are called `NAME.NAMESPACE.svc`.

    Attributes:
        authority: Signed every certificate.
        tokens: By role.
        issuer: Lets in whoever comes, as the reviewer `dr-who`.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self.authority = Authority(folder)
        self.tokens = {role: new_token() for role in Role}
        self.issuer = Issuer(f"https://{ISSUER[0]}:{ISSUER[1]}/realm")
        self.issuer.person = {"sub": "dr-who", "roles": [Role.REVIEWER]}
        self.issuer.new_key(_KEY)
        self._issuer_pair = self.authority.issue("issuer", hosts=[HOST])
        self._service_pair = self.authority.issue("services", hosts=[f"*.{namespace}.svc"])
        self._ingress_pair = self.authority.issue("ingress", hosts=[f"*.{DOMAIN}"])
        self._namespace = namespace

    @contextmanager
    def issuing(self) -> Iterator[None]:
        """The issuer answers, at `ISSUER`."""
        with publishing(self.issuer, self._issuer_pair, ISSUER):
            yield

    def secrets(self) -> dict[str, dict[str, str]]:
        """The Secrets that `values` names, and the token of the pods that run studies."""
        authority = self.authority.ca_file.read_text(encoding="utf-8")
        callers = "".join(entry_text(f"test-{role}", token, [role]) for role, token in self.tokens.items())
        return {
            "medq-tls": {"ca.crt": authority, **_pair(self._service_pair)},
            "medq-ingress": _pair(self._ingress_pair),
            "medq-callers": {"tokens.yaml": callers},
            "medq-service": {"token": self.tokens[Role.SERVICE]},
            "medq-operator": {"token": self.tokens[Role.OPERATOR]},
            "medq-issuer": {"issuer-ca.crt": authority},
            "medq-web": {"session-key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()},
        }

    def values(self) -> dict[str, Any]:
        """What the chart must be told of them, with the pages and the ingress on."""
        verified = {
            "nginx.ingress.kubernetes.io/proxy-ssl-secret": f"{self._namespace}/medq-tls",
            "nginx.ingress.kubernetes.io/proxy-ssl-name": f"ingress.{self._namespace}.svc",
        }
        cidrs = [f"{HOST}/32"]
        oidc = {"issuer": self.issuer.url, "audience": AUDIENCE, "caSecret": "medq-issuer", "network": {"cidrs": cidrs}}
        return {
            "tls": {"existingSecret": "medq-tls"},
            "auth": {"tokensSecret": "medq-callers", "serviceTokenSecret": "medq-service", "oidc": oidc},
            "test": {"tokenSecret": "medq-operator"},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "domain": DOMAIN,
                "tlsSecret": "medq-ingress",
                "annotations": verified,
            },
            "networkPolicy": {"clients": [{"ipBlock": {"cidr": cidr}} for cidr in CONTROLLER_ADDRESSES]},
            "web": {"enabled": True, "sessionSecret": "medq-web", "clientId": CLIENT, "annotations": verified},
        }


def _pair(files: tuple[Path, Path]) -> dict[str, str]:
    certificate, key = (file.read_text(encoding="utf-8") for file in files)
    return {"tls.crt": certificate, "tls.key": key}
