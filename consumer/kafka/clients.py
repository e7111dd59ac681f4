"""Making clients: each behind its port, and with a reason in words where no broker lets it in."""

from __future__ import annotations

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)

# isort: split

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConfigurationError, KafkaError

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import ConsumerError, SettingsError
from consumer.kafka.adapter import KafkaPythonConsumer
from consumer.kafka.admin import KafkaPythonAdmin
from consumer.kafka.net import WatchedClient
from consumer.kafka.ports import Producer
from consumer.kafka.refusals import in_words


class BrokerUnreachable(ConsumerError, KafkaError):  # type: ignore[misc]  # noqa: N818  (a reason to wait)
    """No broker can be used; the message says which and why."""


def make_consumer(
    settings: KafkaSettings, options: Mapping[str, Any], stopping: threading.Event | None = None
) -> tuple[KafkaPythonConsumer, WatchedClient]:
    """A consumer that is connected, and the network under it.

    Args:
        settings: for the words of refusals.
        options: as `options.consumer_options` makes them.
        stopping: closes the client while it is still being made.

    Raises:
        BrokerUnreachable: no broker let the client in; the message says why.
        KafkaError: the client could not be made, and nobody knows why.
        SettingsError: the client refuses its options.
    """
    client, network = _made(KafkaConsumer, settings, options, stopping)
    return KafkaPythonConsumer(client, network, settings), network


def make_admin(
    settings: KafkaSettings, options: Mapping[str, Any], stopping: threading.Event | None = None
) -> KafkaPythonAdmin:
    """An admin client that is connected. Arguments and errors are those of `make_consumer`."""
    return KafkaPythonAdmin(*_made(KafkaAdminClient, settings, options, stopping))


def make_producer(settings: KafkaSettings, options: Mapping[str, Any]) -> Producer:
    """A producer that is connected. Arguments and errors are those of `make_consumer`."""
    producer: Producer = _made(KafkaProducer, settings, options)[0]
    return producer


@contextmanager
def failing_in_words(settings: KafkaSettings, clients: list[WatchedClient]) -> Iterator[None]:
    """Have errors that say no more than that time is up say what the clients know besides.

    Raises:
        BrokerUnreachable: instead of a KafkaError, where one of the clients knows why.
        SettingsError: a client refuses its options.
    """
    try:
        yield
    except KafkaConfigurationError as error:
        raise SettingsError(f"RETRAINER_KAFKA__…: the Kafka client refuses its settings: {error}") from error
    except KafkaError as error:
        known = [client.failure for client in clients if client.failure is not None]
        if not known:
            raise
        raise BrokerUnreachable(in_words(known[-1], settings)) from error


def _made(
    kind: Callable[..., Any],
    settings: KafkaSettings,
    options: Mapping[str, Any],
    stopping: threading.Event | None = None,
) -> tuple[Any, WatchedClient]:
    networks: list[WatchedClient] = []

    def network(**more: Any) -> WatchedClient:
        networks.append(WatchedClient(**more))
        networks[-1].end_with(stopping)
        return networks[-1]

    try:
        with failing_in_words(settings, networks):
            return kind(**{**options, "kafka_client": network}), networks[-1]
    except BaseException:
        for one in networks:
            one.close()  # the constructor has started its thread by now, and does not end it
        raise
