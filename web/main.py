"""The pages as a process of their own: settings, channels, server, SIGTERM."""

from __future__ import annotations

from shared.errors import MedqError
from shared.logs import configure_logs, get_logger, log_uncaught_errors
from shared.rpc.channels import Channels, Credentials
from shared.stop_signals import StopSignals
from shared.telemetry import serve_metrics
from web.app import create_app
from web.server import WebServer, address_of, bind
from web.settings import WebSettings


def main() -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SystemExit: It could not start; the log says why and what to do.
    """
    settings, stop = WebSettings(), StopSignals()
    configure_logs(settings.log_level)
    log_uncaught_errors()
    log = get_logger("web")
    log.info("settings", **settings.model_dump(mode="json"))
    auth = settings.auth
    credentials = Credentials(settings.tls, None, auth.is_plaintext_token_allowed)
    try:
        bound = bind(settings.listen)
        with (
            Channels(settings.targets, credentials) as channels,
            WebServer(create_app(settings, channels), bound, settings.tls, [*map(str, settings.trusted_proxies)]),
        ):
            serve_metrics(settings.metrics_port)
            log.info("serving", target=address_of(bound))
            stop.wait()
    except MedqError as error:
        log.error("not_served", reason=error.reason, message=error.message, **error.metadata)
        raise SystemExit(1) from None
    log.info("drained")
