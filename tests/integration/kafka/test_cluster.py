"""Bad days of a cluster of three: leaders and coordinators that die or hang, and elections that cut logs off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import NoOffsetForPartitionError

from consumer.kafka.connecting import connect
from consumer.kafka.group import Membership
from consumer.ledger.ledger import Ledger
from consumer.listener.rebalance import RebalanceNotes
from consumer.listener.state import ListenerState
from schemas.events import encode
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.cluster import Cluster, kafka_cluster
from tests.integration.listening import (
    GROUP_13,
    committed,
    everything_is_read,
    gap_letters,
    has_caught_up,
    listening,
    pending,
    settings_for,
    stands_at,
)
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import names

pytestmark = pytest.mark.full

EVERYWHERE = {0: (1, 2, 3), 1: (2, 3, 1), 2: (3, 1, 2)}
IMPATIENT = {"request_timeout_ms": 3000, "metadata_max_age_ms": 1000}


@pytest.fixture(scope="module")
def running_cluster(kafka_can_run: None) -> Iterator[Cluster]:
    with kafka_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """All three nodes are there at the beginning of each test."""
    running_cluster.start()
    return running_cluster


def new_name() -> str:
    return f"t-{uuid4().hex[:8]}"


def send(cluster: Cluster, topic: Topic, users: list[str]) -> None:
    """By a producer that knows of the nodes that are well."""
    Topic(cluster.well, topic.name).send_users(users)


@pytest.mark.parametrize("breaks", [ApacheKafka.kill, ApacheKafka.freeze], ids=["killed", "frozen"])
def test_a_leader_that_is_gone_costs_nothing(
    cluster: Cluster, tmp_path: Path, ledger: Ledger, breaks: Callable[[ApacheKafka], None]
) -> None:
    topic = cluster.topic(new_name(), EVERYWHERE, min_insync_replicas="2")
    send(cluster, topic, names(60))
    settings = settings_for(topic, tmp_path, max_poll_records=20, **IMPATIENT)
    with listening(settings, ledger.intake) as listener:
        everything_is_read(ledger, 60)
        gone = cluster.leader(topic.name, 0)
        assert gone is not None
        breaks(cluster.nodes[gone])
        wait_until(lambda: cluster.leader(topic.name, 0) not in (None, gone), 30, "another leader")
        send(cluster, topic, names(60, start=60))
        everything_is_read(ledger, 120)
        cluster.start()
        send(cluster, topic, names(30, start=120))
        everything_is_read(ledger, 150)
        assert (listener.status.gaps, listener.status.dead) == (0, 0)
    assert pending(ledger) == set(names(150))
    assert sum(stands_at(ledger, topic).values()) == 150


@pytest.mark.parametrize("breaks", [ApacheKafka.kill, ApacheKafka.freeze], ids=["killed", "frozen"])
def test_a_coordinator_that_is_gone_costs_nothing_and_commits_follow_the_next_one(
    cluster: Cluster, tmp_path: Path, ledger: Ledger, breaks: Callable[[ApacheKafka], None]
) -> None:
    topic = cluster.topic(new_name(), EVERYWHERE, min_insync_replicas="2")
    settings = settings_for(topic, tmp_path, **IMPATIENT)
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 3)
        gone = wait_until(cluster.coordinator, 20, "a coordinator")
        assert gone is not None
        breaks(cluster.nodes[gone])
        wait_until(lambda: cluster.coordinator() not in (None, gone), 30, "another coordinator")
        send(cluster, topic, names(60))
        everything_is_read(ledger, 60)
        on_broker = Topic(cluster.well, topic.name)
        wait_until(
            lambda: committed(on_broker, settings.kafka.group_id) == stands_at(ledger, topic), 40, "commits to follow"
        )
        wait_until(lambda: listener.status.state == ListenerState.LISTENING, 40, "it to listen again")
    assert sum(stands_at(ledger, topic).values()) == 60


def test_a_coordinator_that_moves_while_every_node_is_well_costs_nothing_and_commits_follow(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = cluster.topic(new_name(), EVERYWHERE)
    settings = settings_for(topic, tmp_path, **IMPATIENT)
    group = settings.kafka.group_id
    with listening(settings, ledger.intake) as listener:
        for sent in (60, 120, 180):  # through every node and back
            send(cluster, topic, names(30, start=sent - 60))
            coordinator = wait_until(cluster.coordinator, 20, "a coordinator")
            assert coordinator is not None
            cluster.lead("__consumer_offsets", coordinator % 3 + 1)
            send(cluster, topic, names(30, start=sent - 30))
            everything_is_read(ledger, sent)
            wait_until(lambda: committed(topic, group) == stands_at(ledger, topic), 40, "commits to follow")
            wait_until(lambda: listener.status.state == ListenerState.LISTENING, 40, "it to listen")
        assert (listener.status.reconnects, listener.status.gaps, listener.status.partitions) == (0, 0, 3)
    assert pending(ledger) == set(names(180))
    assert sum(stands_at(ledger, topic).values()) == 180


def test_a_coordinator_that_hangs_in_the_middle_of_a_rebalance_is_not_waited_for(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = cluster.topic(new_name(), EVERYWHERE, min_insync_replicas="2")
    settings = settings_for(topic, tmp_path, **IMPATIENT)
    member = Membership(ledger.ledger_id, "another")
    other = connect(settings.kafka, grouped=True, stopping=Event(), waiting=lambda _reason, _pause: None, member=member)
    assert other is not None
    other.subscribe([topic.name], RebalanceNotes(other))
    with suppress(NoOffsetForPartitionError):  # it has its partitions then
        wait_until(lambda: other.poll(timeout_ms=100), 40, "the other member to have its partitions")
    with listening(settings, ledger.intake) as listener:  # the other does not poll any more, so it is waited for
        wait_until(lambda: state_of(topic, settings.kafka.group_id) == "PreparingRebalance", 40, "a rebalance")
        gone = wait_until(cluster.coordinator, 20, "a coordinator")
        assert gone is not None
        cluster.nodes[gone].freeze()
        other.close(timeout_ms=0)
        send(cluster, topic, names(60))
        everything_is_read(ledger, 60, seconds=60)
        assert listener.status.reconnects == 1


def state_of(topic: Topic, group: str) -> str:
    """A group's state, as its coordinator has it."""
    admin = KafkaAdminClient(bootstrap_servers=topic.broker)
    with closing(admin):
        return str(admin.describe_groups([group])[group]["group_state"])


def cut_off(cluster: Cluster, topic: Topic, meanwhile: Callable[[], None]) -> None:
    """The follower dies; `meanwhile` happens on the leader alone; that dies, too; the follower comes back and leads."""
    leader, follower = 1, 2
    cluster.nodes[follower].kill()
    meanwhile()
    cluster.nodes[leader].kill()
    cluster.nodes[follower].start()
    wait_until(lambda: cluster.leader(topic.name) == follower, 40, "the follower to lead")


def unclean(cluster: Cluster) -> Topic:
    config = {"unclean_leader_election_enable": "true", "min_insync_replicas": "1"}
    return cluster.topic(new_name(), {0: (1, 2)}, **config)


def test_what_an_unclean_election_cut_off_is_on_record_and_what_comes_instead_is_read(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = unclean(cluster)
    send(cluster, topic, names(50))
    with listening(settings_for(topic, tmp_path, **IMPATIENT), ledger.intake) as listener:
        everything_is_read(ledger, 50)

        def more() -> None:
            send(cluster, topic, names(30, start=50))
            everything_is_read(ledger, 80)

        cut_off(cluster, topic, more)
        wait_until(lambda: gap_letters(ledger), 40, "the gap to be on record")
        send(cluster, topic, names(20, start=80))
        everything_is_read(ledger, 100)
        has_caught_up(listener, 1)
        assert listener.status.gaps == 1
    ((offset, reason),) = gap_letters(ledger)
    assert (offset, "offsets 50 to 79 were read" in reason) == (80, True)
    assert "retrain in full" in reason
    assert pending(ledger) == set(names(100))
    assert stands_at(ledger, topic) == {0: 70}


def test_a_log_that_was_cut_off_and_grew_again_while_nobody_listened_is_noticed(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = unclean(cluster)
    send(cluster, topic, names(50))
    settings = settings_for(topic, tmp_path, **IMPATIENT)

    def more() -> None:
        send(cluster, topic, names(30, start=50))
        with listening(settings, ledger.intake):
            everything_is_read(ledger, 80)

    cut_off(cluster, topic, more)
    send(cluster, topic, names(60, start=80))  # offsets 50 to 109: where reading stopped, there is something else now
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 140)
    ((offset, reason),) = gap_letters(ledger)
    assert (offset, "offsets 50 to 79 were read" in reason) == (80, True)
    assert pending(ledger) == set(names(140))
    assert stands_at(ledger, topic) == {0: 110}


def test_a_transaction_that_ends_under_another_leader_leaves_no_gap(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = cluster.topic(new_name(), {0: (1, 2)})
    settings = settings_for(topic, tmp_path, **IMPATIENT)
    producer = KafkaProducer(bootstrap_servers=cluster.well, transactional_id=f"x-{topic.name}")
    producer.init_transactions()
    with listening(settings, ledger.intake):
        producer.begin_transaction()
        for user in names(10):
            producer.send(topic.name, value=encode(GROUP_13, user))
        producer.flush()
        cluster.lead(topic.name, 2)
        producer.commit_transaction()  # the marker has an epoch that the records do not have
        wait_until(lambda: stands_at(ledger, topic) == {0: 11}, 40, "records and marker to be passed")
    producer.close()
    send(cluster, topic, names(10, start=10))
    with listening(settings, ledger.intake) as listener:
        everything_is_read(ledger, 20)
        has_caught_up(listener, 1)
        assert listener.status.gaps == 0
    assert gap_letters(ledger) == []
    assert stands_at(ledger, topic) == {0: 21}


def test_a_log_that_was_cut_off_before_a_marker_is_noticed(cluster: Cluster, tmp_path: Path, ledger: Ledger) -> None:
    topic = unclean(cluster)
    send(cluster, topic, names(50))
    settings = settings_for(topic, tmp_path, **IMPATIENT)

    def more() -> None:
        # kafka-python's does not find the next coordinator in time where the first one was killed.
        producer = Producer({"bootstrap.servers": cluster.well, "transactional.id": f"x-{topic.name}"})
        producer.init_transactions(60)
        producer.begin_transaction()
        for user in names(30, start=50):
            producer.produce(topic.name, value=encode(GROUP_13, user))
        producer.commit_transaction(60)
        with listening(settings, ledger.intake):
            wait_until(lambda: stands_at(ledger, topic) == {0: 81}, 40, "records and marker to be passed")

    cut_off(cluster, topic, more)
    send(cluster, topic, names(60, start=80))
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 140)
    ((offset, reason),) = gap_letters(ledger)
    assert (offset, "offsets 50 to 80 were read" in reason) == (81, True)
    assert stands_at(ledger, topic) == {0: 110}


def test_brokers_that_hang_for_longer_than_every_timeout_are_waited_for(
    cluster: Cluster, tmp_path: Path, ledger: Ledger
) -> None:
    topic = cluster.topic(new_name(), EVERYWHERE, min_insync_replicas="2")
    send(cluster, topic, names(30))
    short = {**IMPATIENT, "session_timeout_ms": 2000, "max_poll_interval_ms": 3000}
    settings = settings_for(topic, tmp_path, **short)
    with listening(settings, ledger.intake) as listener:
        everything_is_read(ledger, 30)
        for node in cluster.nodes.values():
            node.freeze()
        with listening(settings, ledger.intake) as late:
            wait_until(lambda: listener.status.state == ListenerState.BROKER_AWAY, 40, "it to notice")
            wait_until(lambda: late.status.state == ListenerState.WAITING_FOR_BROKER, 40, "the late one to wait")
            hung_until = time.monotonic() + 5  # beyond session and poll interval

            def polls_on() -> bool:
                oldest = min(listener.status.polled_at, late.status.polled_at)
                assert time.time() - oldest < 15, "the health check would end it"
                return time.monotonic() > hung_until

            wait_until(polls_on, 20, "the timeouts to pass")
            cluster.start()
            send(cluster, topic, names(60, start=30))
            everything_is_read(ledger, 90)

            def both_listen() -> bool:
                both = (listener.status, late.status)
                return all(0 < status.partitions < 3 and status.state == ListenerState.LISTENING for status in both)

            wait_until(both_listen, 60, "both to listen")
    assert pending(ledger) == set(names(90))
    assert sum(stands_at(ledger, topic).values()) == 90
