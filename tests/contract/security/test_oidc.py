"""JWTs of an OIDC issuer against a real server: which hold, which are forged, and how the issuer's keys are kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from shared.errors import FailedPrecondition, InvalidArgument, Unauthenticated, Unavailable
from shared.rpc.channels import Channels
from shared.rpc.issuer_keys import ASK_PERIOD_SECONDS, KeysOfIssuer
from shared.rpc.oidc import JwtVerifier, roles_in
from shared.settings import AuthSection
from tests.support.certificates import Authority
from tests.support.guarded import add_caller, audit_lines, audited, call, code_of, guarded_server, replace
from tests.support.issuer import AUDIENCE, Issuer, publishing

LIST = "/medq.operations.v1.OperationsService/ListOperations"
START = "/medq.controller.v1.ControllerService/StartRun"
DOWNLOAD = "/medq.operations.v1.OperationsService/DownloadDataset"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    made = Issuer()
    made.new_key("rsa", "RS256")
    made.new_key("ec", "ES256")
    made.new_key("unpublished", "ES256", is_published=False)
    return made


@pytest.fixture(scope="module")
def channel(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    folder = tmp_path_factory.mktemp("oidc")
    keys = replace(folder / "jwks.json", issuer.jwks())
    auth = AuthSection(oidc_issuer=issuer.url, jwks_file=keys, leeway_seconds=5)
    with guarded_server(folder, auth=auth) as server, Channels({"guarded": server.target}) as channels:
        yield channels["guarded"]


def _is_taken(channel: grpc.Channel, token: str) -> bool:
    code = code_of(channel, LIST, (("authorization", f"Bearer {token}"),))
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)
    return code is grpc.StatusCode.OK


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_token_of_the_issuer_is_taken(channel: grpc.Channel, issuer: Issuer, kid: str) -> None:
    assert _is_taken(channel, issuer.token(kid))
    assert _is_taken(channel, issuer.token(kid, aud=["other", AUDIENCE]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seconds": -6}, "expired"),
        ({"nbf": 2_000_000_000_0, "seconds": 300}, "not hold yet"),
        ({"iss": "https://evil.test"}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": None}, "lacks a claim"),
        ({"exp": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"iss": None}, "lacks a claim"),
    ],
)
def test_a_token_that_does_not_hold_is_refused_and_says_why(
    channel: grpc.Channel, issuer: Issuer, changes: dict, told: str
) -> None:
    for shape, method in (("unary_unary", LIST), ("unary_stream", DOWNLOAD)):
        error = call(channel, method, issuer.token("ec", **changes), shape=shape)
        assert isinstance(error, Unauthenticated)
        assert told in error.message


def test_clocks_may_stand_apart_by_the_leeway(channel: grpc.Channel, issuer: Issuer) -> None:
    assert _is_taken(channel, issuer.token("ec", seconds=-1))


def test_a_token_without_a_signature_is_refused(channel: grpc.Channel, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token("ec"), options={"verify_signature": False})
    assert not _is_taken(channel, jwt.encode(claims, None, algorithm="none", headers={"kid": "ec"}))
    header, body, _ = issuer.token("ec").split(".")
    assert not _is_taken(channel, f"{header}.{body}.")


def test_a_token_signed_with_the_public_key_as_a_password_is_refused(channel: grpc.Channel, issuer: Issuer) -> None:
    import hashlib
    import hmac

    public = issuer._keys["rsa"][1].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for alg in ("HS256", "RS256"):
        header = {"alg": alg, "kid": "rsa", "typ": "JWT"}
        claims = jwt.decode(issuer.token("rsa"), options={"verify_signature": False})
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        forged = f"{signed}.{_encoded(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"
        assert not _is_taken(channel, forged)


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def test_a_key_of_another_kind_or_of_nobody_is_refused(channel: grpc.Channel, issuer: Issuer) -> None:
    assert not _is_taken(channel, issuer.token("ec", headers={"kid": "rsa"}))
    assert not _is_taken(channel, issuer.token("unpublished"))
    assert not _is_taken(channel, issuer.token("unpublished", headers={"kid": "ec"}))
    assert not _is_taken(channel, "a.b.c")


def test_roles_of_the_token_decide_and_its_subject_is_audited(tmp_path: Path, issuer: Issuer) -> None:
    keys = replace(tmp_path / "jwks.json", issuer.jwks())
    auth = AuthSection(oidc_issuer=issuer.url, jwks_file=keys)
    with (
        audited() as log,
        guarded_server(tmp_path / "state", auth=auth) as server,
        Channels({"guarded": server.target}) as channels,
    ):
        channel = channels["guarded"]
        for roles in (["reader"], [], ["king"], "reader writer"):
            token = issuer.token("ec", roles=roles)
            assert code_of(channel, START, (("authorization", f"Bearer {token}"),)) is (
                grpc.StatusCode.PERMISSION_DENIED
            )
        token = issuer.token("ec", roles=["operator"])
        assert code_of(channel, START, (("authorization", f"Bearer {token}"),)) is grpc.StatusCode.UNIMPLEMENTED
        lines = audit_lines(log)
    assert [(line["caller"], line["known_by"]) for line in lines] == 5 * [("dr-who", "jwt")]
    assert lines[-1]["decision"] == "allowed"
    assert token not in log.getvalue()


def test_roles_are_found_where_the_setting_says() -> None:
    assert roles_in({"realm_access": {"roles": ["admin", "offline_access"]}}, "realm_access.roles") == {"admin"}
    assert roles_in({"https://x.test/roles": ["reader"]}, "https://x.test/roles") == {"reader"}
    assert roles_in({"scope": "openid operator"}, "scope") == {"operator"}
    for claims in ({}, {"roles": None}, {"roles": 3}, {"roles": {"admin": True}}, {"roles": "administrator"}):
        assert roles_in(claims, "roles") == frozenset()
        assert roles_in(claims, "roles.of.mine") == frozenset()


def test_static_tokens_and_jwts_hold_beside_each_other(tmp_path: Path, issuer: Issuer) -> None:
    keys = replace(tmp_path / "jwks.json", issuer.jwks())
    callers = tmp_path / "callers.yaml"
    static = add_caller(callers, "script", "reader")
    auth = AuthSection(oidc_issuer=issuer.url, jwks_file=keys, tokens_file=callers)
    with guarded_server(tmp_path / "state", auth=auth) as server, Channels({"guarded": server.target}) as channels:
        assert _is_taken(channels["guarded"], static)
        assert _is_taken(channels["guarded"], issuer.token("rsa"))


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.new_key("first")
    keys = replace(tmp_path / "jwks.json", issuer.jwks())
    verifier = JwtVerifier(AuthSection(oidc_issuer=issuer.url, jwks_file=keys))
    assert verifier.verify(issuer.token("first")).name == "dr-who"
    issuer.published.clear()
    issuer.new_key("second")
    replace(keys, issuer.jwks())
    assert verifier.verify(issuer.token("second")).name == "dr-who"
    with pytest.raises(Unauthenticated):
        verifier.verify(issuer.token("first"))


def test_a_file_without_a_usable_key_stops_the_server(tmp_path: Path) -> None:
    short = Issuer()
    short.new_key("short", "RS256", bits=1024)
    secret = {"kty": "oct", "k": _encoded(b"secret"), "kid": "a", "alg": "HS256"}
    for content in (short.jwks(), json.dumps({"keys": [secret]}), "{}", "[]", "no json", '{"keys": [3]}'):
        keys = replace(tmp_path / "jwks.json", content)
        with pytest.raises(FailedPrecondition, match="No usable key"):
            JwtVerifier(AuthSection(oidc_issuer="https://issuer.test", jwks_file=keys))


def test_a_new_key_is_fetched_from_the_issuer_at_most_once_a_minute() -> None:
    now = [1000.0]
    with publishing(Issuer()) as issuer:
        issuer.new_key("first")
        keys = KeysOfIssuer(issuer.url, None, clock=lambda: now[0])
        assert keys.find("first") is not None
        issuer.new_key("second")
        for kid in ("second", "x", "y", "z"):
            assert keys.find(kid) is None
        assert issuer.n_asked == 1
        now[0] += ASK_PERIOD_SECONDS
        assert keys.find("second") is not None
        assert keys.find("first") is not None
        assert issuer.n_asked == 2


def test_a_key_that_the_issuer_withdrew_is_forgotten() -> None:
    now = [0.0]
    with publishing(Issuer()) as issuer:
        issuer.new_key("first")
        keys = KeysOfIssuer(issuer.url, None, clock=lambda: now[0])
        assert keys.find("first") is not None
        issuer.published.clear()
        issuer.new_key("second")
        now[0] += 3601
        assert keys.find("first") is None


def test_an_issuer_that_is_away_is_unavailable_and_known_keys_go_on() -> None:
    now = [0.0]
    with publishing(Issuer()) as issuer:
        issuer.new_key("first")
        keys = KeysOfIssuer(issuer.url, None, clock=lambda: now[0])
        issuer.is_away = True
        with pytest.raises(Unavailable):
            keys.find("first")
        now[0] += ASK_PERIOD_SECONDS
        issuer.is_away = False
        assert keys.find("first") is not None
        now[0] += 4000
        issuer.is_away = True
        assert keys.find("first") is not None
        with pytest.raises(Unavailable):
            keys.find("other")


def test_keys_are_fetched_from_the_issuer_and_from_nowhere_else() -> None:
    with publishing(Issuer()) as elsewhere, publishing(Issuer()) as issuer:
        for made in (elsewhere, issuer):
            made.new_key("first")
        issuer.redirect_to = elsewhere.url + "/keys"
        with pytest.raises(Unavailable):
            KeysOfIssuer(issuer.url, None).find("first")
        issuer.redirect_to, issuer.keys_at = "", elsewhere.url + "/keys"
        with pytest.raises(Unavailable):
            KeysOfIssuer(issuer.url, None).find("first")
        assert (elsewhere.n_asked, issuer.n_asked) == (0, 0)


@pytest.mark.parametrize("issuer", ["http://issuer.test", "ftp://x", "issuer.test", "http://192.0.2.1/x"])
def test_an_issuer_must_be_an_https_address(issuer: str) -> None:
    with pytest.raises(InvalidArgument, match="https"):
        KeysOfIssuer(issuer, None)


def test_a_server_fetches_the_keys_of_its_issuer(tmp_path: Path) -> None:
    with publishing(Issuer()) as issuer:
        issuer.new_key("first", "RS256")
        with (
            guarded_server(tmp_path, auth=AuthSection(oidc_issuer=issuer.url)) as server,
            Channels({"guarded": server.target}) as channels,
        ):
            assert _is_taken(channels["guarded"], issuer.token("first"))
            assert not _is_taken(channels["guarded"], issuer.token("first", iss="https://evil.test"))


def test_an_issuer_is_known_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with publishing(Issuer(), authority.issue("issuer")) as issuer:
        issuer.new_key("first")
        assert issuer.url.startswith("https://")
        assert KeysOfIssuer(issuer.url, authority.ca_file).find("first") is not None
        with pytest.raises(Unavailable):
            KeysOfIssuer(issuer.url, Authority(tmp_path, "stranger").ca_file).find("first")
        with pytest.raises(Unavailable):
            KeysOfIssuer(issuer.url, None).find("first")
