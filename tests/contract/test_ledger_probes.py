"""Probes on record, on both engines: what they are about, and how long they count."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from consumer.database.tables import probes
from consumer.errors import LeaseLost
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import MOST_ASKED, Probed
from schemas.cycle import CycleKind, CycleResult, Outcome
from tests.contract.ledgers import P0, P1, batch, begin, ended


def bootstrapped(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=100.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 110.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 120.0, fence=fence)


def test_a_probe_is_about_what_no_cycle_has_tried_and_claims_nothing(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence)
    ledger.intake.record(batch(P0, 2, ["c", ("a", "b")], now=200.0))
    refused = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 210.0, fence=fence)
    told = CycleResult(cycle_id=refused.cycle_id, outcome=Outcome.REJECTED, reason="worse", base_version=1)
    ledger.cycles.settle(told, 220.0, fence=fence)
    assert ledger.probes.pending() == ((), (), 0)
    ledger.intake.record(batch(P1, 0, ["d", ("d", "a"), ("b", "d")], now=230.0))
    assert ledger.probes.pending() == (("d",), (("b", "d"), ("d", "a")), 3)
    assert ledger.views.backlog().users == 2
    assert ledger.cycles.running() is None


def test_of_very_many_the_newest_are_asked_about_and_all_are_counted(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence)
    ledger.intake.record(batch(P0, 2, [f"old{number}" for number in range(5)], now=200.0))
    ledger.intake.record(batch(P0, 7, [f"new{number:04}" for number in range(MOST_ASKED)], now=300.0))
    users, labels, total = ledger.probes.pending()
    assert len(users) == MOST_ASKED
    assert {user[:3] for user in users} == {"new"}
    assert (labels, total) == ((), MOST_ASKED + 5)


def test_the_newest_probe_counts_until_a_cycle_ends_or_the_champion_changes(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence)
    assert ledger.probes.last() is None
    probed = [Probed(200.0, 1, 4, 0.01, "a little"), Probed(210.0, None, 9, None, "the trainer fell over")]
    for one in probed:
        ledger.probes.record(one, fence=fence)
        assert ledger.probes.last() == one
    ledger.probes.record(Probed(220.0, 7, 9, 0.5, "much"), fence=fence)  # of a champion that is none any more
    assert ledger.probes.last() is None
    ledger.probes.record(Probed(230.0, 1, 9, 0.5, "much"), fence=fence)
    ledger.intake.record(batch(P0, 2, ["c"], now=240.0))
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "regret", 250.0, fence=fence)
    assert ledger.probes.last() is not None
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.UNCHANGED), 260.0, fence=fence)
    assert ledger.probes.last() is None


def test_whoever_lost_the_lease_records_nothing(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence)
    with pytest.raises(LeaseLost):
        ledger.probes.record(Probed(200.0, 1, 4, 0.01, "a little"), fence=fence - 1)
    assert ledger.probes.last() is None


def test_a_probe_that_was_made_after_the_clock_was_set_back_counts_like_any_other(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence)  # ended at 120
    made = Probed(20.0, 1, 4, 0.01, "a little")
    ledger.probes.record(made, fence=fence)
    assert ledger.probes.last() == made
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 30.0, fence=fence)
    assert ledger.probes.last() == made
    unchanged = CycleResult(cycle_id=claim.cycle_id, outcome=Outcome.UNCHANGED, reason="same", base_version=1)
    ledger.cycles.settle(unchanged, 10.0, fence=fence)
    assert ledger.probes.last() is None


def test_the_same_probe_is_on_record_once(ledger: Ledger, fence: int) -> None:
    """The answer to the first commit was lost."""
    bootstrapped(ledger, fence)
    for _ in range(2):
        ledger.probes.record(Probed(200.0, 1, 4, 0.01, "a little"), fence=fence)
    with ledger.engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(probes)) == 1
