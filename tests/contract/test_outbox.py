"""The outbox of model events, on both engines: written with what it tells of, sent once noted, never growing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from consumer.database.tables import cycles, promotions
from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Channel, Waiting, tell
from consumer.ledger.telling import tell_promoted
from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.promotions import PromotionAction
from tests.contract.ledgers import P0, batch, begin

FACTS = ModelEventFacts(version=1, champion=1, promotion=1, cycle_id="c1", reason="said so")


def cycle(ledger: Ledger, fence: int, outcome: Outcome, version: int | None = None, **more: Any) -> str:
    """A cycle from its claim to its end."""
    claim = ledger.cycles.claim(CycleKind.FULL, "in turn", 100.0, fence=fence)
    told = {"reason": f"was {outcome}", "base_version": claim.base_version, "version": version, **more}
    ledger.cycles.settle(CycleResult(cycle_id=claim.cycle_id, outcome=outcome, **told), 200.0, fence=fence)
    return claim.cycle_id


def told(ledger: Ledger) -> list[Waiting]:
    return ledger.outbox.waiting(Channel.TOPIC)


def move(ledger: Ledger, version: int, previous: int, action: PromotionAction) -> None:
    """What an order of a person writes."""
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=version, at=1.0, reason="r", action=action.value))
        tell_promoted(
            connection, version=version, previous=previous, action=action, by="ada", reason="worse by hand", now=300.0
        )


def fill(ledger: Ledger, count: int) -> None:
    with ledger.engine.begin() as connection:
        for number in range(count):
            tell(connection, f"n{number}", ModelEventType.PROMOTED, FACTS, float(number))


def test_every_end_of_a_cycle_that_is_news_is_told_with_the_champion_after_it(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    names = [cycle(ledger, fence, Outcome.REGISTERED, 1)]
    cycle(ledger, fence, Outcome.UNCHANGED)
    cycle(ledger, fence, Outcome.FAILED)
    names += [cycle(ledger, fence, outcome) for outcome in (Outcome.REJECTED, Outcome.INCONCLUSIVE)]
    names += [cycle(ledger, fence, Outcome.HELD, way_out="look"), cycle(ledger, fence, Outcome.REGISTERED, 2)]
    events = told(ledger)
    assert [(event.type.name, event.facts.cycle_id) for event in events] == list(
        zip(["PROMOTED", "REFUSED", "REFUSED", "HELD", "PROMOTED"], names, strict=True)
    )
    seen = [(e.facts.version, e.facts.champion, e.facts.promotion, e.facts.previous) for e in events]
    assert seen == [(1, 1, 1, None), (None, 1, 1, None), (None, 1, 1, None), (None, 1, 1, None), (2, 2, 2, 1)]
    assert [event.facts.towers_changed for event in events] == [True, None, None, None, True]
    assert events[3].facts.way_out == "look"
    assert [event.number for event in events] == sorted(event.number for event in events)
    assert {event.event_id.partition("-")[0] for event in events} == {ledger.ledger_id}


def test_a_version_that_is_registered_beside_another_champion_is_told_as_that(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    cycle(ledger, fence, Outcome.REGISTERED, 1)
    claim = ledger.cycles.claim(CycleKind.FULL, "in turn", 100.0, fence=fence)
    with ledger.engine.begin() as connection:  # a person was quicker
        connection.execute(promotions.insert().values(version=9, at=1.0, reason="r"))
    late = CycleResult(cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="r", base_version=1, version=2)
    ledger.cycles.settle(late, 200.0, fence=fence)
    last = told(ledger)[-1]
    assert (last.type, last.facts.version, last.facts.champion) == (ModelEventType.REGISTERED, 2, 9)


def test_settling_again_tells_nothing_again(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    claim = ledger.cycles.claim(CycleKind.FULL, "in turn", 100.0, fence=fence)
    result = CycleResult(cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="r", base_version=None, version=1)
    ledger.cycles.settle(result, 200.0, fence=fence)
    ledger.cycles.settle(result, 210.0, fence=fence)
    assert len(told(ledger)) == 1


def test_nothing_is_told_of_a_transaction_that_fails(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    with ledger.engine.connect() as connection, connection.begin() as transaction:
        tell(connection, "n1", ModelEventType.PROMOTED, FACTS, 1.0)
        transaction.rollback()
    assert told(ledger) == []


def compatible(version: int, *, towers_changed: bool) -> CompatibilityReport:
    return CompatibilityReport(
        version=version, recall=0.3, own_recall=0.3, kept=1.0, compatible=True, limit=0.9, towers_changed=towers_changed
    )


def test_a_rollback_says_whether_the_towers_change(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    cycle(ledger, fence, Outcome.REGISTERED, 1)
    cycle(ledger, fence, Outcome.REGISTERED, 2, compatibility=compatible(1, towers_changed=False))
    cycle(ledger, fence, Outcome.REGISTERED, 3, compatibility=compatible(2, towers_changed=True))
    move(ledger, 2, 3, PromotionAction.ROLLBACK)
    move(ledger, 1, 2, PromotionAction.ROLLBACK)
    move(ledger, 3, 1, PromotionAction.PROMOTE)
    second, third, *orders = [event for event in told(ledger) if event.facts.version != 1 or event.facts.by]
    assert (second.facts.towers_changed, second.facts.index_compatible_with) == (False, 1)
    assert (third.facts.towers_changed, third.facts.index_compatible_with) == (True, 2)
    assert [(e.type.name, e.facts.version, e.facts.towers_changed) for e in orders] == [
        ("ROLLED_BACK", 2, True),
        ("ROLLED_BACK", 1, False),
        ("PROMOTED", 3, True),
    ]
    assert [event.facts.promotion for event in orders] == [4, 5, 6]
    assert {(event.facts.by, event.facts.reason) for event in orders} == {("ada", "worse by hand")}


def test_a_promotion_does_not_fail_over_a_result_that_cannot_be_read(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    cycle(ledger, fence, Outcome.REGISTERED, 1)
    with ledger.engine.begin() as connection:
        result = dict(connection.scalars(select(cycles.c.result)).one())
        connection.execute(update(cycles).values(result={**result, "of_a_later_release": 1}))
    move(ledger, 1, 1, PromotionAction.PROMOTE)
    assert (told(ledger)[-1].facts.version, told(ledger)[-1].facts.cycle_id) == (1, None)


def test_each_channel_has_its_own_notes(ledger: Ledger) -> None:
    fill(ledger, 3)
    first, second, third = (event.number for event in told(ledger))
    ledger.outbox.sent(Channel.TOPIC, first)
    ledger.outbox.refused(second, "answered 500")
    assert [event.number for event in told(ledger)] == [second, third]
    assert ledger.outbox.trouble() is None  # of the first that waits
    ledger.outbox.sent(Channel.WEBHOOK, first)
    assert ledger.outbox.trouble() == "answered 500"
    ledger.outbox.sent(Channel.WEBHOOK, second)
    assert ledger.outbox.trouble() is None
    assert (ledger.outbox.count_waiting(Channel.TOPIC), ledger.outbox.count_waiting(Channel.WEBHOOK)) == (2, 1)
    assert ledger.outbox.given_up().events == 0


def test_what_is_given_up_stays_on_record(ledger: Ledger) -> None:
    fill(ledger, 4)
    assert ledger.outbox.give_up(2.0, "answered 404") == 2
    assert ledger.outbox.count_waiting(Channel.WEBHOOK) == 2
    assert ledger.outbox.count_waiting(Channel.TOPIC) == 4
    assert ledger.outbox.given_up().events == 2
    assert ledger.outbox.given_up().last_error == "answered 404"


@pytest.mark.parametrize(
    ("channels", "left"),
    [([], 5), ([Channel.TOPIC], 7), ([Channel.WEBHOOK], 20), ([Channel.TOPIC, Channel.WEBHOOK], 20)],
)
def test_the_outbox_keeps_the_newest_and_what_a_channel_waits_for(
    ledger: Ledger, channels: list[Channel], left: int
) -> None:
    fill(ledger, 20)
    for event in told(ledger)[:13]:
        ledger.outbox.sent(Channel.TOPIC, event.number)
    assert ledger.outbox.trim(channels, kept=5) == 20 - left
    assert ledger.outbox.count_waiting(Channel.TOPIC) == min(left, 7 if left > 5 else 5)
    assert ledger.outbox.trim(channels, kept=5) == 0
