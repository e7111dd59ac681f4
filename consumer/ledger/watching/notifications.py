"""Messages to people: written in one transaction with the alert that they tell of, and waiting there for channels.

News come from the outbox of model events, which has them in the transaction that they tell of. Each event gets a row
here, under its own id, once somebody has decided whether and with which message it is told: so it is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, and_, delete, exists, func, or_, select, update

from consumer.database.dialect import upsert
from consumer.database.engine import reading
from consumer.database.tables import identity, notifications, outbox
from consumer.ledger.outbox import Waiting
from consumer.ledger.watching import alerts
from consumer.ledger.watching.alerts import OnRecord
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.watching.notifications import Notification

KEPT = 2_000
"""So many rows stay, sent or not; an older one stays while it waits for a channel that is set."""
REFUSALS = "refusal"
"""The name of the record of refusals in a row: since when, and when they were told last."""
_AT_ONCE = 100
_HOUR = 3600.0


class Channel(StrEnum):
    """Where messages go."""

    WEBHOOK = "webhook"
    CHAT = "chat"


_WAITS = {Channel.WEBHOOK: notifications.c.sent_to_webhook, Channel.CHAT: notifications.c.sent_to_chat}


@dataclass(frozen=True, slots=True)
class Found:
    """What is on record when somebody decides what to tell."""

    alerts: dict[str, OnRecord]
    news: tuple[Waiting, ...]
    """Events of which nobody has decided yet, in order."""
    told_lately: int
    """Messages of the last hour."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits for a channel."""

    number: int
    notification: Notification
    at: float


class Writing:
    """One transaction that decides what is told. Each step says whether it was ours to tell.

    Args:
        connection: the transaction.
        now: seconds since the epoch.
        channels: those that are set; a channel that is set later is told nothing of today.
    """

    def __init__(self, connection: Connection, now: float, channels: Collection[Channel]) -> None:
        self._connection = connection
        self._now = now
        self._sent = {column.name: channel not in channels for channel, column in _WAITS.items()}

    def open(self) -> None:
        """Before the first message: what happened earlier is not told. Afterwards this changes nothing."""
        if self._connection.scalar(select(notifications.c.number).limit(1)) is None:
            ledger_id = self._connection.scalars(select(identity.c.ledger_id)).one()
            events = self._connection.scalars(select(outbox.c.event_id).order_by(outbox.c.number)).all()
            self.settle([f"{ledger_id}-opened", *events])

    def begin(self, alert: OnRecord, message: Notification) -> bool:
        """Tell that an alert begins."""
        return alerts.begin(self._connection, alert) and self._put(message)

    def repeat(self, seen: OnRecord, message: Notification, summary: str) -> bool:
        """Tell that an alert lasts."""
        return alerts.repeat(self._connection, seen, self._now, summary) and self._put(message)

    def end(self, seen: OnRecord, message: Notification | None) -> bool:
        """Tell that an alert is over, or take it off the record without a word."""
        return alerts.end(self._connection, seen) and (message is None or self._put(message))

    def settle(self, events: Sequence[str], tell: Callable[[Sequence[str]], Notification] | None = None) -> list[str]:
        """Decide of events: with `tell`, one message tells them all, under the id of the last one.

        Args:
            events: their ids, in order.
            tell: makes the message of those that are ours; None for no word.

        Returns:
            The ids of the events that nobody had decided of.
        """
        ours = [event for event in events if self._insert(event, None)]
        if ours and tell is not None:
            told = {"message": tell(ours).model_dump(mode="json"), **self._sent}
            row = update(notifications).where(notifications.c.message_id == ours[-1])
            self._connection.execute(row.values(told))
        return ours

    def refusals_told(self, seen: OnRecord | None, summary: str) -> None:
        """Note that refusals were told; `seen` is the record of the row that they go on with."""
        if seen is None:
            alerts.begin(self._connection, OnRecord(REFUSALS, self._now, self._now, summary))
        else:
            alerts.repeat(self._connection, seen, self._now, summary)

    def row_is_over(self, seen: OnRecord) -> None:
        """Note that a row of refusals is over."""
        alerts.end(self._connection, seen)

    def told_without(self, alert: OnRecord, message: Notification, channels: Collection[Channel]) -> None:
        """Put on record what these channels were told while the ledger could not be written."""
        alerts.begin(self._connection, alert)
        if self._put(message):
            row = update(notifications).where(notifications.c.message_id == message.id)
            for channel in channels:
                self._connection.execute(row.values({_WAITS[channel].name: True}))

    def _put(self, message: Notification) -> bool:
        return self._insert(message.id, message)

    def _insert(self, message_id: str, message: Notification | None) -> bool:
        """A row; without a message, one that nobody waits for."""
        sent = dict.fromkeys(self._sent, True) if message is None else self._sent
        told = {} if message is None else message.model_dump(mode="json")
        row = upsert(self._connection, notifications).values(message_id=message_id, message=told, at=self._now, **sent)
        made = row.on_conflict_do_nothing().returning(notifications.c.number)  # a count of rows is not told by all
        return self._connection.scalar(made) is not None


class Notifications:
    """The messages of a ledger. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, now: float, news_since: float) -> Found:
        """What is on record; of events that nobody decided of, those since a time."""
        decided = exists().where(notifications.c.message_id == outbox.c.event_id)
        fresh = select(outbox).where(outbox.c.at >= news_since, ~decided).order_by(outbox.c.number).limit(_AT_ONCE)
        of = notifications.c
        of_the_hour = select(of.message).where(of.at > now - _HOUR).order_by(of.number.desc()).limit(KEPT)
        with reading(self._engine) as connection:
            rows, told = connection.execute(fresh).all(), connection.scalars(of_the_hour).all()
            known = alerts.on_record(connection)
        return Found(known, tuple(map(_event, rows)), sum(bool(message) for message in told))

    @contextmanager
    def writing(self, now: float, channels: Collection[Channel]) -> Iterator[Writing]:
        """One transaction; see `Writing`."""
        with self._engine.begin() as connection:
            yield Writing(connection, now, channels)

    def waiting(self, channel: Channel) -> list[Message]:
        """The oldest message that a channel does not have yet, if there is one.

        One at a time: another instance may have sent the next one meanwhile.
        """
        oldest = select(notifications).where(_WAITS[channel].is_(False)).order_by(notifications.c.number).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(oldest).one_or_none()
        if row is None:
            return []
        try:
            return [Message(row.number, Notification.model_validate(row.message), row.at)]
        except ValidationError:  # a later release wrote it; it must not hold up the others for ever
            self.sent(channel, row.number)
            return []

    def sent(self, channel: Channel, number: int, error: str | None = None) -> None:
        """Note that a channel has a message; `error` says who of several receivers has not."""
        with self._engine.begin() as connection:
            row = update(notifications).where(notifications.c.number == number)
            connection.execute(row.values({_WAITS[channel].name: True, "last_error": error}))

    def refused(self, number: int, error: str) -> None:
        """Note why a channel did not take a message, which goes on waiting."""
        with self._engine.begin() as connection:
            row = update(notifications).where(notifications.c.number == number)
            connection.execute(row.values(last_error=error))

    def give_up(self, channel: Channel, before: float, error: str) -> int:
        """Let a channel wait no longer for messages from before a time; gives how many there were."""
        old = and_(_WAITS[channel].is_(False), notifications.c.at < before)
        with self._engine.begin() as connection:
            row = update(notifications).where(old)
            return connection.execute(row.values({_WAITS[channel].name: True, "last_error": error})).rowcount

    def count_waiting(self, channel: Channel) -> int:
        """How many messages a channel does not have yet."""
        counted = select(func.count()).select_from(notifications).where(_WAITS[channel].is_(False))
        with reading(self._engine) as connection:
            return connection.scalar(counted) or 0

    def trouble(self, channel: Channel) -> str | None:
        """Why a channel did not take the oldest message that waits for it, or the newest one; None where it took it."""
        of = notifications.c
        oldest = select(of.last_error).where(_WAITS[channel].is_(False)).order_by(of.number).limit(1)
        with reading(self._engine) as connection:
            return connection.scalar(oldest)

    def last_error(self) -> str | None:
        """Why the newest message did not get to everybody; None where it did, or still waits."""
        of = notifications.c
        newest = select(of.last_error, of.sent_to_webhook, of.sent_to_chat).order_by(of.number.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(newest).one_or_none()
        return row.last_error if row is not None and row.sent_to_webhook and row.sent_to_chat else None

    def alerts(self) -> list[OnRecord]:
        """The alerts on record, the oldest first."""
        with reading(self._engine) as connection:
            return list(alerts.on_record(connection).values())

    def trim(self, channels: Collection[Channel], kept: int = KEPT) -> int:
        """Delete all but the newest `kept`, and but those that wait for one of `channels`; gives how many went."""
        newest = select(func.max(notifications.c.number)).scalar_subquery()
        waits = or_(*(_WAITS[channel].is_(False) for channel in channels)) if channels else None
        old = notifications.c.number <= newest - kept
        with self._engine.begin() as connection:
            which = old if waits is None else and_(old, ~waits)
            return connection.execute(delete(notifications).where(which)).rowcount


def _event(row: Any) -> Waiting:
    facts = ModelEventFacts.model_validate(row.event["facts"])
    return Waiting(row.number, row.event_id, ModelEventType(row.event["type"]), facts, row.at)
