"""Kafka clients that fail fast, with the reason in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka.errors import KafkaError

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.clients import BrokerUnreachable, make_admin, make_consumer
from consumer.kafka.options import admin_options, consumer_options
from consumer.kafka.ports import Admin, TopicReader
from consumer.kafka.refusals import without_secrets
from consumer.kafka.tls_files import check
from retrainer.doctor.checks import CheckFailed

BOOTSTRAP_MS, REQUEST_MS = 5_000, 4_000
_CONNECTION = "see what the line above names, RETRAINER_KAFKA__BOOTSTRAP_SERVERS, and whether a firewall is between"


@contextmanager
def admin(kafka: KafkaSettings) -> Iterator[Admin]:
    """An admin client, connected.

    Raises:
        CheckFailed: there is no connection.
    """
    with _client(make_admin, admin_options(kafka), kafka) as client:
        yield client


@contextmanager
def reader(kafka: KafkaSettings) -> Iterator[TopicReader]:
    """A consumer without a group, so that other readers are not disturbed.

    Raises:
        CheckFailed: there is no connection.
    """
    with _client(_make_reader, consumer_options(kafka, grouped=False), kafka) as client:
        yield client


@contextmanager
def _client(make: Any, options: dict[str, Any], kafka: KafkaSettings) -> Iterator[Any]:
    check(kafka)
    patience = {"bootstrap_timeout_ms": BOOTSTRAP_MS, "request_timeout_ms": REQUEST_MS}
    try:
        client = make(kafka, options | patience)
    except BrokerUnreachable as error:
        raise CheckFailed(f"no connection to {error.args[0]}", _CONNECTION) from None
    except (KafkaError, OSError) as error:
        said = f"{', '.join(kafka.bootstrap_servers)}: {without_secrets(str(error), kafka)}"
        raise CheckFailed(f"no connection to {said}", _CONNECTION) from None
    with closing(client):
        yield client


def _make_reader(kafka: KafkaSettings, options: dict[str, Any]) -> TopicReader:
    return make_consumer(kafka, options)[0]
