"""A real listener on a topic of its own, and what is to be seen of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from sqlalchemy import select

from consumer.changes.kinds import USERS
from consumer.changes.portions import in_portion_of
from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.database.tables import PENDING
from consumer.dead_letters.store import Which
from consumer.ledger.intake import Intake
from consumer.ledger.ledger import Ledger
from consumer.listener.listener import Listener
from consumer.settings import Settings
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP

GROUP_13 = GROUP.model_copy(update={"id": 13})


def settings_for(topic: Topic, folder: Path, **kafka: object) -> Settings:
    """Settings of a listener that joins and commits quickly."""
    options = {"session_timeout_ms": 6000, "commit_interval": 0.2, **kafka}
    return Settings(
        state_dir=folder,
        feature_group=GROUP_13,
        kafka=KafkaSettings.model_validate(
            {
                "bootstrap_servers": topic.broker.split(","),
                "topic": topic.name,
                "group_id": f"g-{topic.name}",
                **options,
            }
        ),
    )


@contextmanager
def listening(settings: Settings, intake: Intake) -> Iterator[Listener]:
    """A listener, for as long as the block runs; it has to end in good order."""
    listener = Listener(settings, intake, Clock(), lambda: None)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()
        listener.join(100)
    assert not listener.is_alive()
    assert listener.failure is None


def has_caught_up(listener: Listener, partitions: int, seconds: float = 40) -> None:
    """Wait until it has so many partitions, and all that they hold is stored.

    That it has caught up says too little by itself: so has one that has no partition yet.
    """

    def all_is_stored() -> bool:
        heard = listener.status
        return (heard.partitions, heard.caught_up, heard.lag) == (partitions, True, 0)

    wait_until(all_is_stored, seconds, f"all that {partitions} partitions hold to be stored")


def read(ledger: Ledger) -> int:
    """How many events the ledger has counted."""
    return ledger.views.read().events


def everything_is_read(ledger: Ledger, count: int, seconds: float = 40) -> None:
    """Wait until `count` events are in the ledger; there must not be more."""
    wait_until(lambda: read(ledger) >= count, seconds, f"{count} events in the ledger")
    assert read(ledger) == count


def pending(ledger: Ledger) -> set[str]:
    """The users whose changes are pending."""
    with ledger.engine.connect() as connection:
        return set(connection.scalars(select(USERS.key).where(in_portion_of(USERS, PENDING))))


def stands_at(ledger: Ledger, topic: Topic) -> dict[int, int]:
    """The ledger's next offset of each partition."""
    return {partition.number: offset for partition, offset in ledger.intake.positions(topic.name).items()}


def gap_letters(ledger: Ledger) -> list[tuple[int, str]]:
    """Offset and reason of each gap that is on record, the oldest first."""
    letters = ledger.letters.find(Which(status=None, stage="gap"), 100)
    return [(letter.position.offset, letter.reason) for letter in reversed(letters)]


def committed(topic: Topic, group: str) -> dict[int, int]:
    """The group's committed offset of each partition, as the broker has it."""
    admin = KafkaAdminClient(bootstrap_servers=topic.broker)
    with closing(admin):
        found = admin.list_group_offsets([group])[group]
    return {tp.partition: at.offset for tp, at in found.items() if tp.topic == topic.name}


def commits_of(topic: Topic, group: str) -> list[tuple[int, int]]:
    """Partition and offset of each commit of the group that the broker took, in order: from its own topic of them."""
    place, found = TopicPartition("__consumer_offsets", 0), []
    with closing(KafkaConsumer(bootstrap_servers=topic.broker, group_id=None)) as consumer:
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        while consumer.position(place) < end:
            for records in consumer.poll(timeout_ms=200).values():
                found += [commit for record in records if (commit := _commit(record, topic.name, group)) is not None]
    return found


def _commit(record: Any, topic: str, group: str) -> tuple[int, int] | None:
    begin = b"".join(struct.pack(f">H{len(name)}s", len(name), name.encode()) for name in (group, topic))
    version, of, partition = record.key[:2], record.key[2:-4], record.key[-4:]
    if version > b"\0\1" or of != begin or record.value is None:
        return None
    return int.from_bytes(partition, "big"), int.from_bytes(record.value[2:10], "big")
