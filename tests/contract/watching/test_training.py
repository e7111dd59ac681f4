"""How long cycles took, on both engines: for the training budget, and for what a promise may count on."""

from __future__ import annotations

from sqlalchemy import update

from consumer.clock import Clock
from consumer.configuration.slo import SloSettings
from consumer.cycles.deciding import Deciding
from consumer.cycles.trigger import Hold, Reason, Start, Wait
from consumer.database.tables import cycles
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.watching.training import DAY, Expected, Ran
from schemas.cycle import CycleKind, Outcome
from schemas.policies import TriggerPolicy
from tests.contract.ledgers import P0, batch, begin, ended

NOON = 20_000 * DAY + DAY / 2
"""In UTC."""


def cycle(
    ledger: Ledger,
    fence: int,
    at: float,
    seconds: float,
    outcome: Outcome = Outcome.REJECTED,
    kind: CycleKind = CycleKind.INCREMENTAL,
) -> str:
    claim = ledger.cycles.claim(kind, "in turn", at, fence=fence)
    version = claim.min_version_exclusive + 1 if outcome is Outcome.REGISTERED else None
    ledger.cycles.settle(ended(claim.cycle_id, outcome, version), at + seconds, fence=fence)
    return claim.cycle_id


def test_a_cycle_is_expected_to_take_as_long_as_nine_of_the_last_ten_did(ledger: Ledger, fence: int) -> None:
    assert ledger.training.expected() is None
    cycle(ledger, fence, 0.0, 500.0, kind=CycleKind.BOOTSTRAP)
    assert ledger.training.expected() == Expected(500.0, CycleKind.BOOTSTRAP, 1)
    cycle(ledger, fence, 1000.0, 7.0, Outcome.HELD)  # it came to no decision
    cycle(ledger, fence, 1100.0, 7.0, Outcome.FAILED)
    assert ledger.training.expected() == Expected(500.0, CycleKind.BOOTSTRAP, 1)
    for number in range(25):
        cycle(ledger, fence, 2000.0 + number * 100, 99.0 if number < 5 else float(number))
    assert ledger.training.expected() == Expected(22.0, CycleKind.INCREMENTAL, 20)


def test_cycles_of_the_last_day_count_whatever_came_of_them_also_after_a_restart(
    ledger: Ledger, ledger_url: str, fence: int
) -> None:
    cycle(ledger, fence, 0.0, 100.0)
    failed = cycle(ledger, fence, 1000.0, 100.0, Outcome.FAILED)
    with ledger.engine.begin() as connection:
        connection.execute(update(cycles).where(cycles.c.cycle_id == failed).values(attempts=2))
    cycle(ledger, fence, 2000.0, 50.0, Outcome.REGISTERED)
    two, three = Ran(1000.0, 1100.0, 3), Ran(2000.0, 2050.0, 1)
    assert ledger.training.ran(3000.0) == (three, two, Ran(0.0, 100.0, 1))
    ledger.cycles.claim(CycleKind.FULL, "in turn", 3000.0, fence=fence)
    assert ledger.training.ran(DAY + 100.0) == (Ran(3000.0, None, 1), three, two)
    again = open_ledger(ledger_url)
    try:
        assert again.training.ran(DAY + 100.0) == (Ran(3000.0, None, 1), three, two)
    finally:
        again.close()


def test_more_cycles_than_are_read_at_once_are_all_found(ledger: Ledger) -> None:
    rows = [
        {"cycle_id": f"c{n}", "kind": "full", "reason": "r", "state": "rejected", "lineage": {}, "attempts": 0}
        | {"claimed_at": float(n), "ended_at": n + 0.5}
        for n in range(500)
    ]
    with ledger.engine.begin() as connection:
        connection.execute(cycles.insert(), rows)
    assert len(ledger.training.ran(DAY + 10.0)) == 490
    assert len(ledger.training.ran(DAY + 400.25)) == 100


def decided(ledger: Ledger, now: float, policy: TriggerPolicy, **slo: float) -> tuple[object, float | None]:
    clock = Clock(now=lambda: now, elapsed=lambda: 77.25)
    found = Deciding(policy, ledger, clock, SloSettings(**slo), 3600.0).decide(
        busy=False, probing=False, caught_up=True
    )
    return found.outcome, found.until


def changed(ledger: Ledger, at: float) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=at))


def test_the_service_waits_for_the_end_of_quiet_hours_by_the_clock_on_the_wall(ledger: Ledger, fence: int) -> None:
    cycle(ledger, fence, NOON - DAY, 100.0, Outcome.REGISTERED)
    changed(ledger, NOON - DAY + 5000)
    quiet = TriggerPolicy(quiet_hours=("11:00-14:30",), quiet_hours_zone="UTC")
    outcome, until = decided(ledger, NOON, quiet)
    assert isinstance(outcome, Wait)
    assert (outcome.hold, until) == (Hold.QUIET_HOURS, NOON + 2.5 * 3600)
    assert decided(ledger, NOON + 2.5 * 3600, quiet)[0] == Start(Reason.STALENESS)


def test_the_service_waits_until_the_budget_has_room_and_says_when(ledger: Ledger, fence: int) -> None:
    cycle(ledger, fence, NOON - 7200.0, 600.0, Outcome.REGISTERED)
    cycle(ledger, fence, NOON - 3600.0, 300.0, Outcome.FAILED)
    changed(ledger, NOON - DAY / 4)
    policy = TriggerPolicy(training_minutes_a_day=10)
    outcome, until = decided(ledger, NOON, policy)
    assert isinstance(outcome, Wait)
    assert (outcome.hold, until) == (Hold.BUDGET, NOON - 7200.0 + 301.0 + DAY)
    assert until is not None
    assert decided(ledger, until, policy)[0] == Start(Reason.STALENESS)
    assert decided(ledger, NOON, TriggerPolicy(training_minutes_a_day=16))[0] == Start(Reason.STALENESS)


def test_the_service_starts_in_time_for_the_promise_by_the_length_of_its_cycles(ledger: Ledger, fence: int) -> None:
    cycle(ledger, fence, NOON - DAY, 240.0, Outcome.REGISTERED)
    changed(ledger, NOON)
    policy = TriggerPolicy(changed_share=1.0)
    outcome, until = decided(ledger, NOON + 600.0, policy, freshness=1800.0)
    assert isinstance(outcome, Wait)
    assert (outcome.hold, until) == (Hold.THRESHOLD, NOON + 1800.0 * 0.95 - 240.0)
    assert decided(ledger, NOON + 1470.0, policy, freshness=1800.0)[0] == Start(Reason.FRESHNESS)
    assert decided(ledger, NOON + 600.0, policy)[1] == NOON + 3600.0  # without a promise
