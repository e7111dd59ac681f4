"""The outbox: model events are written in the transaction that they tell of, and wait there for topic and webhook.

The ledger always writes them, whoever asks for them: an order may come from a machine that knows of no topic. What
nobody waits for is taken away, but for the newest.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, and_, delete, func, or_, select, update

from consumer.database.dialect import upsert
from consumer.database.engine import reading
from consumer.database.tables import identity, outbox
from schemas.model_events import ModelEventFacts, ModelEventType

KEPT = 1_000
"""So many events stay, sent or not; an older one stays while it waits for a channel that is set."""
_AT_ONCE = 100
_WAITS = {"topic": outbox.c.sent_to_topic, "webhook": outbox.c.sent_to_webhook}


class Channel(StrEnum):
    """Where model events go."""

    TOPIC = "topic"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the outbox."""

    number: int
    """Events are sent in the order of their numbers, which is that of their commits."""
    event_id: str
    type: ModelEventType
    facts: ModelEventFacts
    at: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Events that the webhook never got."""

    events: int
    """Of those that are still kept."""
    last_error: str | None
    """Why, of the last one."""


def tell(connection: Connection, name: str, kind: ModelEventType, facts: ModelEventFacts, now: float) -> None:
    """Put an event into the outbox, in the connection's transaction. One that is there already is left as it is.

    Args:
        connection: a transaction that writes.
        name: tells the event from all others of this ledger, as its id does from those of all ledgers.
        kind: what happened.
        facts: what there is to say.
        now: seconds since the epoch.
    """
    ledger_id = connection.scalars(select(identity.c.ledger_id)).one()
    event = {"type": kind.value, "facts": facts.model_dump(mode="json")}
    row = upsert(connection, outbox).values(event_id=f"{ledger_id}-{name}", event=event, at=now)
    connection.execute(row.on_conflict_do_nothing())


class Outbox:
    """The outbox as those who send see it. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def waiting(self, channel: Channel) -> list[Waiting]:
        """The oldest events that a channel does not have yet, in order, a portion of them."""
        oldest = select(outbox).where(_WAITS[channel].is_(False)).order_by(outbox.c.number).limit(_AT_ONCE)
        with reading(self._engine) as connection:
            rows = connection.execute(oldest).all()
        return [
            Waiting(
                number=row.number,
                event_id=row.event_id,
                type=ModelEventType(row.event["type"]),
                facts=ModelEventFacts.model_validate(row.event["facts"]),
                at=row.at,
            )
            for row in rows
        ]

    def count_waiting(self, channel: Channel) -> int:
        """How many events a channel does not have yet."""
        with reading(self._engine) as connection:
            counted = select(func.count()).select_from(outbox).where(_WAITS[channel].is_(False))
            return connection.scalar(counted) or 0

    def given_up(self) -> GivenUp:
        """The events that were given up."""
        of = outbox.c
        gone = and_(of.sent_to_webhook.is_(True), of.last_error.is_not(None))
        with reading(self._engine) as connection:
            count = connection.scalar(select(func.count()).select_from(outbox).where(gone)) or 0
            last = connection.scalar(select(of.last_error).where(gone).order_by(of.number.desc()).limit(1))
        return GivenUp(count, last)

    def trouble(self) -> str | None:
        """Why the webhook did not take the oldest event that waits for it; None where nothing failed."""
        oldest = select(outbox.c.last_error).where(outbox.c.sent_to_webhook.is_(False)).order_by(outbox.c.number)
        with reading(self._engine) as connection:
            return connection.scalar(oldest.limit(1))

    def sent(self, channel: Channel, number: int) -> None:
        """Note that a channel has an event, acknowledged."""
        values = {_WAITS[channel].name: True, **({"last_error": None} if channel is Channel.WEBHOOK else {})}
        with self._engine.begin() as connection:
            connection.execute(update(outbox).where(outbox.c.number == number).values(values))

    def refused(self, number: int, error: str) -> None:
        """Note why the webhook did not take an event, which goes on waiting."""
        with self._engine.begin() as connection:
            connection.execute(update(outbox).where(outbox.c.number == number).values(last_error=error))

    def give_up(self, before: float, error: str) -> int:
        """Let the webhook wait no longer for events from before a time; gives how many there were."""
        old = and_(outbox.c.sent_to_webhook.is_(False), outbox.c.at < before)
        with self._engine.begin() as connection:
            return connection.execute(update(outbox).where(old).values(sent_to_webhook=True, last_error=error)).rowcount

    def trim(self, channels: Collection[Channel], kept: int = KEPT) -> int:
        """Delete all but the newest `kept`, and but those that wait for one of `channels`; gives how many went."""
        newest = select(func.max(outbox.c.number)).scalar_subquery()
        waits = or_(*(_WAITS[channel].is_(False) for channel in channels)) if channels else None
        with reading(self._engine) as connection:
            first, last = connection.execute(select(func.min(outbox.c.number), func.max(outbox.c.number))).one()
        if first is None or last - first < kept:
            return 0
        old = outbox.c.number <= newest - kept
        with self._engine.begin() as connection:
            return connection.execute(delete(outbox).where(old if waits is None else and_(old, ~waits))).rowcount
