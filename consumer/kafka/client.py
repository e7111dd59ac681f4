"""Making kafka-python clients from the settings: the options they share, and waiting for a broker and its topics."""

from __future__ import annotations

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)
from schemas.log_events.listener import BROKER_NOT_REACHED

# isort: split

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import CorruptRecordError, KafkaConfigurationError, KafkaError
from kafka.structs import OffsetAndMetadata
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import ConsumerError, SettingsError
from consumer.kafka import tls_files
from consumer.kafka.fetched import bounded
from consumer.kafka.group import Membership
from consumer.kafka.net import Failure, WatchedClient
from consumer.kafka.oauth import CachedToken, token_provider
from consumer.kafka.refusals import in_words, without_secrets
from consumer.kafka.tls_files import key_password

log = structlog.get_logger()

_BOOTSTRAP_MS = 5_000
_LONGEST_WAIT = 10.0
_FETCHED = 4 * 2**20
"""Bytes of a fetch, and as many of one partition. They bound the listener's memory, however many partitions there are.

A fetch is filled by one partition where there is a backlog: its users come together then, so fewer rows are written.
"""
_ASSIGNORS = {
    "eager": (RangePartitionAssignor, RoundRobinPartitionAssignor),
    "cooperative": (CooperativeStickyAssignor,),
}
_PROBE_MS = 3_000  # as long as a probe waits on a partition that has nothing more to give


class Unreachable(ConsumerError, KafkaError):  # type: ignore[misc]  # noqa: N818  (a reason to wait)
    """No broker can be used; the message says which and why."""


class TopicMissing(ConsumerError):  # noqa: N818  (a reason to wait)
    """The topic is not there yet."""


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every client needs: where the brokers are and how to speak with them."""
    files = {name: getattr(settings, name) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
    options = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        **{name: str(path) if path else None for name, path in files.items()},
        "ssl_password": key_password(settings),
        "ssl_check_hostname": settings.ssl_check_hostname,
        **_sasl(settings),
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": int(1000 * _LONGEST_WAIT),
        "kafka_client": WatchedClient,
    }
    return {name: value for name, value in options.items() if value is not None}


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    mechanism, user, password = settings.sasl_mechanism, settings.sasl_username, settings.sasl_password
    if mechanism is None or mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": _tokens(settings)}
    if user and mechanism.startswith("SCRAM"):
        user = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5802 5.1; the client sends it as it is
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


def _tokens(settings: KafkaSettings) -> CachedToken | None:
    endpoint, client_id = settings.sasl_oauth_token_endpoint, settings.sasl_oauth_client_id
    secret = settings.sasl_oauth_client_secret
    if settings.sasl_mechanism != "OAUTHBEARER" or endpoint is None or client_id is None or secret is None:
        return None
    return token_provider(endpoint, client_id, secret, settings.sasl_oauth_scope, settings.sasl_oauth_cafile)


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """A producer that has its records acknowledged by all replicas."""
    return {**client_options(settings), "acks": "all"}


def admin_options(settings: KafkaSettings) -> dict[str, Any]:
    """An admin client."""
    return client_options(settings)


def consumer_options(settings: KafkaSettings, *, grouped: bool, member: Membership | None = None) -> dict[str, Any]:
    """A consumer of raw bytes that never commits or resets by itself: offsets are the ledger's business.

    Grouped, it shares the partitions of the topic with those on the same ledger as `member`; alone, it has no group and
    cannot commit at all.
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


def connect(
    settings: KafkaSettings,
    *,
    grouped: bool,
    stopping: threading.Event,
    waiting: Callable[[str, float], None],
    again: bool = False,
    await_topics: bool = True,
    member: Membership | None = None,
) -> Any | None:
    """A consumer, once the broker answers and the topics are there; None when `stopping` was set first.

    What is refused may be mended while we wait, on the broker's side or in a file of ours: it is tried again, too.
    Later failures to connect are logged with their reason, each once.

    Args:
        settings: where and how.
        grouped: whether to read as a member of the group.
        stopping: ends the wait.
        waiting: called before each pause with the reason and its length in seconds, at least every twenty seconds.
        again: whether there was a consumer by these settings. A file that is wrong now is being replaced, then.
        await_topics: whether to wait for topics that are not there.
        member: who it is in the group.

    Raises:
        TopicMissing: a topic is not there, and is not waited for.
        SettingsError: the client cannot use its settings or files, which no waiting mends.
    """
    if not again:
        tls_files.check(settings)

    def say(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        reason = str(error.args[0]) if isinstance(error, ConsumerError) and error.args else str(error)
        waiting(without_secrets(reason, settings) or type(error).__name__, attempt.upcoming_sleep)

    retrying = Retrying(
        retry=retry_if_exception_type((KafkaError, TopicMissing) if await_topics else KafkaError),
        wait=wait_exponential_jitter(multiplier=0.5, max=_LONGEST_WAIT, jitter=0.5),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=say,
        reraise=True,
    )
    try:
        return retrying(_connect, settings, grouped, stopping, again, member)
    except KafkaError:
        return None
    except TopicMissing:
        if not await_topics:
            raise
        return None


def why_corrupt(settings: KafkaSettings, partition: TopicPartition, offset: int) -> str | None:
    """What a broker says that has a damaged record at an offset, asked by a consumer that is thrown away; else None.

    Raises:
        KafkaError: the broker does not answer.
    """
    consumer, _ = made(KafkaConsumer, settings, consumer_options(settings, grouped=False))
    with closing(consumer) as probe:
        probe.assign([partition])
        probe.seek(partition, offset)
        try:
            probe.poll(timeout_ms=_PROBE_MS)
        except CorruptRecordError as error:
            return str(error)
    return None


def topic_id(consumer: Any, topic: str) -> str | None:
    """The id that a topic was given when it was made; None where the broker does not say."""
    found = consumer._client.cluster.topic_id(topic)  # noqa: SLF001  (there is no public way)
    return str(found) if found is not None and found.int else None


def refresh_metadata(consumer: Any, timeout_ms: int) -> None:
    """Have the client ask the brokers what they know of the topic now.

    Raises:
        KafkaError: they do not answer in time.
    """
    update = consumer._client.cluster.request_update()  # noqa: SLF001  (the public ways wait without end)
    consumer._net.run(consumer._manager.wait_for, update, timeout_ms)  # noqa: SLF001


def seek(consumer: Any, partition: TopicPartition, offset: int, epoch: int | None) -> None:
    """Read a partition from an offset on.

    Args:
        consumer: has the partition assigned.
        partition: which.
        offset: of the first record to read.
        epoch: the leader epoch of the record before, where it is known: by it broker and client notice a log that was
            cut off before the offset, even if it has grown beyond it again (KIP-320).

    Raises:
        ValueError: the partition is not assigned.
    """
    consumer.seek(partition, offset)
    if epoch is not None:  # which the public way does not take
        consumer._subscription.seek(partition, OffsetAndMetadata(offset, "", epoch))  # noqa: SLF001


def position(consumer: Any, partition: TopicPartition) -> OffsetAndMetadata | None:
    """Where the client stands, with the leader epoch of the batch before, be that a transaction marker; -1 if unknown.

    Raises:
        KeyError: the partition is not assigned.
    """
    return consumer._subscription.position(partition)  # noqa: SLF001  (the public way tells the offset only)


def _connect(
    settings: KafkaSettings, grouped: bool, stopping: threading.Event, again: bool, member: Membership | None
) -> Any:
    if again and (wrong := tls_files.wrong(settings)) is not None:
        raise Unreachable(wrong)
    if (tokens := _tokens(settings)) is not None:
        tokens.token()  # here and not on the client's thread, which would be held up
    options = consumer_options(settings, grouped=grouped, member=member)
    consumer, client = made(KafkaConsumer, settings, options, stopping)
    try:
        with _failing_in_words(settings, [client]):
            missing = [topic for topic in settings.topics if not consumer.partitions_for_topic(topic)]
        if missing:
            raise TopicMissing(f"topic {' and topic '.join(missing)} does not exist yet")
    except BaseException:
        consumer.close()
        raise
    client.end_with(None)
    client.report_to(lambda failure: _log(failure, settings))
    return consumer


def made(
    kind: Callable[..., Any], settings: KafkaSettings, options: dict[str, Any], stopping: threading.Event | None = None
) -> tuple[Any, WatchedClient]:
    """A client of the brokers, and the network under it that knows why it is not connected. A consumer reads in bounds.

    Args:
        kind: consumer, producer or admin client.
        settings: by which refusals are told.
        options: what the client is made with.
        stopping: closes the client while it is still being made.

    Raises:
        Unreachable: no broker let it in; the message says why.
        KafkaError: it could not be made, and nobody knows why.
        SettingsError: it refuses its options.
    """
    networks: list[WatchedClient] = []

    def network(**more: Any) -> WatchedClient:
        networks.append(WatchedClient(**more))
        networks[-1].end_with(stopping)
        return networks[-1]

    try:
        with _failing_in_words(settings, networks):
            client = kind(**{**options, "kafka_client": network})
            return bounded(client) if isinstance(client, KafkaConsumer) else client, networks[-1]
    except BaseException:
        for one in networks:
            one.close()  # the constructor has started its thread by now, and does not end it
        raise


@contextmanager
def _failing_in_words(settings: KafkaSettings, clients: list[WatchedClient]) -> Iterator[None]:
    """Errors that say no more than that time is up, with what the client knows beside."""
    try:
        yield
    except KafkaConfigurationError as error:
        raise SettingsError(f"RETRAINER_KAFKA__…: the Kafka client refuses its settings: {error}") from error
    except KafkaError as error:
        known = [client.failure for client in clients if client.failure is not None]
        if not known:
            raise
        raise Unreachable(in_words(known[-1], settings)) from error


def _log(failure: Failure, settings: KafkaSettings) -> None:
    log.warning(BROKER_NOT_REACHED, reason=in_words(failure, settings))
