"""Claiming and settling, on both engines: nobody is lost, and offsets of versions follow each other (P1, P2)."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from consumer.database.tables import changes, gaps, learned, promotions
from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger
from consumer.ledger.settling import LAG_COVERED
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, P1, batch, begin, ended, passed_over


def test_a_claim_takes_all_pending_users_and_names_their_offsets(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    ledger.intake.record(batch(P1, 0, ["b", "c", "d"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert claim.users == ("a", "b", "c", "d")
    assert claim.lineage.offsets == {"t": {0: (0, 2), 1: (0, 3)}}
    assert claim.lineage.changed_users == 4
    assert claim.base_version is None
    assert ledger.views.backlog().users == 0
    assert ledger.cycles.running() == claim
    with pytest.raises(LedgerError, match="is running"):
        ledger.cycles.claim(CycleKind.FULL, "again", 201.0, fence=fence)


def test_a_user_who_changes_during_a_cycle_is_pending_again(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 2, ["a"]))
    assert ledger.views.backlog().users == 1
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence)
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 400.0, fence=fence)
    assert following.users == ("a",)
    assert following.lineage.offsets == {"t": {0: (2, 3)}}
    assert following.base_version == 1
    assert following.baseline_version == 1


def test_a_rejected_cycle_gives_its_users_back_and_the_next_covers_its_offsets(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 2, ["b", "c"], now=250.0))
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence) is False
    backlog = ledger.views.backlog()
    assert (backlog.users, backlog.untried) == (3, 2)  # a was tried; b and c changed since
    assert backlog.oldest_change == 250.0
    assert backlog.oldest_event_at == 99.0
    assert ledger.views.history().rejections_in_a_row == 1
    following = ledger.cycles.claim(CycleKind.BOOTSTRAP, "again", 400.0, fence=fence)
    assert following.users == ("a", "b", "c")
    assert following.lineage.offsets == {"t": {0: (0, 4)}}


def test_a_failed_cycle_gives_its_users_back_as_untried(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 300.0, fence=fence)
    assert ledger.views.backlog().untried == 1
    assert ledger.views.history().rejections_in_a_row == 0


def test_a_new_event_makes_a_tried_user_count_again(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence)
    assert ledger.views.backlog().untried == 0
    ledger.intake.record(batch(P0, 1, ["a"], now=500.0))
    backlog = ledger.views.backlog()
    assert (backlog.untried, backlog.oldest_change) == (1, 500.0)


def test_a_cycle_ends_once(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence) is True
    for other in (ended(claim.cycle_id, Outcome.REGISTERED, 2), ended(claim.cycle_id, Outcome.REJECTED)):
        with pytest.raises(LedgerError, match="is not running"):
            ledger.cycles.settle(other, 300.0, fence=fence)
    assert [version["version"] for version in ledger.views.versions()] == [1]


def test_a_cycle_that_was_settled_without_an_answer_may_be_settled_again(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    for outcome, version, promoted in ((Outcome.REJECTED, None, False), (Outcome.REGISTERED, 1, True)):
        claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, outcome, version), 300.0, fence=fence)
        before = ledger.views.cycles(), ledger.views.backlog(), ledger.views.history()
        assert ledger.cycles.settle(ended(claim.cycle_id, outcome, version), 310.0, fence=fence) is promoted
        assert (ledger.views.cycles(), ledger.views.backlog(), ledger.views.history()) == before


def test_a_version_compared_with_a_champion_of_yesterday_is_not_promoted(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=9, at=250.0, reason="an operator's word"))
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence) is False
    assert [(found["version"], found["champion"]) for found in ledger.views.versions()] == [(1, False)]
    assert ledger.views.history().champion == 9
    assert ledger.views.backlog().users == 1


def test_the_events_of_a_user_are_counted_through_a_rejection(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 2, ["a"], now=250.0))
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence)
    with ledger.engine.begin() as connection:
        row = connection.execute(select(changes)).one()
    assert (row.events, row.first_position, row.last_position) == (3, "t[0]@0", "t[0]@2")
    assert (row.first_event_at, row.last_event_at) == (99.0, 249.0)


def test_the_baseline_is_the_last_champion_trained_from_scratch(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    kinds = [CycleKind.BOOTSTRAP, CycleKind.INCREMENTAL, CycleKind.FULL, CycleKind.INCREMENTAL]
    for version, kind in enumerate(kinds, 1):
        claim = ledger.cycles.claim(kind, "in turn", float(version), fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, version), float(version), fence=fence)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "last", 9.0, fence=fence)
    assert (claim.base_version, claim.baseline_version) == (4, 3)


def test_cycle_ids_are_never_used_twice(ledger: Ledger, fence: int) -> None:
    seen = set()
    for number in range(5):
        claim = ledger.cycles.claim(CycleKind.FULL, "again", 1.0, fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 1.0, fence=fence)
        seen.add(claim.cycle_id)
        assert len(seen) == number + 1


def test_a_failed_cycle_does_not_make_its_changes_look_fresher(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 1, ["a"], now=250.0))
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 300.0, fence=fence)
    assert ledger.views.backlog().oldest_change == 100.0
    assert ledger.views.history().last_failed


def test_what_the_clock_asked_for_is_still_due_after_a_failure(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.retrain_requests.ask(CycleKind.FULL, "schedule", 1.0)
    claim = ledger.cycles.claim(CycleKind.FULL, "due", 2.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 3.0, fence=fence)
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL


def test_a_replay_makes_users_pending_and_moves_no_offset(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    first = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 1.0, fence=fence)
    ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 2.0, fence=fence)
    ledger.intake.record_replay({"t": {0: (0, 1)}}, 1, batch(P0, 0, ["a"]))
    assert ledger.intake.positions("t") == {P0: 1, P1: 0}
    claim = ledger.cycles.claim(CycleKind.BACKFILL, "replayed", 3.0, fence=fence)
    assert claim.users == ("a",)
    assert claim.lineage.offsets == {}
    assert claim.lineage.replayed == {"t": {0: ((0, 1),)}}


def test_the_lineage_of_several_replays_is_what_was_replayed_and_nothing_between(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    for span, user in (((0, 6), "a"), ((94, 100), "b"), ((6, 8), "c"), ((97, 99), "a")):
        ledger.intake.record_replay({"t": {0: (span,)}}, 6, batch(P0, span[0], [user]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "replayed", 3.0, fence=fence)
    assert claim.lineage.replayed == {"t": {0: ((0, 8), (94, 100))}}
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 4.0, fence=fence)
    (version,) = ledger.views.versions()
    assert version["replayed"] == {"t": {"0": [[0, 8], [94, 100]]}}


def test_a_replay_is_stored_once_and_is_on_record(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    told = {"from": "2026-11-01T00:00:00+00:00"}
    numbers = {
        ledger.intake.record_replay(
            {"t": {0: ((0, 2),)}}, 2, batch(P0, 0, ["a", ("a", "b")]), replay_id="r1", told=told
        )
        for _ in range(2)
    }
    assert numbers == {ledger.replays.request_of("r1")}
    assert ledger.replays.request_of("r2") is None
    (row,) = ledger.replays.every()
    assert (row["ranges"], row["events"], row["users"], row["labels"]) == ({"t": {0: ((0, 2),)}}, 2, 1, 1)
    assert (row["asked"], row["of"], row["outcome"], row["cycle_id"]) == (told, "window", "pending", None)
    claim = ledger.cycles.claim(CycleKind.BACKFILL, "replayed", 3.0, fence=fence)
    assert ledger.replays.every()[0]["outcome"] == "running"
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 4.0, fence=fence)
    (row,) = ledger.replays.every()
    assert (row["cycle_id"], row["outcome"], row["version"]) == (claim.cycle_id, "registered", 1)


def test_a_version_says_what_it_could_not_learn(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    far = 2**40
    ledger.intake.record(batch(P0, 0, ["a"]))
    passed_over(ledger, P0, 1, 5)
    passed_over(ledger, P0, 5, 6)
    ledger.intake.record(batch(P0, 6, ["b"]))
    passed_over(ledger, P0, 7, far)
    passed_over(ledger, P1, 0, 3)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert claim.lineage.offsets == {"t": {0: (0, far), 1: (0, 3)}}
    assert claim.lineage.gaps == {"t": {0: ((1, 6), (7, far)), 1: ((0, 3),)}}
    passed_over(ledger, P0, far, far + 1)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence)
    assert ledger.views.versions()[0]["gaps"] == {"t": {"0": [[1, 6], [7, far]], "1": [[0, 3]]}}
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 400.0, fence=fence)
    assert following.lineage.offsets == {"t": {0: (far, far + 1)}}
    assert following.lineage.gaps == {"t": {0: ((far, far + 1),)}}


def test_a_jump_to_where_it_is_leaves_no_gap(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    passed_over(ledger, P0, 1, 1)
    ledger.intake.record(batch(P0, 1, ["b"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert claim.lineage.gaps == {}
    with ledger.engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(gaps)) == 0


def test_a_refused_cycle_leaves_its_gaps_to_the_next(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    passed_over(ledger, P0, 0, 4)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence)
    following = ledger.cycles.claim(CycleKind.BOOTSTRAP, "again", 400.0, fence=fence)
    assert following.lineage.gaps == claim.lineage.gaps == {"t": {0: ((0, 4),)}}


@pytest.mark.parametrize("settled", [True, False])
def test_what_a_topic_had_lost_before_it_was_made_anew_is_no_gap_of_the_new_one(
    ledger: Ledger, fence: int, settled: bool
) -> None:
    begin(ledger)
    passed_over(ledger, P0, 0, 40)
    if settled:
        first = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 50.0, fence=fence)
        ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 55.0, fence=fence)
    passed_over(ledger, P0, 40, 10)
    ledger.intake.record(batch(P0, 10, ["a", "b"]))
    passed_over(ledger, P0, 12, 15)
    passed_over(ledger, P1, 0, 9)
    passed_over(ledger, P1, 9, 0)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 200.0, fence=fence)
    assert claim.lineage.offsets == {"t": {0: (10 if settled else 0, 15)}}
    assert claim.lineage.gaps == {"t": {0: ((12, 15),)}}


def test_a_topic_made_anew_during_a_cycle_is_covered_from_its_beginning(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", "c"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    passed_over(ledger, P0, 3, 0, now=250.0)
    ledger.intake.record(batch(P0, 0, ["d", "e", "f", "g"]))
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence)
    following = ledger.cycles.claim(CycleKind.INCREMENTAL, "more", 400.0, fence=fence)
    assert following.lineage.offsets == {"t": {0: (0, 4)}}


def test_requests_wait_for_the_next_cycle_and_the_strongest_counts(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    assert ledger.retrain_requests.open("operator") is None
    first = ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 1.0)
    ledger.retrain_requests.ask(CycleKind.FULL, "operator", 2.0)
    assert ledger.retrain_requests.open("operator") is CycleKind.FULL
    assert ledger.retrain_requests.open("schedule") is None
    assert ledger.retrain_requests.taken_up(first) is None
    claim = ledger.cycles.claim(CycleKind.FULL, "asked", 3.0, fence=fence)
    assert ledger.retrain_requests.open("operator") is None
    assert ledger.retrain_requests.taken_up(first) == claim.cycle_id


def test_of_several_instances_whose_clocks_strike_together_one_is_heard(ledger: Ledger, fence: int) -> None:
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 1000.0)
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 1000.0)
    ledger.cycles.claim(CycleKind.FULL, "due", 1300.0, fence=fence)
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 1000.0)  # a clock that lags: the cycle has begun already
    assert ledger.retrain_requests.open("schedule") is None
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 1060.0)
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL


def test_a_clock_that_was_ahead_does_not_silence_the_schedule(ledger: Ledger, fence: int) -> None:
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 900_000.0)
    ledger.cycles.claim(CycleKind.FULL, "due", 1300.0, fence=fence)
    ledger.retrain_requests.ask_by_schedule(CycleKind.FULL, 2000.0)
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL


def test_a_full_retrain_that_is_due_is_not_forgotten_over_a_smaller_cycle(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.retrain_requests.ask(CycleKind.FULL, "schedule", 1.0)
    ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", 2.0)
    small = ledger.cycles.claim(CycleKind.INCREMENTAL, "asked", 3.0, fence=fence)
    ledger.cycles.settle(ended(small.cycle_id, Outcome.REGISTERED, 1), 4.0, fence=fence)
    assert ledger.retrain_requests.open("operator") is None
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL
    ledger.cycles.claim(CycleKind.FULL, "due", 5.0, fence=fence)
    assert ledger.retrain_requests.open("schedule") is None


def test_who_was_learned_lately_is_remembered_for_a_while(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=1000.0))
    refused = ledger.cycles.claim(CycleKind.FULL, "r", 1001.0, fence=fence)
    ledger.cycles.settle(ended(refused.cycle_id, Outcome.REJECTED), 1002.0, fence=fence)
    assert ledger.cycles.recently_learned_users(1003.0) == ()
    first = ledger.cycles.claim(CycleKind.FULL, "r", 1003.0, fence=fence)
    ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 1004.0, fence=fence)
    assert ledger.cycles.recently_learned_users(1005.0) == ("a", "b")
    later = 1000.0 + LAG_COVERED + 1
    ledger.intake.record(batch(P0, 2, ["b"], now=later))
    assert ledger.cycles.recently_learned_users(later) == ()
    second = ledger.cycles.claim(CycleKind.INCREMENTAL, "r", later, fence=fence)
    ledger.cycles.settle(ended(second.cycle_id, Outcome.REGISTERED, 2), later, fence=fence)
    assert ledger.cycles.recently_learned_users(later) == ("b",)
    with ledger.engine.begin() as connection:
        noted = select(learned.c.user_id, learned.c.last_position, learned.c.cycle_id).order_by(learned.c.user_id)
        assert connection.execute(noted).tuples().all() == [
            ("a", "t[0]@0", first.cycle_id),
            ("b", "t[0]@2", second.cycle_id),
        ]
