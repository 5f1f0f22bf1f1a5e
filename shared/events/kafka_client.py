"""How Kafka is reached: the options of every client, its deadlines, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.base import MemberState
from kafka.errors import (
    AuthorizationError,
    InvalidReplicationFactorError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
)
from kafka.net.compat import KafkaNetClient

from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from shared.settings import KafkaSection

_LONGEST_RECONNECT_PAUSE_SECONDS = 1.0
_LONGEST_HEARTBEAT_SECONDS = 3.0
_MOST_RECORDS_AT_ONCE = 1000
Client = TypeVar("Client")


def client_options(settings: KafkaSection) -> dict[str, Any]:
    """What consumers, producers and admin clients have in common."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap.split(","),
        "client_id": "medq",
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": milliseconds(settings.call_seconds),
        "bootstrap_timeout_ms": milliseconds(settings.call_seconds),
        "reconnect_backoff_max_ms": milliseconds(_LONGEST_RECONNECT_PAUSE_SECONDS),
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    if settings.security_protocol.endswith("SSL") and settings.ca_file is not None:
        options["ssl_cafile"] = str(settings.ca_file)
    return options


def connected(kind: Callable[..., Client], settings: KafkaSection, **options: object) -> Client:
    """A consumer, producer or admin client that has reached a broker.

    The library leaves a thread and sockets behind where its constructor raises; here they are closed.

    Raises:
        KafkaError: no broker answers, or it refuses.
    """
    transports: list[KafkaNetClient] = []

    def transport(**given: object) -> KafkaNetClient:
        transports.append(KafkaNetClient(**given))
        return transports[-1]

    try:
        return kind(**client_options(settings), kafka_client=transport, **options)
    except KafkaError:
        for one in transports:
            one.close()
        raise


def member_client(settings: KafkaSection, group: str) -> KafkaConsumer:
    """A client that joins a group once it is subscribed and polled.

    Raises:
        KafkaError: no broker answers, or it refuses.
    """
    return connected(
        KafkaConsumer,
        settings,
        group_id=settings.topic_prefix + group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        max_poll_records=_MOST_RECORDS_AT_ONCE,
        session_timeout_ms=milliseconds(settings.session_seconds),
        heartbeat_interval_ms=milliseconds(heartbeat_seconds(settings)),
        max_poll_interval_ms=milliseconds(settings.handler_seconds),
    )


def unblock(client: KafkaConsumer) -> None:
    """Let the next poll take up what kafka-python 3.0.12 would leave lying for ever; no public way does.

    A rejoin that new metadata caused and that a short poll did not wait for: the member would stay between two
    generations, without heartbeats. And the records of a partition that was paused half read: after its resume
    they wait for the place in line to be None, while an exhausted batch of another partition stays there.
    """
    if client.group_metadata().state == MemberState.REBALANCING:
        client._coordinator.request_rejoin()
    if not client._fetcher._next_partition_records:
        client._fetcher._next_partition_records = None


def heartbeat_seconds(settings: KafkaSection) -> float:
    """How often a member shows that it lives, and how often it looks after its group while a handler works."""
    return min(settings.session_seconds / 10, _LONGEST_HEARTBEAT_SECONDS)


def milliseconds(seconds: float) -> int:
    """The unit of Kafka's options."""
    return round(seconds * 1000)


@contextmanager
def reaching(settings: KafkaSection) -> Iterator[None]:
    """Turn what the client library raises into our errors.

    Raises:
        PermissionDenied: the cluster refuses this user.
        InvalidArgument: an event is larger than the cluster takes, or the settings contradict each other.
        FailedPrecondition: the cluster has fewer brokers than replicas are asked for.
        Unavailable: no broker answers, or it answers with anything else.
    """
    try:
        yield
    except (AuthorizationError, SaslAuthenticationFailedError) as error:
        raise PermissionDenied(
            "The Kafka cluster refuses this user.",
            field="kafka.username",
            value=settings.username,
            remedy=f"Grant it what {type(error).__name__} names, or check the password.",
        ) from None
    except (MessageSizeTooLargeError, RecordListTooLargeError):
        raise InvalidArgument(
            "An event is larger than the Kafka cluster takes.", remedy="Put the data into an object and send its URI."
        ) from None
    except KafkaConfigurationError:
        raise InvalidArgument(
            "The client refuses these Kafka settings.", field="kafka", remedy="Check the fields of the section."
        ) from None
    except InvalidReplicationFactorError:
        raise FailedPrecondition(
            "The Kafka cluster has too few brokers.",
            field="kafka.replication",
            value=settings.replication,
            remedy="Ask for at most as many as there are brokers.",
        ) from None
    except (KafkaError, OSError) as error:
        raise Unavailable(
            f"Kafka does not answer as it should ({type(error).__name__}).",
            field="kafka.bootstrap",
            value=settings.bootstrap,
            remedy="Check that a broker runs there and that this machine reaches it; then retry.",
        ) from error
