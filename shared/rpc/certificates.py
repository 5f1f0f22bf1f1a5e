"""TLS of servers and channels, by files that may be replaced while the process runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from shared.errors import FailedPrecondition, InvalidArgument
from shared.reloaded import Reloaded, read_file
from shared.settings import TlsSection


def server_credentials(tls: TlsSection) -> grpc.ServerCredentials | None:
    """What a server shows its callers, read again for each new connection; None where it speaks plaintext.

    Raises:
        InvalidArgument: A part is missing.
        FailedPrecondition: A file cannot be read, or certificate and key do not belong together.
    """
    if tls.certificate_file is None:
        if tls.is_client_certificate_required:
            raise InvalidArgument(
                "Certificates of callers can be required by a server that has one itself.",
                field="tls.certificate_file",
                remedy="Set tls.certificate_file and tls.key_file.",
            )
        return None
    if tls.is_client_certificate_required and tls.ca_file is None:
        raise InvalidArgument(
            "It is not known which callers' certificates hold.",
            field="tls.ca_file",
            remedy="Name the authority that signs them.",
        )
    files = Reloaded(_paths(tls), lambda: _server_configuration(tls), "server certificate")
    first = used = files.get()

    def fetch() -> Any:  # None where nothing changed, which the type stubs do not know
        nonlocal used
        found = files.get()
        if found is used:
            return None
        used = found
        return found

    return grpc.dynamic_ssl_server_credentials(
        first, fetch, require_client_authentication=tls.is_client_certificate_required
    )


def channel_credentials(tls: TlsSection) -> Reloaded[grpc.ChannelCredentials] | None:
    """What a caller trusts and shows; None where it speaks plaintext.

    Raises:
        InvalidArgument: A part is missing.
        FailedPrecondition: A file cannot be read, or certificate and key do not belong together.
    """
    if tls.ca_file is None and tls.certificate_file is None:
        return None

    def load() -> grpc.ChannelCredentials:
        chain, key = _pair(tls) if tls.certificate_file else (None, None)
        return grpc.ssl_channel_credentials(_authority(tls), key, chain)

    return Reloaded(_paths(tls), load, "channel certificates")


def _paths(tls: TlsSection) -> list[Path]:
    return [path for path in (tls.certificate_file, tls.key_file, tls.ca_file) if path is not None]


def _server_configuration(tls: TlsSection) -> grpc.ServerCertificateConfiguration:
    chain, key = _pair(tls)
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=_authority(tls))


def _authority(tls: TlsSection) -> bytes | None:
    """The authority's certificates; None for those that gRPC brings along."""
    if tls.ca_file is None:
        return None
    from cryptography import x509

    content = read_file(tls.ca_file, "tls.ca_file")
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        raise FailedPrecondition(
            "The authority's file holds no certificate.",
            field="tls.ca_file",
            value=tls.ca_file.name,
            remedy="It must be PEM: -----BEGIN CERTIFICATE-----.",
        ) from None
    return content


def _pair(tls: TlsSection) -> tuple[bytes, bytes]:
    """Certificate chain and key. gRPC takes a pair that does not fit and then fails each handshake: check it here."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if tls.certificate_file is None or tls.key_file is None:
        raise InvalidArgument("A certificate needs its key.", field="tls.key_file", remedy="Set both, or neither.")
    chain, key = (read_file(tls.certificate_file, "tls.certificate_file"), read_file(tls.key_file, "tls.key_file"))
    try:
        own = x509.load_pem_x509_certificates(chain)[0].public_key()
        fits = own == load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError):  # TypeError: the key is encrypted
        fits = False
    if not fits:
        raise FailedPrecondition(
            "Certificate and key do not belong together, or are not PEM.",
            field="tls.certificate_file",
            value=tls.certificate_file.name,
            remedy="The file begins with the server's own certificate; the key is not encrypted.",
        )
    return chain, key
