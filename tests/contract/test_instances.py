"""What instances say in the ledger, on every engine."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import update

from consumer.database.dialect import ledger_time
from consumer.database.tables import instances
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.status import Status


def status(state: str = "listening") -> Status:
    return Status(7, state, written_at=1.0, polled_at=1.0, lag=0, hold=None, cycle=None)


def test_each_word_counts_whatever_the_clock_of_who_speaks_says(ledger: Ledger) -> None:
    for moment in (5.0, 5.0, 1.0):
        ledger.instances.report("i1", status(), moment, "host:/state")
    ledger.instances.report("i2", status("joining"), 9e9)
    found = ledger.instances.all()
    assert [(one.id, one.name, one.beats, one.seen_at) for one in found] == [
        ("i1", "host:/state", 3, 1.0),
        ("i2", "i2", 1, 9e9),
    ]
    assert found[1].state["state"] == "joining"
    assert ledger.instances.heard_within(60.0) == found  # by the ledger's clock both spoke now
    assert ledger.instances.heard_within(-60.0) == []


def test_who_was_heard_before_the_ledgers_clock_was_set_back_does_not_live_on(ledger: Ledger) -> None:
    ledger.instances.report("dead", status(), 1.0)
    ledger.instances.report("well", status(), 1.0)
    ahead = update(instances).where(instances.c.instance_id == "dead").values(heard_at=ledger_time() + 10_800.0)
    with ledger.engine.begin() as connection:
        connection.execute(ahead)
    assert [one.id for one in ledger.instances.heard_within(15.0)] == ["well"]


def test_a_report_makes_nobody_else_be_forgotten(ledger: Ledger) -> None:
    ledger.instances.report("well", status(), 1e9)
    ledger.instances.report("ahead", status(), 1e9 + 90_000)
    assert {one.id for one in ledger.instances.all()} == {"ahead", "well"}


def test_who_leaves_is_gone_and_who_has_spoken_since_is_not_forgotten(ledger: Ledger) -> None:
    ledger.instances.report("a", status(), 1.0)
    ledger.instances.report("b", status(), 1.0)
    seen = {one.id: one for one in ledger.instances.all()}
    ledger.instances.report("b", status(), 1.0)
    for one in seen.values():
        ledger.instances.forget(one)
    assert [one.id for one in ledger.instances.all()] == ["b"]
    ledger.instances.leave("b")
    assert ledger.instances.all() == []


def test_a_ledger_has_an_id_of_its_own_that_stays(ledger: Ledger, ledger_url: str) -> None:
    assert len(ledger.ledger_id) == 32
    with closing(open_ledger(ledger_url)) as again, closing(open_ledger("sqlite://")) as other:
        assert again.ledger_id == again.intake.ledger_id == ledger.ledger_id != other.ledger_id
