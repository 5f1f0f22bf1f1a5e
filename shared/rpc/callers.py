"""Who calls: found by a bearer token (static, or a JWT of the configured issuer) or by the caller's certificate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shared.errors import InvalidArgument, Unauthenticated
from shared.rpc.bearer import AUTHORIZATION, SCHEME
from shared.rpc.rights import Caller
from shared.settings import AuthSection

if TYPE_CHECKING:  # imported where they are asked for
    from shared.rpc.oidc import JwtVerifier
    from shared.rpc.tokens import StaticCallers


class Authenticator:
    """Finds out who calls.

    Args:
        auth: Where tokens and keys come from.

    Raises:
        InvalidArgument: Settings that do not go together.
        FailedPrecondition: A file cannot be read or is not of the form.
    """

    def __init__(self, auth: AuthSection) -> None:
        self._static: StaticCallers | None = None
        self._jwt: JwtVerifier | None = None
        if auth.tokens_file:
            from shared.rpc.tokens import StaticCallers

            self._static = StaticCallers(auth.tokens_file)
        if auth.oidc_issuer:
            from shared.rpc.oidc import JwtVerifier

            self._jwt = JwtVerifier(auth)
        elif auth.jwks_file:
            raise InvalidArgument(
                "Keys without their issuer.", field="auth.oidc_issuer", remedy="Name the issuer of the JWTs."
            )

    def identify(self, metadata: Iterable[tuple[str, str | bytes]], common_names: Iterable[bytes]) -> Caller:
        """Who sent this metadata over a connection with these verified names.

        A token decides alone: one that does not hold is not made good by a certificate.

        Args:
            metadata: Of the call.
            common_names: Common names of the certificate that the caller showed; none without mutual TLS.

        Raises:
            Unauthenticated: Nobody knows.
            Unavailable: The issuer's keys cannot be had just now.
        """
        sent = [value for key, value in metadata if key == AUTHORIZATION]
        if sent:
            return self._by_token(sent)
        for name in common_names:
            caller = self._static.by_certificate(name.decode("utf-8", "replace")) if self._static else None
            if caller is not None:
                return caller
        raise Unauthenticated(
            "The call carries no token.",
            field=AUTHORIZATION,
            remedy="Send the metadata `authorization: Bearer TOKEN`; of `medq`, give --token-file (MEDQ_SERVER_TOKEN_FILE).",
        )

    def _by_token(self, sent: list[str | bytes]) -> Caller:
        value = sent[0]
        if len(sent) != 1 or not isinstance(value, str) or value[: len(SCHEME)].lower() != SCHEME.lower():
            raise Unauthenticated(
                "The call does not carry one bearer token.",
                field=AUTHORIZATION,
                remedy="Send the metadata once: `authorization: Bearer TOKEN`.",
            )
        token = value[len(SCHEME) :].strip()
        caller = self._static.by_token(token) if self._static else None
        if caller is None and self._jwt is not None and token.count(".") == 2:
            caller = self._jwt.verify(token)
        if caller is None:
            raise Unauthenticated(
                "The token is not known here.",
                field=AUTHORIZATION,
                remedy="Ask whoever runs this server for a token; an old one may have been removed.",
            )
        return caller
