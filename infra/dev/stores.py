"""What the processes of `make up` stand on: real Kafka, S3 and PostgreSQL, and what is theirs in them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from kafka.admin import KafkaAdminClient
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from psycopg import errors, sql

from infra.dev.deployment import Deployment, Servers

SERVERS = ("kafka", "s3", "postgres")
_SCRIPT = Path(__file__).with_name("servers")


class NoServerError(Exception):
    """A server did not start; the text says why."""


def find_servers(folder: Path, given: Mapping[str, str]) -> Servers:
    """The endpoints: those that are given, else of servers on this machine, which are started where they are not up.

    Raises:
        NoServerError: One did not start.
    """
    endpoints = {}
    for name in SERVERS:
        if given[name]:
            endpoints[name] = given[name]
            continue
        if _servers("pid", name).returncode != 0:
            _note_started(folder, name)
        # What it does, which may take minutes, and why it failed, it says itself.
        script = subprocess.run([_SCRIPT, "up", name], stdout=subprocess.PIPE, text=True, check=False)
        if script.returncode != 0:
            raise NoServerError(f"{name} did not start.")
        endpoints[name] = script.stdout.strip().split("=", 1)[1]
    return Servers(**endpoints)


def release_servers(folder: Path) -> None:
    """Stop the servers that were started for this folder; those that were up before stay up."""
    for name in _started(folder):
        _servers("down", name)
    _note(folder).unlink(missing_ok=True)


def ensure_database(deployment: Deployment) -> None:
    """Make the database where it is missing."""
    with _administer(deployment) as connection, suppress(errors.DuplicateDatabase):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(deployment.name)))


def wipe_stores(deployment: Deployment) -> None:
    """Drop the database, the bucket with all objects, and the topics."""
    with _administer(deployment) as connection:
        name = sql.Identifier(deployment.name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    _remove_bucket(deployment)
    _remove_topics(deployment)


def _administer(deployment: Deployment) -> psycopg.Connection:
    """A connection beside the database, which `CREATE` and `DROP` want."""
    url = urlsplit(deployment.servers.postgres)._replace(path="/postgres").geturl()
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


def _remove_bucket(deployment: Deployment) -> None:
    s3 = urlsplit(deployment.servers.s3)
    client = Minio(
        f"{s3.hostname}:{s3.port}", access_key=s3.username, secret_key=s3.password, secure=s3.scheme == "https"
    )
    bucket = deployment.name
    if not client.bucket_exists(bucket_name=bucket):
        return
    found = client.list_objects(bucket_name=bucket, recursive=True)
    named = (DeleteObject(one.object_name) for one in found if one.object_name)
    failed = list(client.remove_objects(bucket_name=bucket, delete_object_list=named))
    if failed:
        raise NoServerError(f"{len(failed)} objects could not be removed from {bucket}.")
    with suppress(S3Error):  # an upload that was broken off may be left in it
        client.remove_bucket(bucket_name=bucket)


def _remove_topics(deployment: Deployment) -> None:
    admin = KafkaAdminClient(bootstrap_servers=deployment.servers.kafka)
    try:
        prefix = f"{deployment.name}-"
        topics = [topic for topic in admin.list_topics() if topic.startswith(f"{prefix}medq.")]
        if topics:
            admin.delete_topics(topics)
    finally:
        admin.close()


def _servers(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_SCRIPT, *arguments], capture_output=True, text=True, check=False)


def _note(folder: Path) -> Path:
    return folder / "servers.json"


def _started(folder: Path) -> list[str]:
    """The servers that were started for this folder."""
    with suppress(FileNotFoundError):
        names: list[str] = json.loads(_note(folder).read_text(encoding="utf-8"))
        return names
    return []


def _note_started(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({*_started(folder), name})
    _note(folder).write_text(json.dumps(names), encoding="utf-8")
