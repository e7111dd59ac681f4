"""Members of a group that come and go, eager and cooperative, and Kafka's copy of the offsets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from consumer.dead_letters.letter import DeadLetter
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.positions import Partition, Position
from schemas.log_events.listener import RECONNECTING
from tests.integration.listening import (
    commits_of,
    committed,
    everything_is_read,
    listening,
    pending,
    settings_for,
    stands_at,
)
from tests.integration.service import Service
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, names

WAYS = ("eager", "cooperative")


@contextmanager
def watched_commits(topic: Topic, group: str) -> Iterator[list[dict[int, int]]]:
    """What the broker had as committed, asked again and again while the block runs."""
    seen: list[dict[int, int]] = []
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.1):
            with suppress(KafkaError):  # at first there is no coordinator
                seen.append(committed(topic, group))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stopping.set()
        watcher.join(100)


@pytest.mark.full
@pytest.mark.parametrize("assignment", WAYS)
def test_members_come_and_go_everything_is_stored_once_and_commits_only_go_forward(
    kafka_address: str, tmp_path: Path, ledger: Ledger, assignment: str
) -> None:
    topic = Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path, max_poll_records=20, assignment=assignment)
    with watched_commits(topic, settings.kafka.group_id) as seen:
        with listening(settings, ledger.intake) as first:
            wait_until(lambda: first.status.partitions == 3, 40, "the first to have all partitions")
            topic.send_users(names(200))
            with listening(settings, ledger.intake) as second:
                topic.send_users(names(200, start=200))
                wait_until(lambda: 0 < first.status.partitions < 3, 40, "the first to share its partitions")
                wait_until(lambda: second.status.partitions > 0, 40, "the second to have a partition")
                topic.send_users(names(200, start=400))
                everything_is_read(ledger, 600)
                wait_until(lambda: seen and seen[-1] == stands_at(ledger, topic), 20, "the commits of both")
            wait_until(lambda: first.status.partitions == 3, 40, "the first to have all partitions again")
            topic.send_users(names(100, start=600))
            everything_is_read(ledger, 700)
            wait_until(lambda: seen[-1] == stands_at(ledger, topic), 20, "the commits to follow")
        assert (first.status.gaps, first.status.reconnects, second.status.reconnects) == (0, 0, 0)
    assert pending(ledger) == set(names(700))
    for before, after in pairwise(seen):
        assert all(after[partition] >= offset for partition, offset in before.items())


def test_commits_of_quiet_partitions_are_repeated_so_that_they_do_not_expire(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=2)
    topic.send_users(names(10), partition=0)  # and none in the other one
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 10)
        group = settings.kafka.group_id
        at_rest = {(0, 10), (1, 0)}
        wait_until(lambda: at_rest <= set(commits_of(topic, group)), 20, "the first commits of what was read")
        before = len(commits_of(topic, group))
        wait_until(lambda: len(commits_of(topic, group)) >= before + 6, 20, "the same to be committed again")
        assert set(commits_of(topic, group)[before:]) == at_rest


@pytest.mark.parametrize("assignment", WAYS)
def test_kept_partitions_are_sought_to_the_ledger_too(
    kafka_address: str, tmp_path: Path, ledger: Ledger, assignment: str
) -> None:
    topic = Topic.new(kafka_address)
    for partition in range(3):
        topic.send_users(names(10, start=10 * partition), partition=partition)
    settings = settings_for(topic, tmp_path, assignment=assignment)
    with listening(settings, ledger.intake) as first:
        everything_is_read(ledger, 30)
        for partition in range(3):  # somebody moves the ledger back, which a listener that keeps its partitions ignores
            letter = DeadLetter(Position(topic.name, partition, 10), 0.0, None, None, (), "gap", "to see who seeks")
            ledger.intake.jump(Partition(topic.name, partition), 10, 0, letter, 0.0)
        with listening(settings, ledger.intake) as second:
            wait_until(lambda: first.status.partitions and second.status.partitions, 40, "both to have partitions")
            everything_is_read(ledger, 60)


def test_an_eager_and_a_cooperative_member_do_not_mix_and_the_second_says_so(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address)
    eager = settings_for(topic, tmp_path)
    with listening(eager, ledger.intake) as first:
        wait_until(lambda: first.status.partitions == 3, 40, "the first to have all partitions")
        with listening(settings_for(topic, tmp_path, assignment="cooperative"), ledger.intake) as second:
            wait_until(lambda: second.status.state == ListenerState.POLL_FAILS, 40, "the second to be refused")
            topic.send_users(names(30))
            everything_is_read(ledger, 30)
        assert first.status.partitions == 3


@contextmanager
def held(service: Service) -> Iterator[None]:
    """Its trainers stand still while the block runs."""
    trainers = service.trainers()
    for trainer in trainers:
        trainer.suspend()
    try:
        yield
    finally:
        for trainer in trainers:
            trainer.resume()


@pytest.mark.full
@pytest.mark.parametrize("assignment", WAYS)
def test_a_rebalance_during_a_cycle_changes_nothing_of_what_versions_cover(
    kafka_address: str, tmp_path: Path, assignment: str
) -> None:
    service = Service(tmp_path, kafka_address, KAFKA__ASSIGNMENT=assignment)
    own = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    settings = settings_for(service.topic, tmp_path, assignment=assignment)
    settings = settings.model_copy(update={"feature_group": GROUP})
    try:
        service.fill(200)
        ends = [service.topic.ends()]
        service.start()
        service.wait_for_step("read", 0)
        with held(service), listening(settings, own.intake) as second:
            wait_until(lambda: second.status.partitions > 0, 40, "the second to have a partition")
            service.wave(1)
            ends.append(service.topic.ends())
            everything_is_read(own, sum(ends[-1].values()))
            assert not service.ended()
        service.wait_for_cycles(2)
        versions = service.versions()
        assert [version["changed_users"] for version in versions] == [200, 40]
        before = dict.fromkeys(ends[0], 0)
        for version, after in zip(versions, ends, strict=True):
            covered = {str(part): [before[part], end] for part, end in after.items() if before[part] < end}
            assert version["offsets"] == {service.topic.name: covered}
            before = after
        assert not [line for line in service.log() if line["event"] == RECONNECTING]
        assert service.stop() == 0
    finally:
        service.close()
        own.close()
