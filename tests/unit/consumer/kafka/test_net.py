"""Our network client where nobody listens: nothing of what was tried in vain stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import psutil
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.future import Future

from consumer.kafka.net import WatchedClient
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


@pytest.fixture
def client() -> Iterator[WatchedClient]:
    """A client that has not connected yet."""
    client = WatchedClient(bootstrap_servers=f"127.0.0.1:{free_port()}")
    yield client
    client.close()


def test_waits_that_ran_out_of_time_leave_nothing_on_what_they_waited_for(client: WatchedClient) -> None:
    awaited = Future()  # such as new metadata, for which one future stands until a broker answers
    for _ in range(20):
        with pytest.raises(KafkaTimeoutError):
            client._net.run(client._watched.wait_for, awaited, 1)
    assert awaited._callbacks == awaited._errbacks == []


def test_a_wait_brings_what_was_waited_for_be_it_good_or_bad(client: WatchedClient) -> None:
    good, bad, done = Future(), Future(), Future().success("done")
    client._net.call_later(0.05, lambda: (good.success("good"), bad.failure(KafkaError("bad"))))
    assert client._net.run(client._watched.wait_for, good, 5_000) == "good"
    with pytest.raises(KafkaError, match="bad"):
        client._net.run(client._watched.wait_for, bad, 5_000)
    assert client._net.run(client._watched.wait_for, done, None) == "done"
