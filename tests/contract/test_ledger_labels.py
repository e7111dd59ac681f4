"""Labels in the ledger, on both engines: pending, claimed, settled and given back as users are, and beside them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from consumer.database.tables import offsets
from consumer.ledger.ledger import Ledger
from consumer.ledger.settling import LAG_COVERED
from schemas.cycle import CycleKind, LabelReport, Outcome
from tests.contract.ledgers import P0, P1, batch, begin, ended

AB, BA, CD = ("a", "b"), ("b", "a"), ("c", "d")


def settled_offsets(ledger: Ledger) -> dict[int, int]:
    with ledger.engine.begin() as connection:
        return dict(connection.execute(select(offsets.c.partition, offsets.c.settled_offset)).tuples().all())


def test_one_claim_takes_users_and_labels_of_the_moment(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", CD, AB, AB]))
    ledger.intake.record(batch(P1, 0, [BA]))
    backlog = ledger.views.backlog()
    assert (backlog.users, backlog.untried, backlog.labels, backlog.untried_labels) == (1, 1, 3, 3)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert (claim.users, claim.labels) == (("a",), (AB, BA, CD))
    assert (claim.lineage.changed_users, claim.lineage.changed_labels) == (1, 3)
    assert claim.lineage.offsets == {"t": {0: (0, 4), 1: (0, 1)}}
    assert ledger.cycles.running() == claim
    assert ledger.views.backlog().empty


def test_labels_alone_are_something_to_learn(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, [AB], now=100.0))
    backlog = ledger.views.backlog()
    assert not backlog.empty
    assert (backlog.oldest_event_at, backlog.oldest_change, backlog.newest_change) == (99.0, 100.0, 100.0)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 200.0, fence=fence)
    assert claim.lineage.first_event_at == claim.lineage.last_event_at
    assert claim.lineage.first_event_at is not None
    assert claim.lineage.first_event_at.timestamp() == 99.0


def test_the_times_of_what_is_pending_are_those_of_both_kinds(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    ledger.intake.record(batch(P0, 1, [AB], now=90.0))
    ledger.intake.record(batch(P0, 2, [CD], now=130.0))
    backlog = ledger.views.backlog()
    assert (backlog.oldest_event_at, backlog.oldest_change, backlog.newest_change) == (89.0, 90.0, 130.0)


def test_a_version_settles_labels_and_the_offsets_that_they_came_from(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", AB]))
    ledger.intake.record(batch(P1, 0, [CD, CD]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P1, 2, [CD, BA], now=250.0))
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence)
    assert settled_offsets(ledger) == {0: 2, 1: 2}
    assert ledger.views.versions()[0]["changed_labels"] == 2
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 400.0, fence=fence)
    assert (following.users, following.labels) == ((), (BA, CD))
    assert following.lineage.offsets == {"t": {1: (2, 4)}}


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.INCONCLUSIVE, Outcome.HELD, Outcome.FAILED])
def test_a_cycle_that_settles_nothing_gives_labels_back(ledger: Ledger, fence: int, outcome: Outcome) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, [AB, CD]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 2, [CD], now=250.0))
    assert not ledger.cycles.settle(ended(claim.cycle_id, outcome), 300.0, fence=fence)
    backlog = ledger.views.backlog()
    assert (backlog.labels, backlog.untried_labels) == (2, 2 if outcome is Outcome.FAILED else 1)
    assert ledger.cycles.claim(CycleKind.BOOTSTRAP, "again", 400.0, fence=fence).labels == (AB, CD)
    assert settled_offsets(ledger) == {0: 0, 1: 0}


def test_labels_that_change_nothing_are_in_the_lineage_of_the_next_version(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    first = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 100.0, fence=fence)
    ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 110.0, fence=fence)
    for at, labels in enumerate([[AB, CD], [AB]]):
        ledger.intake.record(batch(P0, 2 * at, labels, now=200.0 + at))
        claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 300.0 + at, fence=fence)
        assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.UNCHANGED), 310.0 + at, fence=fence)
        assert ledger.views.backlog().empty
    ledger.intake.record(batch(P0, 3, ["a"]))
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 400.0, fence=fence)
    assert (claim.lineage.changed_labels, claim.lineage.unchanged_labels) == (0, 3)
    assert claim.lineage.offsets == {"t": {0: (0, 4)}}


def test_recently_learned_labels_are_those_settled_within_a_week(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", CD, AB], now=1000.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1001.0, fence=fence)
    assert ledger.cycles.recently_learned_labels(1002.0) == ()
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 1003.0, fence=fence)
    assert ledger.cycles.recently_learned_labels(1004.0) == (AB, CD)
    assert ledger.cycles.recently_learned_users(1004.0) == ("a",)
    assert ledger.cycles.recently_learned_labels(1001.0 + LAG_COVERED) == ()


def test_a_cycle_says_how_many_labels_are_known(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    assert ledger.views.history().known_labels == 0
    for report, known in ((LabelReport(accepted=9, deleted=0, positives=5, negatives=2, waiting=2), 7), (None, 7)):
        claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
        told = ended(claim.cycle_id, Outcome.REJECTED).model_copy(update={"labels": report})
        ledger.cycles.settle(told, 300.0, fence=fence)
        assert ledger.views.history().known_labels == known


def test_a_replay_makes_labels_pending(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record_replay({"t": {0: (0, 2)}}, 2, batch(P0, 0, ["a", AB]))
    claim = ledger.cycles.claim(CycleKind.BACKFILL, "events were replayed", 200.0, fence=fence)
    assert (claim.users, claim.labels) == (("a",), (AB,))
    assert (claim.lineage.replayed, claim.lineage.offsets) == ({"t": {0: ((0, 2),)}}, {})
