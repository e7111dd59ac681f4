"""What the ledger must do, on every engine: changes and offsets are one, a claim is whole, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select

from consumer.errors import LeaseLost, LedgerError, OffsetConflict
from consumer.ledger.batch import Batch, DeadLetter, Partition, Position
from consumer.ledger.cycles import LAG_COVERED
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.tables import changes, gaps, learned, metadata, promotions
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.events import Operation

P0, P1 = Partition("t", 0), Partition("t", 1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def fence(ledger: Ledger) -> int:
    """The token of whoever runs the cycles of these tests."""
    return take(ledger)


def take(ledger: Ledger) -> int:
    lease = ledger.leases.take("we", ledger.leases.current(), 0.0)
    assert lease is not None
    return lease.token


def batch(partition: Partition, start: int, users: list[str], now: float = 100.0) -> Batch:
    """Events of `users` at consecutive offsets."""
    found = Batch(received_at=now)
    found.progress[partition] = (start, start + len(users))
    found.events[partition] = len(users)
    for at, user in enumerate(users, start):
        found.add(user, Operation.UPSERT, Position(*partition, at), now - 1)
    return found


def begin(ledger: Ledger) -> None:
    ledger.intake.start_at({P0: 0, P1: 0}, 0.0)


def ended(cycle_id: str, outcome: Outcome, version: int | None = None) -> CycleResult:
    return CycleResult(
        cycle_id=cycle_id, outcome=outcome, reason="said so", base_version=None, version=version, known_users=7
    )


def test_offsets_and_changes_advance_together(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", "a"]))
    assert ledger.intake.positions("t") == {P0: 3, P1: 0}
    assert ledger.views.backlog().users == 2
    assert ledger.views.read().events == 3
    assert ledger.intake.positions("other") == {}


def test_a_pending_user_s_row_says_what_all_batches_said(ledger: Ledger) -> None:
    begin(ledger)
    one = Batch(received_at=100.0, progress={P0: (0, 3)})
    one.add("a", Operation.UPSERT, Position("t", 0, 0), 90.0)
    one.add("a", Operation.UPSERT, Position("t", 0, 1), 80.0)
    one.add("b", Operation.UPSERT, Position("t", 0, 2), 170.0)  # by a clock that runs ahead
    ledger.intake.record(one)
    two = Batch(received_at=110.0, progress={P1: (0, 2)})
    two.add("a", Operation.UPSERT, Position("t", 1, 0), 95.0)
    two.add("a", Operation.DELETE, Position("t", 1, 1), 105.0)
    ledger.intake.record(two)
    with ledger.engine.connect() as connection:
        rows = {row["user_id"]: dict(row) for row in connection.execute(select(changes)).mappings()}
    a, b = ({name: value for name, value in rows[user].items() if name != "user_id"} for user in "ab")
    assert a == {
        "cycle_id": "",
        "operation": "delete",
        "events": 4,
        "first_position": "t[0]@0",
        "last_position": "t[1]@1",
        "first_event_at": 90.0,
        "last_event_at": 105.0,
        "fresh_since": 90.0,
        "received_at": 110.0,
        "tried": False,
    }
    assert (b["first_position"], b["last_position"], b["operation"]) == ("t[0]@2", "t[0]@2", "upsert")
    assert (b["first_event_at"], b["fresh_since"], b["received_at"]) == (170.0, 100.0, 100.0)


def test_a_batch_that_was_read_from_elsewhere_is_refused_whole(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    stale = batch(P0, 0, ["b"])
    stale.progress[P1] = (0, 1)
    with pytest.raises(OffsetConflict, match=r"t\[0\] is not at offset 0"):
        ledger.intake.record(stale)
    assert ledger.intake.positions("t") == {P0: 1, P1: 0}
    assert ledger.views.backlog().users == 1


def test_a_known_partition_is_not_started_again(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    ledger.intake.start_at({P0: 99}, 0.0)
    assert ledger.intake.positions("t")[P0] == 1


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
    assert following.anchor_version == 1


def test_a_rejected_cycle_gives_its_users_back_and_the_next_covers_its_offsets(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 2, ["b", "c"], now=250.0))
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence) is False
    backlog = ledger.views.backlog()
    assert (backlog.users, backlog.untried) == (3, 2)  # a was tried; b and c changed since
    assert backlog.oldest_change == 249.0
    assert backlog.oldest_event_at == 99.0
    assert ledger.views.past().rejections_in_a_row == 1
    following = ledger.cycles.claim(CycleKind.BOOTSTRAP, "again", 400.0, fence=fence)
    assert following.users == ("a", "b", "c")
    assert following.lineage.offsets == {"t": {0: (0, 4)}}


def test_a_failed_cycle_gives_its_users_back_as_untried(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 300.0, fence=fence)
    assert ledger.views.backlog().untried == 1
    assert ledger.views.past().rejections_in_a_row == 0


def test_a_new_event_makes_a_tried_user_count_again(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 300.0, fence=fence)
    assert ledger.views.backlog().untried == 0
    ledger.intake.record(batch(P0, 1, ["a"], now=500.0))
    backlog = ledger.views.backlog()
    assert (backlog.untried, backlog.oldest_change) == (1, 499.0)


def test_a_cycle_ends_once(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence) is True
    with pytest.raises(LedgerError, match="is not running"):
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 2), 300.0, fence=fence)
    assert [version["version"] for version in ledger.views.versions()] == [1]


def test_a_version_compared_with_a_champion_of_yesterday_is_not_promoted(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    with ledger.engine.begin() as connection:
        connection.execute(promotions.insert().values(version=9, at=250.0, reason="an operator's word"))
    assert ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), 300.0, fence=fence) is False
    assert [(found["version"], found["champion"]) for found in ledger.views.versions()] == [(1, False)]
    assert ledger.views.past().champion == 9
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


def test_the_anchor_is_the_last_champion_trained_from_scratch(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    kinds = [CycleKind.BOOTSTRAP, CycleKind.INCREMENTAL, CycleKind.FULL, CycleKind.INCREMENTAL]
    for version, kind in enumerate(kinds, 1):
        claim = ledger.cycles.claim(kind, "in turn", float(version), fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, version), float(version), fence=fence)
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "last", 9.0, fence=fence)
    assert (claim.base_version, claim.anchor_version) == (4, 3)


def test_cycle_ids_are_never_used_twice(ledger: Ledger, fence: int) -> None:
    seen = set()
    for number in range(5):
        claim = ledger.cycles.claim(CycleKind.FULL, "again", 1.0, fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 1.0, fence=fence)
        seen.add(claim.cycle_id)
        assert len(seen) == number + 1


def test_dead_letters_are_kept_as_they_came_and_once(ledger: Ledger) -> None:
    begin(ledger)
    letter = DeadLetter(Position("t", 0, 0), 50.0, b"k", b"\xff\x00", (("h", b"\xfe"),), "decode", "no JSON")
    dead = Batch(received_at=60.0, progress={P0: (0, 1)}, events={P0: 1}, dead=[letter])
    ledger.intake.record(dead)
    ledger.intake.record_replay({"t": {0: (0, 1)}}, 1, Batch(received_at=70.0, dead=[letter]))
    found = ledger.views.dead_letters(10)
    assert len(found) == 1
    assert found[0]["reason"] == "no JSON"
    assert found[0]["value_base64"] == "/wA="


def test_a_topic_that_was_made_anew_keeps_its_dead_letters_too(ledger: Ledger) -> None:
    begin(ledger)
    for event_at in (50.0, 90.0):
        letter = DeadLetter(Position("t", 0, 0), event_at, None, b"{", (), "decode", "no JSON")
        ledger.intake.record(Batch(received_at=99.0, progress={P0: (0, 1)}, dead=[letter]))
        ledger.intake.jump(
            P0, 1, 0, DeadLetter(Position("t", 0, 1), event_at, None, None, (), "gap", "made anew"), 99.0
        )
    assert [found["reason"] for found in ledger.views.dead_letters(9)].count("no JSON") == 2


def test_a_failed_cycle_does_not_make_its_changes_look_fresher(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 200.0, fence=fence)
    ledger.intake.record(batch(P0, 1, ["a"], now=250.0))
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 300.0, fence=fence)
    assert ledger.views.backlog().oldest_change == 99.0
    assert ledger.views.past().last_failed


def test_what_the_clock_asked_for_is_still_due_after_a_failure(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.asked.ask(CycleKind.FULL, "schedule", 1.0)
    claim = ledger.cycles.claim(CycleKind.FULL, "due", 2.0, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.FAILED), 3.0, fence=fence)
    assert ledger.asked.open("schedule") is CycleKind.FULL


def test_looking_needs_no_lock(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    url = ledger.engine.url.render_as_string(hide_password=False)
    with ledger.engine.begin() as writer:
        writer.execute(promotions.insert().values(version=1, at=1.0, reason="being written"))
        looking = open_ledger(url, create=False)
        assert looking.views.backlog().users == 1
        assert looking.views.past().champion is None
        assert looking.cycles.running() is None
        assert looking.asked.open("operator") is None
        assert looking.intake.positions("t")[P0] == 1
        looking.close()


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
    assert claim.lineage.replayed == {"t": {0: (0, 1)}}


def test_a_gap_is_on_record_and_reading_goes_on_behind_it(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    letter = DeadLetter(Position("t", 0, 1), 50.0, None, None, (), "gap", "gone")
    ledger.intake.jump(P0, 1, 500, letter, 60.0)
    assert ledger.intake.positions("t")[P0] == 500
    assert ledger.views.dead_letters(1)[0]["stage"] == "gap"
    ledger.intake.record(batch(P0, 500, ["b"]))


def passed_over(ledger: Ledger, partition: Partition, start: int, end: int, now: float = 60.0) -> None:
    letter = DeadLetter(Position(*partition, start), now, None, None, (), "gap", "gone")
    ledger.intake.jump(partition, start, end, letter, now)


def test_a_jump_from_elsewhere_than_expected_is_refused_whole(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    with pytest.raises(OffsetConflict, match=r"t\[0\] is not at offset 0"):
        passed_over(ledger, P0, 0, 500)
    assert ledger.intake.positions("t")[P0] == 1
    assert ledger.views.dead_letters(1) == []
    with ledger.engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(gaps)) == 0


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


def test_events_that_come_out_of_order_keep_the_earliest_and_the_latest_time(ledger: Ledger) -> None:
    begin(ledger)
    for at, now in enumerate((200.0, 100.0, 150.0)):
        ledger.intake.record(batch(P0, at, ["a"], now=now))
    with ledger.engine.begin() as connection:
        row = connection.execute(select(changes)).one()
    assert (row.first_event_at, row.last_event_at, row.fresh_since) == (99.0, 199.0, 99.0)


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


def test_two_who_read_the_same_partition_store_it_once(ledger: Ledger, ledger_url: str) -> None:
    begin(ledger)
    users = [f"u{number}" for number in range(20)]
    ready = threading.Barrier(2)

    def read(instance: Ledger) -> int:
        refused = 0
        for at, user in enumerate(users):
            ready.wait(10)
            try:
                instance.intake.record(batch(P0, at, [user]))
            except OffsetConflict:
                refused += 1
        return refused

    with closing(open_ledger(ledger_url)) as other, ThreadPoolExecutor(2) as pool:
        refused = list(pool.map(read, [ledger, other]))
    assert sum(refused) == len(users)
    assert ledger.intake.positions("t")[P0] == len(users)
    assert ledger.views.read().events == len(users)
    with ledger.engine.begin() as connection:
        assert set(connection.scalars(select(changes.c.events))) == {1}


def test_any_text_can_be_the_reason_of_a_dead_letter(ledger: Ledger) -> None:
    begin(ledger)
    letter = DeadLetter(Position("t", 0, 0), 50.0, b"\0", b"\0", (("h\0", b"\0"),), "decode", "bad \0 and \ud800")
    ledger.intake.record(Batch(received_at=60.0, progress={P0: (0, 1)}, dead=[letter]))
    assert ledger.views.dead_letters(1)[0]["reason"] == r"bad \x00 and \ud800"


def test_requests_wait_for_the_next_cycle_and_the_strongest_counts(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    assert ledger.asked.open("operator") is None
    first = ledger.asked.ask(CycleKind.INCREMENTAL, "operator", 1.0)
    ledger.asked.ask(CycleKind.FULL, "operator", 2.0)
    assert ledger.asked.open("operator") is CycleKind.FULL
    assert ledger.asked.open("schedule") is None
    assert ledger.asked.taken_up(first) is None
    claim = ledger.cycles.claim(CycleKind.FULL, "asked", 3.0, fence=fence)
    assert ledger.asked.open("operator") is None
    assert ledger.asked.taken_up(first) == claim.cycle_id


def test_of_several_instances_whose_clocks_strike_together_one_is_heard(ledger: Ledger, fence: int) -> None:
    for moment in (1000.0, 1000.2, 1001.0):
        ledger.asked.ask_by_schedule(CycleKind.FULL, moment)
    ledger.cycles.claim(CycleKind.FULL, "due", 1002.0, fence=fence)
    ledger.asked.ask_by_schedule(CycleKind.FULL, 1003.0)  # a clock that lags: the cycle has begun already
    assert ledger.asked.open("schedule") is None
    ledger.asked.ask_by_schedule(CycleKind.FULL, 1060.0)
    assert ledger.asked.open("schedule") is CycleKind.FULL


def test_a_full_retrain_that_is_due_is_not_forgotten_over_a_smaller_cycle(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.asked.ask(CycleKind.FULL, "schedule", 1.0)
    ledger.asked.ask(CycleKind.INCREMENTAL, "operator", 2.0)
    small = ledger.cycles.claim(CycleKind.INCREMENTAL, "asked", 3.0, fence=fence)
    ledger.cycles.settle(ended(small.cycle_id, Outcome.REGISTERED, 1), 4.0, fence=fence)
    assert ledger.asked.open("operator") is None
    assert ledger.asked.open("schedule") is CycleKind.FULL
    ledger.cycles.claim(CycleKind.FULL, "due", 5.0, fence=fence)
    assert ledger.asked.open("schedule") is None


@dataclass
class _Model:
    """What the ledger should hold: by user, whether pending or claimed, and how far each version has learned."""

    next_offset: dict[Partition, int] = field(default_factory=lambda: {P0: 0, P1: 0})
    settled: dict[Partition, int] = field(default_factory=lambda: {P0: 0, P1: 0})
    passed_over: dict[Partition, set[int]] = field(default_factory=lambda: {P0: set(), P1: set()})
    pending: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    claimed_to: dict[Partition, int] = field(default_factory=dict)
    version: int = 0


class LedgerHistory(RuleBasedStateMachine):
    """P1 over random histories: a user leaves the ledger only through a registered version, whatever comes between."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        begin(self.ledger)
        self.fence = take(self.ledger)
        self.model = _Model()
        self.cycle_id: str | None = None
        self.now = 0.0

    @rule(partition=st.sampled_from([P0, P1]), users=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5))
    def events_arrive(self, partition: Partition, users: list[str]) -> None:
        self.ledger.intake.record(batch(partition, self.model.next_offset[partition], users, self.now))
        self.model.next_offset[partition] += len(users)
        self.model.pending |= set(users)

    @rule(partition=st.sampled_from([P0, P1]), behind=st.integers(1, 3))
    def a_stale_batch_is_refused(self, partition: Partition, behind: int) -> None:
        with pytest.raises(OffsetConflict):
            self.ledger.intake.record(batch(partition, self.model.next_offset[partition] + behind, ["z"], self.now))

    @rule(partition=st.sampled_from([P0, P1]), lost=st.integers(1, 3))
    def offsets_are_passed_over(self, partition: Partition, lost: int) -> None:
        start = self.model.next_offset[partition]
        passed_over(self.ledger, partition, start, start + lost, self.now)
        self.model.next_offset[partition] += lost
        self.model.passed_over[partition] |= set(range(start, start + lost))

    @rule()
    def another_takes_the_lease(self) -> None:
        asleep, self.fence = self.fence, take(self.ledger)
        with pytest.raises(LeaseLost):
            self.ledger.cycles.claim(CycleKind.FULL, "asleep", self.now, fence=asleep)
        if self.cycle_id is not None:
            with pytest.raises(LeaseLost):
                self.ledger.cycles.settle(ended(self.cycle_id, Outcome.REJECTED), self.now, fence=asleep)

    @precondition(lambda self: self.cycle_id is None)
    @rule(kind=st.sampled_from(CycleKind))
    def a_cycle_starts(self, kind: CycleKind) -> None:
        self.now += 1
        claim = self.ledger.cycles.claim(kind, "in turn", self.now, fence=self.fence)
        self.cycle_id = claim.cycle_id
        assert set(claim.users) == self.model.pending
        expected = {
            partition.number: (self.model.settled[partition], self.model.next_offset[partition])
            for partition in (P0, P1)
            if self.model.settled[partition] < self.model.next_offset[partition]
        }
        assert claim.lineage.offsets == ({"t": expected} if expected else {})
        for number, (start, end) in expected.items():
            gaps_named = claim.lineage.gaps.get("t", {}).get(number, ())
            inside = self.model.passed_over[Partition("t", number)] & set(range(start, end))
            assert {offset for gap in gaps_named for offset in range(*gap)} == inside
        self.model.claimed, self.model.pending = self.model.pending, set()
        self.model.claimed_to = dict(self.model.next_offset)

    @precondition(lambda self: self.cycle_id is not None)
    @rule(outcome=st.sampled_from(Outcome))
    def the_cycle_ends(self, outcome: Outcome) -> None:
        assert self.cycle_id is not None
        registered = outcome is Outcome.REGISTERED
        version = self.model.version + 1 if registered else None
        assert (
            self.ledger.cycles.settle(ended(self.cycle_id, outcome, version), self.now, fence=self.fence) is registered
        )
        self.cycle_id = None
        if registered:
            self.model.version += 1
            self.model.settled = self.model.claimed_to
        else:
            self.model.pending |= self.model.claimed
        self.model.claimed = set()

    @invariant()
    def nobody_is_lost(self) -> None:
        with self.ledger.engine.begin() as connection:
            rows = connection.execute(select(changes.c.user_id, changes.c.cycle_id)).all()
        assert {row.user_id for row in rows if not row.cycle_id} == self.model.pending
        assert {row.user_id for row in rows if row.cycle_id} == self.model.claimed
        assert self.ledger.intake.positions("t") == self.model.next_offset


@pytest.mark.parametrize(("engine", "examples"), [("sqlite", 40), ("postgresql", 15)])
def test_nobody_is_lost_whatever_the_history(request: pytest.FixtureRequest, engine: str, examples: int) -> None:
    url = "sqlite://" if engine == "sqlite" else request.getfixturevalue("postgresql").new_schema()
    with closing(open_ledger(url)) as ledger:

        def fresh() -> LedgerHistory:
            with ledger.engine.begin() as connection:
                for table in metadata.tables.values():
                    connection.execute(table.delete())
            return LedgerHistory(ledger)

        run_state_machine_as_test(
            cast("Any", fresh), settings=settings(max_examples=examples, stateful_step_count=20, deadline=None)
        )


def test_who_was_learned_lately_is_remembered_for_a_while(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=1000.0))
    refused = ledger.cycles.claim(CycleKind.FULL, "r", 1001.0, fence=fence)
    ledger.cycles.settle(ended(refused.cycle_id, Outcome.REJECTED), 1002.0, fence=fence)
    assert ledger.cycles.lately(1003.0) == ()
    first = ledger.cycles.claim(CycleKind.FULL, "r", 1003.0, fence=fence)
    ledger.cycles.settle(ended(first.cycle_id, Outcome.REGISTERED, 1), 1004.0, fence=fence)
    assert ledger.cycles.lately(1005.0) == ("a", "b")
    later = 1000.0 + LAG_COVERED + 1
    ledger.intake.record(batch(P0, 2, ["b"], now=later))
    assert ledger.cycles.lately(later) == ()
    second = ledger.cycles.claim(CycleKind.INCREMENTAL, "r", later, fence=fence)
    ledger.cycles.settle(ended(second.cycle_id, Outcome.REGISTERED, 2), later, fence=fence)
    assert ledger.cycles.lately(later) == ("b",)
    with ledger.engine.begin() as connection:
        assert connection.execute(select(learned.c.user_id)).scalars().all() == ["b"]
