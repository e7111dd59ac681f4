"""The lease for running cycles, on every engine: one holder, growing tokens, no write without the last one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from consumer.database.tables import cycles, promotions, versions
from consumer.errors import LeaseLost, LedgerError
from consumer.ledger.leases import Lease
from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, CycleResult, Outcome


def take(ledger: Ledger, holder: str) -> Lease:
    taken = ledger.leases.take(holder, ledger.leases.current(), 0.0)
    assert taken is not None
    return taken


def registered(cycle_id: str) -> CycleResult:
    return CycleResult(cycle_id=cycle_id, outcome=Outcome.REGISTERED, reason="better", base_version=None, version=1)


def test_a_lease_is_taken_by_whoever_saw_it_last(ledger: Ledger) -> None:
    assert ledger.leases.current() is None
    first = ledger.leases.take("a", None, 1.0)
    assert first == Lease("a", 1, 0) == ledger.leases.current()
    assert ledger.leases.take("b", None, 0.0) is None
    second = ledger.leases.take("b", first, 0.0)
    assert second == Lease("b", 2, 0) == ledger.leases.current()
    assert ledger.leases.take("c", first, 0.0) is None


def test_a_lease_that_was_renewed_meanwhile_is_not_taken(ledger: Ledger) -> None:
    seen = take(ledger, "a")
    renewed = ledger.leases.renew(seen, 2.0)
    assert renewed == Lease("a", 1, 1)
    assert ledger.leases.renew(seen, 3.0) == Lease("a", 1, 2)
    assert ledger.leases.take("b", seen, 0.0) is None
    assert ledger.leases.take("b", Lease("a", 1, 2), 0.0) == Lease("b", 2, 0)


def test_of_many_who_see_the_same_lease_one_takes_it(ledger: Ledger) -> None:
    seen = take(ledger, "before")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: ledger.leases.take(f"c{number}", seen, 0.0), range(8)))
    winners = [lease for lease in taken if lease is not None]
    assert winners == [ledger.leases.current()]


def test_a_holder_that_slept_through_is_told_when_it_renews(ledger: Ledger) -> None:
    sleeper = take(ledger, "a")
    take(ledger, "b")
    with pytest.raises(LeaseLost, match="'b' has it with token 2"):
        ledger.leases.renew(sleeper, 2.0)
    assert ledger.leases.current() == Lease("b", 2, 0)


def test_a_lease_given_back_is_free_and_its_token_never_comes_again(ledger: Ledger) -> None:
    lease = take(ledger, "a")
    ledger.leases.release(ledger.leases.renew(lease, 2.0), 3.0)
    assert ledger.leases.current() == Lease("", 1, 1)
    with pytest.raises(LeaseLost, match="'nobody' has it"):
        ledger.leases.renew(lease, 4.0)
    assert take(ledger, "b") == Lease("b", 2, 0)


def test_giving_back_what_is_lost_already_changes_nothing(ledger: Ledger) -> None:
    lost = take(ledger, "a")
    taken = take(ledger, "b")
    ledger.leases.release(lost, 2.0)
    assert ledger.leases.current() == taken


def test_giving_back_a_lease_of_old_does_not_free_what_was_taken_again(ledger: Ledger) -> None:
    old, taken = take(ledger, "a"), take(ledger, "a")
    ledger.leases.release(old, 2.0)
    assert ledger.leases.current() == taken


def test_a_cycle_is_not_written_without_the_lease(ledger: Ledger) -> None:
    with pytest.raises(LeaseLost, match="nobody ever took it"):
        ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1.0, fence=0)
    lease = take(ledger, "a")
    ledger.leases.release(lease, 2.0)
    with pytest.raises(LeaseLost, match="not held with token 1 any more"):
        ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 3.0, fence=lease.token)
    assert ledger.cycles.running() is None


def test_every_write_of_a_holder_that_slept_is_refused(ledger: Ledger) -> None:
    sleeper = take(ledger, "a").token
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1.0, fence=sleeper)
    holder = take(ledger, "b").token
    with pytest.raises(LeaseLost):
        ledger.cycles.attempt(claim.cycle_id, 1, fence=sleeper)
    with pytest.raises(LeaseLost):
        ledger.cycles.settle(registered(claim.cycle_id), 2.0, fence=sleeper)
    request = ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 2.5)
    with pytest.raises(LeaseLost):
        ledger.retrain_requests.drop_incremental(fence=sleeper)
    assert ledger.retrain_requests.taken_up(request) is None
    assert ledger.cycles.running() == claim
    assert ledger.cycles.settle(registered(claim.cycle_id), 3.0, fence=holder) is True
    with pytest.raises(LeaseLost):
        ledger.cycles.claim(CycleKind.FULL, "again", 4.0, fence=sleeper)
    with ledger.engine.begin() as connection:
        assert connection.scalars(select(versions.c.cycle_id)).all() == [claim.cycle_id]
        assert connection.scalars(select(cycles.c.attempts)).all() == [0]


def test_who_takes_over_finds_the_cycle_and_counts_its_attempts(ledger: Ledger) -> None:
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1.0, fence=take(ledger, "a").token)
    holder = take(ledger, "b").token
    for _ in range(2):  # the answer to the first was lost
        ledger.cycles.attempt(claim.cycle_id, 1, fence=holder)
    with pytest.raises(LedgerError, match="has 1 failed attempts on record, so 3 cannot follow"):
        ledger.cycles.attempt(claim.cycle_id, 3, fence=holder)
    found = ledger.cycles.running()
    assert found is not None
    assert (found.cycle_id, found.attempts) == (claim.cycle_id, 1)
    with pytest.raises(LedgerError, match="is running"):
        ledger.cycles.claim(CycleKind.FULL, "again", 2.0, fence=holder)


def test_a_claim_names_the_last_cycle_that_made_a_champion(ledger: Ledger) -> None:
    fence = take(ledger, "a").token
    outcomes = [Outcome.REGISTERED, Outcome.REJECTED, Outcome.REGISTERED, Outcome.FAILED]
    expected: str | None = None
    for number, outcome in enumerate(outcomes, 1):
        claim = ledger.cycles.claim(CycleKind.FULL, "in turn", float(number), fence=fence)
        assert claim.last_promoted_cycle == expected
        version = number if outcome is Outcome.REGISTERED else None
        result = CycleResult(
            cycle_id=claim.cycle_id, outcome=outcome, reason="said so", base_version=None, version=version
        )
        if ledger.cycles.settle(result, float(number), fence=fence):
            expected = claim.cycle_id
    late = ledger.cycles.claim(CycleKind.FULL, "in turn", 9.0, fence=fence)
    assert late.last_promoted_cycle == expected is not None
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=1, at=9.5, reason="an operator's word"))
    not_promoted = CycleResult(
        cycle_id=late.cycle_id, outcome=Outcome.REGISTERED, reason="better", base_version=3, version=9
    )
    assert ledger.cycles.settle(not_promoted, 10.0, fence=fence) is False
    assert ledger.cycles.claim(CycleKind.FULL, "in turn", 11.0, fence=fence).last_promoted_cycle == expected


def test_tokens_of_a_ledger_made_anew_outrank_those_that_a_registry_remembers(ledger: Ledger) -> None:
    first = ledger.leases.take("a", None, 1_795_532_400.5)
    assert first == Lease("a", 1_795_532_400, 0)
    assert ledger.leases.take("b", first, 1_795_532_300.0) == Lease("b", 1_795_532_401, 0)  # a clock that lags
