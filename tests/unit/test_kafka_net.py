"""Our network client where nobody listens: nothing of a refused connection stays open."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import psutil
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from consumer.kafka_net import WatchedClient
from tests.brokers.apache_kafka import free_port


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without the garbage collector, what is still open at the end is what nobody has closed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # one address, and on most machines two
def test_a_refused_connection_leaves_no_socket_open(host: str) -> None:
    options = {"reconnect_backoff_ms": 10, "reconnect_backoff_max_ms": 20, "bootstrap_timeout_ms": 1_000}
    before = psutil.Process().num_fds()
    with pytest.raises(KafkaError):
        KafkaConsumer(bootstrap_servers=f"{host}:{free_port()}", kafka_client=WatchedClient, **options)
    of_the_client = 8  # its selector, and the pairs of sockets that wake it
    assert psutil.Process().num_fds() <= before + of_the_client
