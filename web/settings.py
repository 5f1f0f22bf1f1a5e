"""Settings of the pages; environment names begin with `MEDQ_WEB_`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, IPvAnyNetwork
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import AuthSection, Section, TlsSection


class LoginSection(Section):
    """How people come in: the OIDC client of the site (authorization code with PKCE), and how long a login holds."""

    client_id: str = Field("", description="Name of these pages at `auth.oidc_issuer`; empty: no OIDC login.")
    client_secret_file: Path | None = Field(None, description="Its secret; empty: a public client (PKCE alone).")
    scopes: str = Field("openid profile", description="What is asked for, with spaces between.")
    is_id_token_used: bool = Field(
        False, description="Call the services with the ID token, where access tokens of the issuer are no JWTs."
    )
    key_file: Path | None = Field(
        None, description="Key that seals sessions, the same for each replica; empty: a new one at each start."
    )
    hours: float = Field(
        8.0, gt=0, le=24, description="How long a login holds at most; a token that ends sooner ends it."
    )


class WebSettings(BaseSettings):
    """What the pages need to run."""

    model_config = SettingsConfigDict(
        env_prefix="MEDQ_WEB_", frozen=True, extra="forbid", env_nested_delimiter="__", hide_input_in_errors=True
    )

    listen: str = Field("127.0.0.1:8080", description="host:port of the pages.")
    public_url: str = Field(
        "", pattern="^(https?://[^/?#]+)?$", description="How browsers reach the pages; empty: `listen`."
    )
    targets: dict[str, str] = Field(default_factory=dict, description="gRPC targets of the services by name, as JSON.")
    tls: TlsSection = Field(
        default_factory=TlsSection, description="TLS of the pages, and of the calls to the services."
    )
    auth: AuthSection = Field(default_factory=AuthSection, description="Callers: the same as the services have.")
    login: LoginSection = Field(default_factory=LoginSection, description="Logins.")
    calls_per_minute: int = Field(
        1200, ge=60, description="Requests that one person, or one unknown address, may make."
    )
    call_seconds: float = Field(
        8.0,
        gt=0,
        le=30,
        description="Longest that a call to a service takes; estimates, reports and starts have 30 s, downloads 10 minutes.",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Addresses or networks (CIDR) of proxies, as JSON: what one of them says in X-Forwarded-For is who comes.",
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0 serves none.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")

    @property
    def url(self) -> str:
        """How browsers reach the pages, without a slash at the end."""
        return self.public_url or f"http{'s' if self.tls.certificate_file else ''}://{self.listen}"

    @property
    def origins(self) -> frozenset[str]:
        """What browsers name as the origin of these pages: this machine has two names for itself."""
        return frozenset({self.url, self.url.replace("://127.0.0.1:", "://localhost:")})

    @property
    def is_https(self) -> bool:
        """True if browsers come by https, so that cookies are for https alone."""
        return self.url.startswith("https://")

    @property
    def knows_callers(self) -> bool:
        """True if the services ask who calls."""
        return bool(self.auth.tokens_file or self.auth.oidc_issuer)
