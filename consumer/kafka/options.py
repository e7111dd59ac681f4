"""kafka-python's options, made from the settings."""

from __future__ import annotations

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)

# isort: split

from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.group import Membership
from consumer.kafka.net import WatchedClient
from consumer.kafka.oauth import CachedToken, token_provider
from consumer.kafka.tls_files import key_password

LONGEST_WAIT = 10.0
"""Seconds between two attempts to connect, at most."""

_BOOTSTRAP_MS = 5_000
_FETCHED = 4 * 2**20
"""Bytes of a fetch, and as many of one partition. They bound the listener's memory, however many partitions there are.

Where there is a backlog one partition fills a fetch: its users come together then, so fewer rows are written.
"""
_ASSIGNORS = {
    "eager": (RangePartitionAssignor, RoundRobinPartitionAssignor),
    "cooperative": (CooperativeStickyAssignor,),
}


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of every client: where the brokers are, and how to speak with them."""
    files = {name: getattr(settings, name) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
    options = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        **{name: str(path) if path else None for name, path in files.items()},
        "ssl_password": key_password(settings),
        "ssl_check_hostname": settings.ssl_check_hostname,
        **_sasl(settings),
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": int(1000 * LONGEST_WAIT),
        "kafka_client": WatchedClient,
    }
    return {name: value for name, value in options.items() if value is not None}


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    mechanism, user, password = settings.sasl_mechanism, settings.sasl_username, settings.sasl_password
    if mechanism is None or mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": tokens_of(settings)}
    if user and mechanism.startswith("SCRAM"):
        user = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5802 5.1; the client does not escape the name
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


def tokens_of(settings: KafkaSettings) -> CachedToken | None:
    """Where the tokens for OAUTHBEARER come from; None where the settings use another mechanism."""
    endpoint, client_id = settings.sasl_oauth_token_endpoint, settings.sasl_oauth_client_id
    secret = settings.sasl_oauth_client_secret
    if settings.sasl_mechanism != "OAUTHBEARER" or endpoint is None or client_id is None or secret is None:
        return None
    return token_provider(endpoint, client_id, secret, settings.sasl_oauth_scope, settings.sasl_oauth_cafile)


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of a producer whose records all replicas acknowledge."""
    return {**client_options(settings), "acks": "all"}


def admin_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of an admin client."""
    return client_options(settings)


def consumer_options(settings: KafkaSettings, *, grouped: bool, member: Membership | None = None) -> dict[str, Any]:
    """Options of a consumer of raw bytes that never commits or resets by itself: offsets are the ledger's business.

    Grouped, the consumer shares the topics' partitions with the members on the ledger of `member`. Else it has no
    group, and cannot commit at all.
    """
    assignors = _ASSIGNORS[settings.assignment]
    return {
        **client_options(settings),
        **({"client_id": member.client_id} if member else {}),
        "group_id": settings.group_id if grouped else None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.session_timeout_ms // 5,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "max_poll_records": settings.max_poll_records,
        "fetch_max_bytes": _FETCHED,
        "max_partition_fetch_bytes": _FETCHED,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "request_timeout_ms": settings.request_timeout_ms,
        "partition_assignment_strategy": member.assignors(assignors) if member else assignors,
    }
