"""A real listener on a topic of its own, and what is to be seen of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from sqlalchemy import select

from consumer.kafka.settings import KafkaSettings
from consumer.ledger.intake import Intake
from consumer.ledger.ledger import Ledger
from consumer.ledger.letters import Which
from consumer.ledger.tables import PENDING, changes
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
    listener = Listener(settings, intake, time.time, lambda: None)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()
        listener.join(20)
    assert not listener.is_alive()
    assert listener.failure is None


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
        return set(connection.scalars(select(changes.c.user_id).where(changes.c.cycle_id == PENDING)))


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
