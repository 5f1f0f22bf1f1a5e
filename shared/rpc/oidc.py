"""Who a JWT speaks of, if it holds: signed by the issuer's key, of this issuer, for this audience, at this time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from shared.errors import Unauthenticated
from shared.rpc.bearer import AUTHORIZATION
from shared.rpc.issuer_keys import ALGORITHMS, KeysOfFile, KeysOfIssuer
from shared.rpc.rights import Caller, Role
from shared.settings import AuthSection

_REQUIRED = ["exp", "iss", "aud", "sub"]
#: What a caller reads of a token that was signed as it should be.
_REASONS: Mapping[type[jwt.PyJWTError], tuple[str, str]] = {
    jwt.ExpiredSignatureError: ("The token has expired.", "Get a new one from the issuer."),
    jwt.ImmatureSignatureError: ("The token does not hold yet.", "Compare the clocks of issuer and server."),
    jwt.InvalidAudienceError: ("The token is for another audience.", "Ask the issuer for one for this server."),
    jwt.InvalidIssuerError: ("The token is of another issuer.", "This server trusts one issuer."),
    jwt.MissingRequiredClaimError: ("The token lacks a claim.", f"It must have {', '.join(_REQUIRED)}."),
}


class JwtVerifier:
    """Verifies the JWTs of one issuer.

    Args:
        auth: Issuer, audience, keys, roles.

    Raises:
        InvalidArgument: The issuer is no https address.
        FailedPrecondition: The file of keys cannot be read or holds no usable key.
    """

    def __init__(self, auth: AuthSection) -> None:
        self._auth = auth
        self._keys = (
            KeysOfFile(auth.jwks_file) if auth.jwks_file else KeysOfIssuer(auth.oidc_issuer, auth.issuer_ca_file)
        )

    def verify(self, token: str) -> Caller:
        """The caller that a token names.

        Raises:
            Unauthenticated: The token does not hold.
            Unavailable: The issuer's keys cannot be had.
        """
        try:
            claims = self._claims(token)
        except jwt.PyJWTError as error:
            known = next((_REASONS[cls] for cls in type(error).__mro__ if cls in _REASONS), None)
            message, remedy = known or ("The token does not hold.", "Get a new one from the issuer.")
            raise Unauthenticated(message, field=AUTHORIZATION, remedy=remedy) from None
        name = str(claims["sub"])[:200].encode("utf-8", "replace").decode()  # what a log can hold
        return Caller(name, roles_in(claims, self._auth.roles_claim), "jwt")

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        key = self._keys.find(str(header.get("kid", "")))
        # The key says how it signs; a token that claims another way (HMAC with the public key) is forged.
        if key is None or key.algorithm_name != algorithm:
            raise jwt.InvalidSignatureError
        return jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            issuer=self._auth.oidc_issuer,
            audience=self._auth.oidc_audience,
            leeway=self._auth.leeway_seconds,
            options={"require": _REQUIRED},
        )


def roles_in(claims: Mapping[str, Any], claim: str) -> frozenset[Role]:
    """The roles of ours that a claim lists, as a list or as words; others are passed over.

    Args:
        claims: Of a verified token.
        claim: Its name, or a path of names with dots between: "realm_access.roles".
    """
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    named = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(role for role in Role if role in named)
