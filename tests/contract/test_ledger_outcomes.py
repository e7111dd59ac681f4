"""Cycles that end without a version, on both engines: what they settle, what they ask for, what is held."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from consumer.database.tables import offsets, promotions
from consumer.dead_letters.letter import DeadLetter
from consumer.dead_letters.store import Which
from consumer.ledger.batch import Batch
from consumer.ledger.champions import MOST_NOMINATED
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger
from consumer.positions import Position
from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleKind, CycleResult, GateReport, Metrics, Outcome
from schemas.guard import GuardName
from tests.contract.ledgers import P0, P1, batch, begin, ended

WHY = "a fresh start is 0.04 better than the champion"


def run(ledger: Ledger, fence: int, kind: CycleKind, result: dict[str, Any], now: float = 500.0) -> Claim:
    """A cycle from its claim to its end."""
    claim = ledger.cycles.claim(kind, "in turn", now, fence=fence)
    told = {"reason": "said so", "base_version": claim.base_version, "known_users": 7, **result}
    ledger.cycles.settle(CycleResult(cycle_id=claim.cycle_id, **told), now + 1, fence=fence)
    return claim


def first_version(ledger: Ledger, fence: int) -> None:
    """Version 1 has learned `a` and `b`."""
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=100.0))
    run(ledger, fence, CycleKind.BOOTSTRAP, {"outcome": Outcome.REGISTERED, "version": 1}, 150.0)


def settled_offsets(ledger: Ledger) -> dict[int, int]:
    with ledger.engine.begin() as connection:
        return dict(connection.execute(select(offsets.c.partition, offsets.c.settled_offset)).tuples().all())


def test_unchanged_users_leave_the_ledger_and_the_next_version_covers_their_offsets(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    ledger.intake.record(batch(P0, 2, ["b", "c", "c"], now=200.0))
    unchanged = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 210.0, fence=fence)
    ledger.intake.record(batch(P1, 0, ["d"], now=220.0))
    assert ledger.cycles.settle(ended(unchanged.cycle_id, Outcome.UNCHANGED), 230.0, fence=fence) is True
    assert ledger.views.backlog().users == 1  # d, who came meanwhile
    assert settled_offsets(ledger) == {0: 2, 1: 0}
    assert ledger.views.history().champion == 1
    assert [version["version"] for version in ledger.views.versions()] == [1]
    ledger.intake.record(batch(P0, 5, ["c"], now=240.0))
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 250.0, fence=fence)
    assert claim.users == ("c", "d")
    assert claim.lineage.offsets == {"t": {0: (2, 6), 1: (0, 1)}}
    assert (claim.lineage.changed_users, claim.lineage.unchanged_users) == (2, 2)
    assert claim.lineage.first_event_at is not None
    assert claim.lineage.last_event_at is not None
    assert (claim.lineage.first_event_at.timestamp(), claim.lineage.last_event_at.timestamp()) == (199.0, 239.0)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 2), 260.0, fence=fence)
    assert settled_offsets(ledger) == {0: 6, 1: 1}
    assert ledger.views.versions()[-1]["unchanged_users"] == 2
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 270.0, fence=fence)
    assert (following.lineage.offsets, following.lineage.unchanged_users) == ({}, 0)
    assert following.lineage.first_event_at is None


def test_several_unchanged_cycles_are_covered_together_and_a_refused_one_between_changes_nothing(
    ledger: Ledger, fence: int
) -> None:
    first_version(ledger, fence)
    for at, (user, outcome) in enumerate(
        [("c", Outcome.UNCHANGED), ("d", Outcome.REJECTED), ("e", Outcome.UNCHANGED), ("f", Outcome.HELD)]
    ):
        ledger.intake.record(batch(P0, 2 + at, [user], now=200.0 + at))
        run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": outcome}, 300.0 + at)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 400.0, fence=fence)
    assert claim.users == ("f",)
    assert claim.lineage.unchanged_users == 3  # c, then d and e
    assert claim.lineage.offsets == {"t": {0: (2, 6)}}


def test_a_replay_that_changed_nothing_is_in_the_lineage_of_the_next_version(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    for span, users in (((0, 1), ["a"]), ((1, 2), ["b"])):
        ledger.intake.record_replay({"t": {0: span}}, 1, batch(P0, span[0], users))
        run(ledger, fence, CycleKind.BACKFILL, {"outcome": Outcome.UNCHANGED})
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 600.0, fence=fence)
    assert claim.lineage.replayed == {"t": {0: ((0, 2),)}}


def test_a_cycle_that_follows_has_to_have_seen_the_unchanged_ones(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    ledger.intake.record(batch(P0, 2, ["c"], now=200.0))
    unchanged = run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.UNCHANGED})
    assert ledger.cycles.recently_learned_users(501.0) == ("a", "b", "c")
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.REJECTED})
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 600.0, fence=fence)
    assert claim.last_promoted_cycle == unchanged.cycle_id


def test_an_unchanged_cycle_that_was_settled_without_an_answer_may_be_settled_again(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    ledger.intake.record(batch(P0, 2, ["c"], now=200.0))
    claim = run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.UNCHANGED, "asks_full": WHY})
    before = ledger.views.cycles(), ledger.views.backlog(), ledger.views.history(), settled_offsets(ledger)
    again = ended(claim.cycle_id, Outcome.UNCHANGED).model_copy(update={"asks_full": WHY})
    assert ledger.cycles.settle(again, 510.0, fence=fence) is True
    assert (ledger.views.cycles(), ledger.views.backlog(), ledger.views.history(), settled_offsets(ledger)) == before


@pytest.mark.parametrize("outcome", [Outcome.UNCHANGED, Outcome.REGISTERED, Outcome.REJECTED])
def test_where_the_champion_changed_meanwhile_nothing_is_settled_and_the_users_are_untried(
    ledger: Ledger, fence: int, outcome: Outcome
) -> None:
    first_version(ledger, fence)
    ledger.intake.record(batch(P0, 2, ["c"], now=200.0))
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 210.0, fence=fence)
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=9, at=220.0, reason="an operator's word"))
    result = ended(claim.cycle_id, outcome, 2 if outcome is Outcome.REGISTERED else None)
    for _ in range(2):  # the second time as where the answer to the commit was lost
        assert ledger.cycles.settle(result, 230.0, fence=fence) is False
    assert (ledger.views.backlog().users, ledger.views.backlog().untried) == (1, 1)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 240.0, fence=fence)
    assert (claim.users, claim.lineage.unchanged_users) == (("c",), 0)


def test_without_a_champion_nobody_answers_for_unchanged_users(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.UNCHANGED), 210.0, fence=fence) is False
    assert ledger.views.backlog().users == 1


def test_an_unchanged_cycle_ends_a_row_of_rejections(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    outcomes = [Outcome.REJECTED, Outcome.REJECTED, Outcome.HELD, Outcome.UNCHANGED, Outcome.REJECTED]
    counted = []
    for outcome in outcomes:
        run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": outcome})
        counted.append(ledger.views.history().rejections_in_a_row)
    assert counted == [1, 2, 2, 0, 1]
    assert ledger.views.outcomes_since_version() == {"rejected": 3, "held": 1, "unchanged": 1}


def test_what_is_held_is_told_until_a_cycle_ends_otherwise(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    assert ledger.views.history().held is None
    ledger.intake.record(batch(P0, 2, ["c"], now=200.0))
    held: dict[str, Any] = {"outcome": Outcome.HELD, "reason": "50 % were refused", "way_out": "look at the rows"}
    first = run(ledger, fence, CycleKind.INCREMENTAL, held)
    found = ledger.views.history().held
    assert found is not None
    assert (found.cycle_id, found.reason, found.way_out) == (first.cycle_id, "50 % were refused", "look at the rows")
    assert (found.at, found.in_a_row) == (501.0, 1)
    assert (ledger.views.backlog().users, ledger.views.backlog().untried) == (1, 0)
    assert ledger.views.history().rejections_in_a_row == 0
    run(ledger, fence, CycleKind.INCREMENTAL, held | {"asks_full": WHY})
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.FAILED})  # tells nothing of the data
    found = ledger.views.history().held
    assert found is not None
    assert (found.in_a_row, found.asks_full) == (2, WHY)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 600.0, fence=fence)
    assert (claim.users, claim.lineage.offsets) == (("c",), {"t": {0: (2, 3)}})
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 601.0, fence=fence)
    assert ledger.views.history().held is None


def test_limits_are_waived_for_one_cycle_and_its_repetitions_and_are_on_record(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    refused, pairs, lost = GuardName.REFUSED_SHARE, GuardName.LOST_PAIRS, GuardName.LOST_SHARE
    ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 200.0, [refused, pairs])
    ledger.retrain_requests.ask(CycleKind.FULL, "operator", 201.0, [GuardName.LABELS_MOVED])
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "asked", 210.0, fence=fence, accept=[lost, refused])
    assert claim.accept == (pairs, lost, refused)  # not that of the full retrain, which still waits
    ledger.cycles.attempt(claim.cycle_id, 1, fence=fence)
    resumed = ledger.cycles.running()
    assert resumed is not None
    assert resumed.accept == claim.accept
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.HELD), 220.0, fence=fence)
    assert ledger.views.cycles()[-1]["accept"] == ["lost_pairs", "lost_share", "refused_share"]
    again = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", 230.0, fence=fence)
    assert again.accept == ()
    ledger.cycles.settle(ended(again.cycle_id, Outcome.REJECTED), 240.0, fence=fence)
    assert ledger.cycles.claim(CycleKind.FULL, "asked", 250.0, fence=fence).accept == (GuardName.LABELS_MOVED,)


def test_a_full_retrain_is_asked_for_until_one_has_ended(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    assert ledger.retrain_requests.why_full() is None
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.UNCHANGED, "asks_full": "at first"})
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.REJECTED, "asks_full": WHY})
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.REGISTERED, "version": 2})
    assert ledger.retrain_requests.why_full() == WHY
    assert ledger.retrain_requests.open("operator") is ledger.retrain_requests.open("schedule") is None
    assert ledger.views.history().last_full_end is None
    for outcome in (Outcome.FAILED, Outcome.HELD):  # that was none
        run(ledger, fence, CycleKind.FULL, {"outcome": outcome})
        assert ledger.retrain_requests.why_full() == WHY
    run(ledger, fence, CycleKind.FULL, {"outcome": Outcome.REJECTED}, 700.0)
    assert ledger.retrain_requests.why_full() is None
    assert ledger.views.history().last_full_end == 701.0
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.REJECTED, "asks_full": WHY})
    assert ledger.retrain_requests.why_full() == WHY


def test_what_the_clock_asked_for_is_still_due_where_the_data_were_held(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 100.0)
    run(ledger, fence, CycleKind.FULL, {"outcome": Outcome.HELD})
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL


def test_the_best_versions_since_the_last_full_retrain_are_nominated(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    figures = [  # accuracy, precision, recall, average precision, recall@10
        (CycleKind.BOOTSTRAP, (1.0, 1.0, 1.0, 1.0, 1.0)),  # of an earlier series
        (CycleKind.INCREMENTAL, (1.0, 1.0, 1.0, 1.0, 1.0)),
        (CycleKind.FULL, (0.99, 0.99, 0.99, 0.99, 0.99)),  # the baseline is compared with anyway
        (CycleKind.INCREMENTAL, (0.9, 0.5, 0.5, 0.5, 0.5)),
        (CycleKind.INCREMENTAL, (0.8, 0.7, 0.5, 0.5, 0.6)),
        (CycleKind.INCREMENTAL, (0.8, 0.7, 0.4, None, 0.5)),
        (CycleKind.INCREMENTAL, (0.8, 0.5, 0.6, 0.6, 0.5)),
        (CycleKind.INCREMENTAL, (0.95, 0.95, 0.95, 0.95, 0.95)),  # the champion too
    ]
    names = ("accuracy", "precision", "recall", "average_precision", "recall_at_10")
    for version, (kind, told) in enumerate(figures, 1):
        metrics = Metrics(auc=None, calibration_error=0.0, **dict(zip(names, told, strict=True)))
        gate = GateReport(outcome="passed", reason="fine", users=9, pairs=9, challenger=metrics)
        run(ledger, fence, kind, {"outcome": Outcome.REGISTERED, "version": version, "gate": gate})
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "next", 600.0, fence=fence)
    # Best in accuracy is 4, in precision 6 (as good as 5, and newer), in recall and AP 7, in recall@10 5.
    assert claim.best_since == (4, 6, 7)
    assert (claim.base_version, claim.baseline_version) == (8, 3)
    assert len(claim.best_since) == MOST_NOMINATED
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 610.0, fence=fence)
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=5, at=620.0, reason="an operator's word"))
    back = ledger.cycles.claim(CycleKind.INCREMENTAL, "next", 630.0, fence=fence)
    assert (back.base_version, back.baseline_version, back.best_since) == (5, 3, (8,))


def test_before_there_are_figures_nobody_is_nominated(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    run(ledger, fence, CycleKind.INCREMENTAL, {"outcome": Outcome.REGISTERED, "version": 2})
    assert ledger.cycles.claim(CycleKind.INCREMENTAL, "next", 600.0, fence=fence).best_since == ()


def test_a_version_tells_whether_its_queries_may_meet_the_vectors_of_the_one_before(ledger: Ledger, fence: int) -> None:
    first_version(ledger, fence)
    found = CompatibilityReport(version=1, recall=0.57, own_recall=0.6, kept=0.95, compatible=True, limit=0.9)
    run(ledger, fence, CycleKind.FULL, {"outcome": Outcome.REGISTERED, "version": 2, "compatibility": found})
    told = {version["version"]: version["compatibility"] for version in ledger.views.versions()}
    assert told == {1: None, 2: found.model_dump()}


def test_words_that_no_database_takes_are_stored_as_they_can_be(ledger: Ledger, fence: int) -> None:
    """A trainer, an operator and a broker may say anything: half a surrogate pair, or a NUL."""
    hostile, stored = "half a \udcff pair\0", "half a \\udcff pair\\x00"
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, hostile, 150.0, fence=fence)
    ledger.cycles.attempt(claim.cycle_id, 1, fence=fence, error=hostile)
    told = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.FAILED, reason="gone", base_version=None, asks_full=hostile
    )
    ledger.cycles.settle(told, 160.0, fence=fence)
    dead = Batch(received_at=170.0, dead=[DeadLetter(Position("t", 0, 1), 1.0, None, b"", (), "decode", hostile, 1000)])
    ledger.intake.record_replay({}, 1, dead)
    ledger.letters.discard(ledger.letters.ids(Which()), hostile, 180.0)
    cycle = ledger.views.cycle(claim.cycle_id)
    assert cycle is not None
    assert cycle["reason"] == ledger.retrain_requests.why_full() == stored
    (letter,) = ledger.letters.find(Which(status=None), 9)
    assert (letter.reason, letter.settled_reason) == (stored, stored)
