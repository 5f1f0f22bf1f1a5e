"""The OIDC client of the pages: authorization code with PKCE at the site's issuer."""

from __future__ import annotations

import ssl

from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App

from shared.errors import Unavailable
from shared.reloaded import read_file
from web.settings import WebSettings

_NAME = "oidc"


def issuer_client(settings: WebSettings) -> StarletteOAuth2App:
    """What goes to the issuer, and exchanges the code that comes back.

    Raises:
        FailedPrecondition: The file with its secret cannot be read.
    """
    login, oauth = settings.login, OAuth()
    secret = (
        read_file(login.client_secret_file, "login.client_secret_file").decode().strip()
        if login.client_secret_file
        else None
    )
    ca_file = settings.auth.issuer_ca_file
    client: StarletteOAuth2App = oauth.register(
        _NAME,
        client_id=login.client_id,
        client_secret=secret,
        server_metadata_url=f"{settings.auth.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": login.scopes,
            "code_challenge_method": "S256",
            "verify": ssl.create_default_context(cafile=ca_file),
            "trust_env": False,
            "timeout": 10,
            **({} if secret else {"token_endpoint_auth_method": "none"}),
        },
    )
    return client


def no_issuer() -> Unavailable:
    """The error of an issuer that is away."""
    return Unavailable("The issuer of logins does not answer.", remedy="Try again in a moment.")
