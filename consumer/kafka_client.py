"""Making kafka-python clients from the settings: the options they share, and waiting for a broker and a topic."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaConfigurationError, KafkaError
from kafka.net.compat import KafkaNetClient
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from consumer.errors import ConsumerError, SettingsError
from consumer.kafka_settings import KafkaSettings

_BOOTSTRAP_MS = 5_000
_LONGEST_WAIT = 10.0
_PROBE_MS = 3_000  # as long as a probe waits on a partition that has nothing more to give


class TopicMissing(ConsumerError):  # noqa: N818  (a reason to wait)
    """The topic is not there yet."""


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every client needs: where the brokers are and how to speak with them."""
    secret = settings.sasl_password
    options = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "ssl_cafile": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_check_hostname": settings.ssl_check_hostname,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": secret.get_secret_value() if secret else None,
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
    }
    paths = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
    return {name: str(value) if name in paths else value for name, value in options.items() if value is not None}


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """A producer that has its records acknowledged by all replicas."""
    return {**client_options(settings), "acks": "all"}


def admin_options(settings: KafkaSettings) -> dict[str, Any]:
    """An admin client."""
    return client_options(settings)


def consumer_options(settings: KafkaSettings, *, grouped: bool) -> dict[str, Any]:
    """A consumer of raw bytes that never commits or resets by itself: offsets are the ledger's business.

    Grouped, it shares the partitions of the topic; alone, it has no group and cannot commit at all.
    """
    return {
        **client_options(settings),
        "group_id": settings.group_id if grouped else None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.session_timeout_ms // 5,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "max_poll_records": settings.max_poll_records,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "metadata_max_age_ms": 30_000,
    }


def connect(
    settings: KafkaSettings, *, grouped: bool, stopping: threading.Event, waiting: Callable[[str, float], None]
) -> Any | None:
    """A consumer, once the broker answers and the topic is there; None when `stopping` was set first.

    Args:
        settings: where and how.
        grouped: whether to read as a member of the group.
        stopping: ends the wait.
        waiting: called before each pause with the reason and its length in seconds, at least every twenty seconds.

    Raises:
        SettingsError: the client refuses its settings, which no waiting mends.
    """

    def say(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        waiting(str(error) or type(error).__name__, attempt.upcoming_sleep)

    retrying = Retrying(
        retry=retry_if_exception_type((KafkaError, TopicMissing)),
        wait=wait_exponential_jitter(multiplier=0.5, max=_LONGEST_WAIT, jitter=0.5),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=say,
        reraise=True,
    )
    try:
        return retrying(_connect, settings, grouped)
    except (KafkaError, TopicMissing):
        return None


def why_corrupt(settings: KafkaSettings, partition: TopicPartition, offset: int) -> str | None:
    """Why the record at an offset cannot be parsed, tried by a consumer that is thrown away; None where it can be.

    Raises:
        KafkaError: the broker does not answer.
    """
    with closing(_consumer(settings, grouped=False)) as probe:
        probe.assign([partition])
        probe.seek(partition, offset)
        try:
            probe.poll(timeout_ms=_PROBE_MS)
        except CorruptRecordError as error:
            return str(error)
    return None


def _connect(settings: KafkaSettings, grouped: bool) -> Any:
    consumer = _consumer(settings, grouped=grouped)
    try:
        if not consumer.partitions_for_topic(settings.topic):
            raise TopicMissing(f"topic {settings.topic} does not exist yet")
    except BaseException:
        consumer.close()
        raise
    return consumer


def _consumer(settings: KafkaSettings, *, grouped: bool) -> Any:
    made: list[Any] = []

    def client(**options: Any) -> Any:
        made.append(KafkaNetClient(**options))
        return made[-1]

    try:
        return KafkaConsumer(**consumer_options(settings, grouped=grouped), kafka_client=client)
    except BaseException as error:
        for one in made:
            one.close()  # the constructor has started its thread by now, and does not end it
        raise _said_plainly(error) from error


def _said_plainly(error: BaseException) -> BaseException:
    """Settings that the client refuses, which no waiting mends, as an error of ours; others as they are."""
    if isinstance(error, KafkaConfigurationError | ssl.SSLError | FileNotFoundError | PermissionError):
        return SettingsError(f"RETRAINER_KAFKA__…: the Kafka client refuses its settings: {error}")
    return error
