"""Make the bucket and its user on a MinIO server: `python -m services.make_bucket_user`.

The services and the training Jobs get the keys of this user, never those of the server's root: it may list, read and write
objects of the one bucket, and nothing else. Run again it sets the secret key and the rights anew, so a leaked key is replaced.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from shared.errors import InvalidArgument, MedqError, Unavailable
from shared.logs import configure_logs, get_logger, log_uncaught_errors

_log = get_logger("make_bucket_user")


class BucketUserSettings(BaseSettings):
    """`MEDQ_BUCKET_USER_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_BUCKET_USER_", frozen=True, hide_input_in_errors=True)

    endpoint: str = Field(pattern="^https?://[^/@]+$", description="http(s)://host:port of the MinIO server.")
    bucket: str = Field("medq", min_length=3, description="Bucket; made where it is missing.")
    root_access_key: str = Field(min_length=3, description="The server's root user.")
    root_secret_key: SecretStr = Field(description="The root user's password.")
    access_key: str = Field(min_length=3, description="Access key of the bucket's user.")
    secret_key: SecretStr = Field(min_length=8, description="Its secret key.")
    patience_seconds: float = Field(300.0, ge=0, description="How long to wait for the server to answer.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")


def policy_of(bucket: str) -> dict[str, object]:
    """What the services do, as a policy of S3; the user may not even make access keys for itself."""
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [arn]},
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": [f"{arn}/*"],
            },
            {"Effect": "Deny", "Action": ["admin:*"]},
        ],
    }


def make_bucket_user(settings: BucketUserSettings) -> None:
    """Make what is missing, and set the user's key and rights.

    Raises:
        InvalidArgument: The user is the root user.
        Unavailable: The server did not answer in this time, or refused.
    """
    if settings.access_key == settings.root_access_key:
        raise InvalidArgument(
            "The bucket's user is the root user.",
            field="MEDQ_BUCKET_USER_ACCESS_KEY",
            remedy="Give the bucket's user an access key and a secret key of its own.",
        )
    patiently = Retrying(
        retry=retry_if_exception_type((MinioException, HTTPError)),
        stop=stop_after_delay(settings.patience_seconds),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    )
    try:
        patiently(_make, settings)
    except (MinioException, HTTPError) as error:
        raise Unavailable(
            f"The bucket's user was not made ({type(error).__name__}).",
            field="MEDQ_BUCKET_USER_ENDPOINT",
            value=settings.endpoint,
            remedy="Does the MinIO server run, and are the root keys its own?",
        ) from error


def _make(settings: BucketUserSettings) -> None:
    parts = urlsplit(settings.endpoint)
    is_tls = parts.scheme == "https"
    root_secret = settings.root_secret_key.get_secret_value()
    pool = PoolManager(timeout=Timeout(20.0), retries=False, cert_reqs="CERT_REQUIRED")
    store = Minio(parts.netloc, settings.root_access_key, root_secret, secure=is_tls, http_client=pool)
    if not store.bucket_exists(settings.bucket):
        store.make_bucket(settings.bucket)
    root = StaticProvider(settings.root_access_key, root_secret)
    server = MinioAdmin(endpoint=parts.netloc, credentials=root, secure=is_tls, http_client=pool)
    policy = f"{settings.bucket}-objects"
    server.policy_add(policy, policy=policy_of(settings.bucket))
    server.user_add(settings.access_key, settings.secret_key.get_secret_value())
    server.policy_set(policy, user=settings.access_key)
    _log.info("bucket_user_made", bucket=settings.bucket, policy=policy)


def main() -> None:
    """Make what the environment names."""
    settings = BucketUserSettings()
    configure_logs(settings.log_level)
    log_uncaught_errors()
    try:
        make_bucket_user(settings)
    except MedqError as error:
        _log.error("bucket_user_not_made", reason=error.reason, message=error.message, remedy=error.remedy)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
