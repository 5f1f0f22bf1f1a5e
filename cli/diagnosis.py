"""Why a server cannot be talked to, asked of it directly: gRPC itself says no more than that there is no connection."""

from __future__ import annotations

import socket
import ssl

from shared.errors import FailedPrecondition, MedqError
from shared.settings import TlsSection

_SECONDS = 5.0
#: What a plaintext client says first: HTTP/2's preface and empty SETTINGS. A gRPC server answers with SETTINGS of its own.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_TLS_ALERT = b"\x15"


def why_no_connection(server: str, tls: TlsSection) -> MedqError | None:
    """What stands between this command and a server; None where nothing of TLS does (nobody listens, or all is well).

    Args:
        server: host:port.
        tls: With which it was called.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
            if tls.ca_file is None and tls.certificate_file is None:
                return _in_plaintext(connection, server)
            return _in_tls(connection, server, host, tls)
    except (OSError, ValueError):
        return None


def _in_plaintext(connection: socket.socket, server: str) -> MedqError | None:
    connection.sendall(_PREFACE)
    try:
        first = connection.recv(1)
    except ConnectionResetError:
        first = b""
    if first not in (b"", _TLS_ALERT):
        return None
    return _refused(
        "The server does not speak plaintext gRPC; most likely it speaks TLS.",
        server,
        "Name the authority that signed its certificate: --tls-ca FILE (MEDQ_SERVER_TLS_CA).",
    )


def _in_tls(connection: socket.socket, server: str, host: str, tls: TlsSection) -> MedqError | None:
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
    context.set_alpn_protocols(["h2"])
    if tls.certificate_file:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            # With TLS 1.3 a server refuses a caller's certificate only now; one that takes it sends its SETTINGS at once.
            return _without_certificate(server) if not secured.recv(1) else None
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(error, server)
    except ssl.SSLError as error:
        if "CERTIFICATE" in (error.reason or ""):  # the server's alert: required, unknown, expired
            return _without_certificate(server)
        return _refused(
            "The server does not speak TLS.",
            server,
            "Is it the right port? If it speaks plaintext, leave --tls-ca out; a token is then sent within one machine alone.",
        )
    except ConnectionResetError:
        return _without_certificate(server)


def _without_certificate(server: str) -> MedqError:
    return _refused(
        "The server requires a certificate that it knows.",
        server,
        "Give --tls-cert and --tls-key (MEDQ_SERVER_TLS_CERT, MEDQ_SERVER_TLS_KEY), signed by its authority.",
    )


def _of_certificate(error: ssl.SSLCertVerificationError, server: str) -> MedqError:
    reason = error.verify_message
    if "expired" in reason or "not yet valid" in reason:
        return _refused("The server's certificate does not hold today.", server, "It must be renewed there.")
    if "mismatch" in reason or "doesn't match" in reason:
        return _refused(
            "The server's certificate is for another name.", server, "Call it by a name that its certificate has."
        )
    return _refused(
        "The server's certificate was signed by an authority that is not known here.",
        server,
        "Give the file of that authority: --tls-ca FILE (MEDQ_SERVER_TLS_CA).",
    )


def _refused(message: str, server: str, remedy: str) -> MedqError:
    return FailedPrecondition(message, field="server", value=server, remedy=remedy)
