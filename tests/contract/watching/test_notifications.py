"""Messages and alerts in the ledger, on both engines: told once, whoever decides, and never growing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

import pytest

from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.outbox import tell
from consumer.ledger.watching.alerts import OnRecord
from consumer.ledger.watching.notifications import Channel, Writing
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.watching.notifications import Notification, Phase

BOTH = [Channel.WEBHOOK, Channel.CHAT]
NOW = 1_000_000.0
HELD = OnRecord("held", NOW - 60, NOW, "a cycle is held")


def message(name: str) -> Notification:
    return Notification(
        id=name,
        kind="held",
        phase=Phase.BEGINS,
        subject=f"about {name}",
        instance="here",
        ledger_id="l",
        at=datetime.fromtimestamp(NOW, UTC),
    )


def happen(ledger: Ledger, *names: str, at: float = NOW) -> list[str]:
    facts = ModelEventFacts(version=1, champion=1, promotion=1, cycle_id="c1", reason="said so")
    with ledger.engine.begin() as connection:
        for name in names:
            tell(connection, name, ModelEventType.PROMOTED, facts, at)
    return [f"{ledger.ledger_id}-{name}" for name in names]


def write(ledger: Ledger, channels: Sequence[Channel] = BOTH, now: float = NOW) -> Writing:
    """One transaction with one step: what is called on it is committed."""

    class Once:
        def __getattr__(self, name: str) -> object:
            def call(*arguments: object) -> object:
                with ledger.notifications.writing(now, channels) as writing:
                    return getattr(writing, name)(*arguments)

            return call

    return Once()  # type: ignore[return-value]


def unseen(ledger: Ledger, since: float = 0.0) -> list[str]:
    return [event.event_id for event in ledger.notifications.find(NOW, since).news]


def waiting(ledger: Ledger, channel: Channel = Channel.WEBHOOK) -> list[str]:
    """All that waits, as a courier sends it."""
    found = []
    while some := ledger.notifications.waiting(channel):
        found.append(some[0].notification.subject)
        ledger.notifications.sent(channel, some[0].number)
    return found


def test_an_alert_begins_once_is_repeated_once_and_ends_once(ledger: Ledger) -> None:
    assert write(ledger).begin(HELD, message("begins")) is True
    assert write(ledger).begin(HELD, message("begins again")) is False
    (seen,) = ledger.notifications.find(NOW, 0.0).alerts.values()
    assert seen == HELD
    assert write(ledger, now=NOW + 5).repeat(seen, message("lasts"), "worse") is True
    assert write(ledger, now=NOW + 5).repeat(seen, message("lasts too"), "worse") is False
    (again,) = ledger.notifications.alerts()
    assert (again.since, again.told_at, again.summary) == (HELD.since, NOW + 5, "worse")
    assert write(ledger).end(again, message("over")) is True
    assert write(ledger).end(again, message("over too")) is False
    assert ledger.notifications.alerts() == []
    assert waiting(ledger) == waiting(ledger, Channel.CHAT) == ["about begins", "about lasts", "about over"]


def test_of_two_instances_at_once_one_tells(ledger: Ledger, ledger_url: str) -> None:
    """Each in its own thread, with its own connections, as often as it takes to meet."""
    events = happen(ledger, "n1", "n2", "n3")
    with closing(open_ledger(ledger_url)) as other:
        barrier = threading.Barrier(2)
        told: list[list[str]] = []

        def decide(opened: Ledger, name: str) -> None:
            barrier.wait(30)
            with opened.notifications.writing(NOW, BOTH) as writing:
                writing.begin(HELD, message(f"held by {name}"))
                told.append(writing.settle(events, lambda ours: message(f"{len(ours)} by {name}")))

        threads = [threading.Thread(target=decide, args=(one, name)) for one, name in ((ledger, "a"), (other, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(told, key=len) == [[], events]
    found = waiting(ledger)
    assert len(found) == 2
    assert found[0].rpartition(" ")[2] == found[1].rpartition(" ")[2]


def test_news_are_decided_of_once(ledger: Ledger) -> None:
    events = happen(ledger, "n1", "n2", "n3")
    assert unseen(ledger) == events
    assert write(ledger).settle(events[:1]) == events[:1]
    assert unseen(ledger) == events[1:]
    assert write(ledger).settle(events, lambda ours: message(f"{len(ours)} promotions")) == events[1:]
    assert unseen(ledger) == []
    assert write(ledger).settle(events, lambda _: message("again")) == []
    assert waiting(ledger) == ["about 2 promotions"]
    assert ledger.notifications.find(NOW, 0.0).told_lately == 1  # what nobody is told of does not count


def test_old_news_are_no_news(ledger: Ledger) -> None:
    happen(ledger, "old", at=NOW - 1000)
    assert unseen(ledger, since=NOW - 999) == []


def test_what_happened_before_the_first_look_is_not_told_and_what_happens_between_two_starts_is(ledger: Ledger) -> None:
    happen(ledger, "before")
    write(ledger).open()
    assert unseen(ledger) == []
    between = happen(ledger, "between")
    write(ledger).open()
    assert unseen(ledger) == between


def test_nothing_is_told_of_a_transaction_that_fails(ledger: Ledger) -> None:
    events = happen(ledger, "n1")

    def crash() -> None:
        with ledger.notifications.writing(NOW, BOTH) as writing:
            writing.begin(HELD, message("begins"))
            writing.settle(events, lambda _: message("promotion"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert ledger.notifications.alerts() == []
    assert (unseen(ledger), waiting(ledger)) == (events, [])


def test_a_channel_that_is_set_later_is_told_nothing_of_before(ledger: Ledger) -> None:
    write(ledger, [Channel.WEBHOOK]).begin(HELD, message("begins"))
    assert ledger.notifications.count_waiting(Channel.CHAT) == 0
    write(ledger).end(HELD, message("over"))
    assert waiting(ledger, Channel.CHAT) == ["about over"]


def test_refusals_in_a_row_are_on_record_until_a_version(ledger: Ledger) -> None:
    write(ledger).refusals_told(None, "1 refused")
    row = ledger.notifications.find(NOW, 0.0).alerts["refusal"]
    assert (row.since, row.told_at) == (NOW, NOW)
    write(ledger, now=NOW + 9).refusals_told(row, "2 refused")
    row = ledger.notifications.find(NOW, 0.0).alerts["refusal"]
    assert (row.since, row.told_at, row.summary) == (NOW, NOW + 9, "2 refused")
    write(ledger).row_is_over(row)
    assert ledger.notifications.alerts() == []
    assert waiting(ledger) == []


def test_what_was_told_without_the_ledger_waits_only_for_those_who_have_not_heard_it(ledger: Ledger) -> None:
    trouble = OnRecord("trouble", NOW - 100, NOW - 40, "disk full")
    write(ledger).told_without(trouble, message("trouble"), {Channel.CHAT})
    assert ledger.notifications.alerts() == [trouble]
    assert (waiting(ledger, Channel.CHAT), waiting(ledger)) == ([], ["about trouble"])


def test_each_channel_has_its_own_notes_and_errors_show(ledger: Ledger) -> None:
    write(ledger).begin(HELD, message("begins"))
    (found,) = ledger.notifications.waiting(Channel.WEBHOOK)
    ledger.notifications.refused(found.number, "answered 500")
    assert ledger.notifications.trouble(Channel.WEBHOOK) == "answered 500"
    assert ledger.notifications.last_error() is None  # it still waits
    ledger.notifications.sent(Channel.WEBHOOK, found.number)
    assert ledger.notifications.trouble(Channel.WEBHOOK) is None
    assert ledger.notifications.count_waiting(Channel.CHAT) == 1
    ledger.notifications.sent(Channel.CHAT, found.number, "ntfy did not take it")
    assert ledger.notifications.last_error() == "ntfy did not take it"


def test_what_is_old_is_given_up_for_one_channel(ledger: Ledger) -> None:
    write(ledger, now=NOW).begin(HELD, message("old"))
    write(ledger, now=NOW + 50).end(HELD, message("new"))
    assert ledger.notifications.give_up(Channel.WEBHOOK, NOW + 1, "answered 404") == 1
    assert waiting(ledger) == ["about new"]
    assert ledger.notifications.count_waiting(Channel.CHAT) == 2


@pytest.mark.parametrize(("channels", "left"), [([], 5), ([Channel.WEBHOOK], 7), (BOTH, 20)])
def test_the_newest_stay_and_what_a_channel_waits_for(ledger: Ledger, channels: list[Channel], left: int) -> None:
    with ledger.notifications.writing(NOW, BOTH) as writing:
        for at in range(20):
            writing.begin(OnRecord(f"a{at}", NOW, NOW, "s"), message(f"m{at}"))
    for _ in range(13):
        (oldest,) = ledger.notifications.waiting(Channel.WEBHOOK)
        ledger.notifications.sent(Channel.WEBHOOK, oldest.number)
    assert ledger.notifications.trim(channels, kept=5) == 20 - left
    assert ledger.notifications.trim(channels, kept=5) == 0


def test_a_message_of_a_later_release_does_not_hold_up_the_others(ledger: Ledger) -> None:
    write(ledger).begin(HELD, message("later"))
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql('UPDATE notifications SET message = \'{"of": "a later release"}\'')
    write(ledger).end(HELD, message("over"))
    assert ledger.notifications.waiting(Channel.WEBHOOK) == []
    assert waiting(ledger) == ["about over"]
