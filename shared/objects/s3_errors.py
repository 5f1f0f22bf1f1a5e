"""What an S3 endpoint answers, or does not, in the errors of the product: which setting is concerned and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from shared.errors import FailedPrecondition, MedqError, PermissionDenied, Unavailable
from shared.settings import S3Section

_RIGHTS = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:AbortMultipartUpload"
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientCapacity"}


@contextmanager
def typed_errors(settings: S3Section) -> Iterator[None]:
    """Raise what the client library raises as an error of the product."""
    try:
        yield
    except S3Error as error:
        raise _refusal(error.code or "", settings) from error
    except InvalidResponseError as error:
        raise FailedPrecondition(
            "The endpoint does not speak S3.",
            field="s3.endpoint",
            value=settings.endpoint,
            remedy="Name the S3 endpoint itself: http or https, host and port.",
        ) from error
    except (MinioException, HTTPError) as error:
        raise _silence(error, settings) from error


def _refusal(code: str, settings: S3Section) -> MedqError:
    """The error for a code of S3."""
    if code in _REFUSED:
        return PermissionDenied(
            f"The object store refuses the access key ({code}).",
            field="s3.access_key",
            value=settings.access_key,
            remedy=f"Check s3.access_key and s3.secret_key; the key needs {_RIGHTS} on bucket {settings.bucket}.",
        )
    if code in _FULL:
        return Unavailable(
            f"The object store is full ({code}).",
            field="s3.bucket",
            value=settings.bucket,
            remedy="Free space there or raise the bucket's quota, then try again.",
        )
    if code == "RequestTimeTooSkewed":
        return FailedPrecondition(
            "This machine's clock and the object store's differ.",
            field="s3.endpoint",
            value=settings.endpoint,
            remedy="Synchronise both clocks.",
        )
    return Unavailable(
        f"The object store failed ({code}).",
        field="s3.endpoint",
        value=settings.endpoint,
        remedy="See the log of the S3 server.",
    )


def _silence(error: Exception, settings: S3Section) -> MedqError:
    """The error for an endpoint that gave no answer, or none that can be used."""
    if isinstance(error, SSLError) or (isinstance(error, MaxRetryError) and isinstance(error.reason, SSLError)):
        return FailedPrecondition(
            "TLS with the object store failed.",
            field="s3.endpoint",
            value=settings.endpoint,
            remedy="Name the authority of its certificate in s3.ca_file, and the host that the certificate is for.",
        )
    return Unavailable(
        "The object store does not answer.",
        field="s3.endpoint",
        value=settings.endpoint,
        remedy="Check that it runs and that its address is right, then try again.",
    )
