"""What reading does to the ledger, on every engine: changes and offsets are one, and nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from consumer.database.tables import changes, gaps, promotions
from consumer.dead_letters.letter import DeadLetter
from consumer.dead_letters.store import Which
from consumer.decoding import decoder, to_batch
from consumer.errors import OffsetConflict
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition, Position
from schemas.events import Operation
from schemas.features import FeatureGroup
from schemas.labels import pair_text
from tests.contract.ledgers import P0, P1, batch, begin, passed_over


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
    one.add("a", Operation.UPSERT, str(Position("t", 0, 0)), 90.0)
    one.add("a", Operation.UPSERT, str(Position("t", 0, 1)), 80.0)
    one.add("b", Operation.UPSERT, str(Position("t", 0, 2)), 170.0)  # by a clock that runs ahead
    ledger.intake.record(one)
    two = Batch(received_at=110.0, progress={P1: (0, 2)})
    two.add("a", Operation.UPSERT, str(Position("t", 1, 0)), 95.0)
    two.add("a", Operation.DELETE, str(Position("t", 1, 1)), 105.0)
    ledger.intake.record(two)
    with ledger.engine.connect() as connection:
        rows = {row["user_id"]: dict(row) for row in connection.execute(select(changes)).mappings()}
    a, b = ({name: value for name, value in rows[user].items() if name != "user_id"} for user in "ab")
    assert a == {
        "portion": 1,
        "operation": "delete",
        "events": 4,
        "first_position": "t[0]@0",
        "last_position": "t[1]@1",
        "first_event_at": 90.0,
        "last_event_at": 105.0,
        "fresh_since": 100.0,
        "received_at": 110.0,
        "tried": False,
        "learned_by": None,
    }
    assert (b["first_position"], b["last_position"], b["operation"]) == ("t[0]@2", "t[0]@2", "upsert")
    assert (b["first_event_at"], b["fresh_since"], b["received_at"]) == (170.0, 100.0, 100.0)


@pytest.mark.parametrize(
    "off", [-7200.0, 7200.0, 100.0 / 1000 - 100.0], ids=["behind", "ahead", "seconds for milliseconds"]
)
def test_what_time_a_producer_gives_its_events_makes_no_change_older_or_fresher(ledger: Ledger, off: float) -> None:
    begin(ledger)
    for at, now in enumerate((100.0, 130.0)):
        arrived = Batch(received_at=now, progress={P0: (at, at + 1)})
        arrived.add(f"u{at}", Operation.UPSERT, str(Position("t", 0, at)), now + off)
        arrived.add_label(pair_text(("a", f"u{at}")), Operation.UPSERT, str(Position("t", 0, at)), now + off)
        ledger.intake.record(arrived)
    backlog = ledger.views.backlog()
    assert (backlog.oldest_change, backlog.newest_change) == (100.0, 130.0)
    assert backlog.oldest_event_at == 100.0 + off


def test_what_is_none_of_ours_is_counted_by_reason(ledger: Ledger) -> None:
    begin(ledger)
    first = batch(P0, 0, ["a", "x", "x"])
    first.ignored.update({(P0, "another group"): 1, (P0, "another version"): 1})
    ledger.intake.record(first)
    second = batch(P1, 0, ["x", "x"])
    second.ignored[P1, "another group"] = 2
    second.progress[P0] = (3, 3)
    ledger.intake.record(second)
    read = ledger.views.read()
    assert (read.ignored, read.ignored_because) == (4, {"another group": 3, "another version": 1})
    late = batch(P0, 0, ["x"])
    late.ignored[P0, "another group"] = 1
    with pytest.raises(OffsetConflict):
        ledger.intake.record(late)
    assert ledger.views.read() == read


@pytest.mark.parametrize("count", [499, 500, 1203])
def test_batches_of_any_size_are_stored_and_merged_whole(ledger: Ledger, count: int) -> None:
    users = [f"u{number}" for number in range(count)]
    begin(ledger)
    ledger.intake.record(batch(P0, 0, users))
    ledger.intake.record(batch(P0, count, users[::2]))
    with ledger.engine.connect() as connection:
        events = dict(connection.execute(select(changes.c.user_id, changes.c.events)).tuples().all())
    assert events == {user: 2 - number % 2 for number, user in enumerate(users)}


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


def test_dead_letters_are_kept_as_they_came_and_once(ledger: Ledger) -> None:
    begin(ledger)
    letter = DeadLetter(Position("t", 0, 0), 50.0, b"k", b"\xff\x00", (("h", b"\xfe"),), "decode", "no JSON")
    dead = Batch(received_at=60.0, progress={P0: (0, 1)}, events={P0: 1}, dead=[letter])
    ledger.intake.record(dead)
    ledger.intake.record_replay({"t": {0: (0, 1)}}, 1, Batch(received_at=70.0, dead=[letter]))
    (found,) = ledger.letters.find(Which(status=None), 10)
    stored = ledger.letters.get(found.id)
    assert stored is not None
    assert stored.letter == letter


def test_a_topic_that_was_made_anew_keeps_its_dead_letters_too(ledger: Ledger) -> None:
    begin(ledger)
    for event_at in (50.0, 90.0):
        letter = DeadLetter(Position("t", 0, 0), event_at, None, b"{", (), "decode", "no JSON")
        ledger.intake.record(Batch(received_at=99.0, progress={P0: (0, 1)}, dead=[letter]))
        ledger.intake.jump(
            P0, 1, 0, DeadLetter(Position("t", 0, 1), event_at, None, None, (), "gap", "made anew"), 99.0
        )
    assert [found.reason for found in ledger.letters.find(Which(), 9)].count("no JSON") == 2


def test_another_record_at_the_same_place_and_time_is_another_letter(ledger: Ledger) -> None:
    """A topic that was made anew, by a producer whose times never differ; then each of them is read once more."""
    begin(ledger)
    letters = [
        DeadLetter(Position("t", 0, 0), 50.0, key, value, headers, "decode", "no JSON")
        for key, value, headers in (
            (None, b"{", ()),
            (None, b"[", ()),
            (b"", b"{", ()),
            (None, b"{", (("h", None),)),
            (None, b"{", (("h", b""),)),
        )
    ]
    for letter in [*letters, *letters]:
        ledger.intake.record(Batch(received_at=99.0, progress={P0: (0, 1)}, dead=[letter]))
        ledger.intake.jump(P0, 1, 0, DeadLetter(Position("t", 0, 1), 50.0, None, None, (), "gap", "made anew"), 99.0)
    kept = [ledger.letters.get(number) for number in ledger.letters.ids(Which(stage="decode"))]
    assert [stored.letter for stored in kept if stored] == letters


@pytest.mark.parametrize("timestamp", [-1, 0, 10**15, 1_700_000_000_000])
def test_a_record_that_is_read_again_is_the_same_letter_whatever_its_time(ledger: Ledger, timestamp: int) -> None:
    """By a log that was cut off, a restart before its batch was stored, or a replay."""
    begin(ledger)
    record = SimpleNamespace(offset=0, timestamp=timestamp, key=b"k", value=b"{", headers=())
    decode = {"t": decoder("notification", FeatureGroup())}
    for now in (1000.0, 2000.0):
        ledger.intake.record(to_batch(decode, {P0: [record]}, {P0: 0}, now))
        passed_over(ledger, P0, 1, 0, now)
        ledger.intake.record_replay({}, 1, to_batch(decode, {P0: [record]}, {P0: 0}, now + 1))
    (found,) = ledger.letters.ids(Which(status=None, stage="decode"))
    ledger.letters.discard([found], "no use", 3000.0)
    ledger.intake.record_replay({}, 1, to_batch(decode, {P0: [record]}, {P0: 0}, 4000.0))
    assert ledger.letters.ids(Which(status="open", stage="decode")) == []


def test_a_record_of_a_topic_that_was_made_anew_is_another_letter_though_it_says_the_same(ledger: Ledger) -> None:
    """Without a time of its own, and after the first one was settled: what it says would be lost."""
    ledger.intake.start_at({P0: 0}, 0.0, "first")
    letter = DeadLetter(Position("t", 0, 0), 50.0, None, b"{", (), "decode", "no JSON", timestamp=-1)
    ledger.intake.record(Batch(received_at=50.0, progress={P0: (0, 1)}, dead=[letter]))
    ledger.letters.discard(ledger.letters.ids(Which()), "no use", 60.0)
    gap = DeadLetter(Position("t", 0, 1), 70.0, None, None, (), "gap", "made anew")
    ledger.intake.jump(P0, 1, 0, gap, 70.0, "second")
    ledger.intake.record(Batch(received_at=80.0, progress={P0: (0, 1)}, dead=[replace(letter, event_at=80.0)]))
    (found,) = ledger.letters.find(Which(stage="decode"), 9)
    assert found.stored_at == 80.0


def test_a_letter_from_before_the_topic_s_id_was_known_is_known_again(ledger: Ledger) -> None:
    letter = DeadLetter(Position("t", 0, 0), 50.0, None, b"{", (), "decode", "no JSON", timestamp=-1)
    ledger.intake.record_replay({}, 1, Batch(received_at=50.0, dead=[letter]))  # before anything was listened to
    ledger.intake.start_at({P0: 0}, 0.0, "it")
    ledger.intake.record(Batch(received_at=80.0, progress={P0: (0, 1)}, dead=[replace(letter, event_at=80.0)]))
    other = replace(letter, position=Position("u", 0, 0))
    ledger.intake.start_at({Partition("u", 0): 0}, 0.0)
    ledger.intake.record(Batch(received_at=80.0, progress={Partition("u", 0): (0, 1)}, dead=[other]))
    ledger.intake.identify("u", "that")
    ledger.intake.record_replay({}, 1, Batch(received_at=90.0, dead=[replace(other, event_at=90.0)]))
    assert len(ledger.letters.ids(Which())) == 2


def test_looking_needs_no_lock(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    url = ledger.engine.url.render_as_string(hide_password=False)
    with ledger.engine.begin() as writer:
        writer.execute(promotions.insert().values(version=1, at=1.0, reason="being written"))
        looking = open_ledger(url, create=False)
        assert looking.views.backlog().users == 1
        assert looking.views.history().champion is None
        assert looking.cycles.running() is None
        assert looking.retrain_requests.open("operator") is None
        assert looking.intake.positions("t")[P0] == 1
        looking.close()


def test_a_gap_is_on_record_and_reading_goes_on_behind_it(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    letter = DeadLetter(Position("t", 0, 1), 50.0, None, None, (), "gap", "gone")
    ledger.intake.jump(P0, 1, 500, letter, 60.0)
    assert ledger.intake.positions("t")[P0] == 500
    assert ledger.letters.find(Which(), 1)[0].stage == "gap"
    ledger.intake.record(batch(P0, 500, ["b"]))


def test_a_jump_from_elsewhere_than_expected_is_refused_whole(ledger: Ledger) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    with pytest.raises(OffsetConflict, match=r"t\[0\] is not at offset 0"):
        passed_over(ledger, P0, 0, 500)
    assert ledger.intake.positions("t")[P0] == 1
    assert ledger.letters.find(Which(), 1) == []
    with ledger.engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(gaps)) == 0


def test_events_that_come_out_of_order_keep_the_earliest_and_the_latest_time(ledger: Ledger) -> None:
    begin(ledger)
    for at, now in enumerate((200.0, 100.0, 150.0)):
        ledger.intake.record(batch(P0, at, ["a"], now=now))
    with ledger.engine.begin() as connection:
        row = connection.execute(select(changes)).one()
    assert (row.first_event_at, row.last_event_at, row.fresh_since) == (99.0, 199.0, 100.0)


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
    assert ledger.letters.find(Which(), 1)[0].reason == r"bad \x00 and \ud800"
