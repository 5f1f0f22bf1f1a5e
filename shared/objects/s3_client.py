"""A client of an S3 endpoint that gives up, and tries again, by the settings. It connects with its first request."""

from __future__ import annotations

from urllib.parse import urlsplit

from minio import Minio
from minio.helpers import check_bucket_name
from urllib3 import PoolManager, Retry, Timeout

from shared.errors import InvalidArgument
from shared.settings import S3Section

_CONNECTIONS = 32


def connect(settings: S3Section) -> Minio:
    """Make a client.

    Raises:
        InvalidArgument: no endpoint, or a bucket name that S3 does not allow.
    """
    parts = urlsplit(settings.endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
        raise InvalidArgument(
            "Not an S3 endpoint.",
            field="s3.endpoint",
            value=parts.hostname or "",
            remedy="Give http(s)://host:port, without a path; keys are settings of their own.",
        )
    try:
        check_bucket_name(settings.bucket, strict=True)
        return Minio(
            parts.netloc,
            settings.access_key or None,
            settings.secret_key.get_secret_value(),
            secure=parts.scheme == "https",
            region=settings.region,
            http_client=_pool(settings),
        )
    except ValueError:
        raise InvalidArgument("Not a bucket name.", field="s3.bucket", value=settings.bucket) from None


def _pool(settings: S3Section) -> PoolManager:
    # A POST is repeated too: what it starts or completes is content-addressed. A server may ask to wait for hours.
    retry = Retry(
        total=settings.retries,
        backoff_factor=0.5,
        backoff_max=5.0,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        respect_retry_after_header=False,
    )
    return PoolManager(
        maxsize=_CONNECTIONS,
        timeout=Timeout(connect=settings.timeout_seconds, read=settings.timeout_seconds),
        retries=retry,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file) if settings.ca_file else None,
    )
