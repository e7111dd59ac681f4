"""Trouble of the ledger is told without the ledger, once by each channel, and put on record afterwards."""

from __future__ import annotations

from collections.abc import Collection

from consumer.ledger.watching.alerts import OnRecord
from consumer.ledger.watching.notifications import Channel
from consumer.notifications.aloud import Aloud
from consumer.sending.patience import Patience
from consumer.sending.ports import NotSent
from schemas.watching.notifications import Notification
from tests.unit.consumer.notifications.made import NOW, Way, message


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Record:
    """Stands for a transaction."""

    def __init__(self) -> None:
        self.written: list[tuple[OnRecord, Notification, Collection[Channel]]] = []

    def told_without(self, alert: OnRecord, told: Notification, channels: Collection[Channel]) -> None:
        self.written.append((alert, told, channels))


def aloud(*ways: Way, clock: Clock) -> Aloud:
    return Aloud(ways, Patience(first=5.0, longest=60.0), clock, lambda: 0.0)


def tell(loud: Aloud, name: str = "m1") -> None:
    loud.tell(message(name, kind="trouble"), NOW - 60, "disk full", NOW)


def test_each_channel_is_told_once_however_often_it_is_tried() -> None:
    hook, chat, clock = Way(), Way(Channel.CHAT), Clock()
    chat.will = [NotSent("away"), NotSent("away"), None]
    loud = aloud(hook, chat, clock=clock)
    for at in range(40):
        clock.now = float(at)
        if "trouble" not in loud.with_told({}):
            tell(loud, f"m{at}")
    assert [one.id for one in hook.took] == [one.id for one in chat.took] == ["m0"]
    assert chat.tries == 3  # after 5 s, and 10 s
    assert loud.with_told({})["trouble"] == OnRecord("trouble", NOW - 60, NOW, "disk full")


def test_it_is_put_on_record_for_those_who_have_heard_it() -> None:
    hook, chat, clock, record = Way(), Way(Channel.CHAT), Clock(), Record()
    chat.will = [NotSent("away")]
    loud = aloud(hook, chat, clock=clock)
    tell(loud)
    loud.put_on_record(record)  # type: ignore[arg-type]
    ((alert, told, channels),) = record.written
    assert (alert.name, told.id, set(channels)) == ("trouble", "m1", {Channel.WEBHOOK})
    loud.is_on_record()
    loud.put_on_record(record)  # type: ignore[arg-type]
    assert len(record.written) == 1


def test_what_nobody_has_heard_is_left_to_the_ledger() -> None:
    hook, clock, record = Way(), Clock(), Record()
    hook.will = [NotSent("away")]
    loud = aloud(hook, clock=clock)
    tell(loud)
    loud.put_on_record(record)  # type: ignore[arg-type]
    assert record.written == []
