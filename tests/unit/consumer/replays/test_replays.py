"""Which records a replay takes, what it remembers of them, and how it goes on where it was cut short."""

from __future__ import annotations

import math
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from consumer.deadline import Deadline
from consumer.errors import StateFolderError
from consumer.ledger.batch import Batch, DeadLetter, LabelChange, Partition, Position
from consumer.ledger.ledger import open_ledger
from consumer.replays.found import Replayed
from consumer.replays.order import NoUsers, Order, new_head, resumed, users_in, window_of
from consumer.replays.spool import Spool
from consumer.replays.stretch import Stretch, coarser
from consumer.replays.throttle import Throttle
from consumer.replays.window import Window, WrongOffsets, guessed, is_sensible, milliseconds, moment_of, offsets_of
from consumer.settings import Settings
from retrainer.cli.replay import _learn, replay
from schemas.events import Change, Operation
from schemas.labels import pair_text
from schemas.spans import Span, joined
from tests.cli import command

P0 = Partition("t", 0)
NOW = 1_795_000_000.0
MS = int(1000 * NOW)


class Record(NamedTuple):
    offset: int
    timestamp: int


def stretch(end: int = 100) -> Stretch:
    return Stretch("t", 0, begins=0, start=0, end=end, next=0, most=2**63 - 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-1, 12)), max_size=40), st.lists(st.integers(1, 9)))
def test_what_is_taken_is_what_the_window_holds_whatever_the_order_of_times(
    told: list[tuple[int, int]], portions: list[int]
) -> None:
    """Offsets have holes, as where a log is compacted or a transaction ends; records come in portions."""
    records, offset = [], -1
    for step, time in told:
        offset += step
        records.append(Record(offset, time))
    window = Window(3, 9)
    inside = {record.offset for record in records if 3 <= record.timestamp < 9}
    outside = {record.offset for record in records} - inside
    found, at, reading = [], 0, stretch(offset + 1)
    for portion in [*portions, len(records)]:
        part = records[at : at + portion]
        found += reading.sift(part, lambda record: window.holds(P0, record.offset, record.timestamp), NOW)
        at += len(part)
        reading.next = part[-1].offset + 1 if part else reading.next
    assert {record.offset for record in found} == inside
    assert (reading.read, reading.held) == (len(records), len(inside))
    covered = {offset for start, end in reading.spans for offset in range(start, end)}
    assert inside <= covered
    assert not covered & outside
    assert joined(reading.spans) == tuple(reading.spans)


def test_what_came_after_the_replay_began_is_left_out() -> None:
    reading = stretch(end=2)
    assert len(reading.sift([Record(n, MS) for n in range(4)], lambda _: True, NOW)) == 2
    reading = stretch(end=2)
    reading.high = 3  # a broker that tells an end that is too early; what the first fetch says holds
    assert len(reading.sift([Record(n, MS) for n in range(4)], lambda _: True, NOW)) == 3


def test_times_that_cannot_be_meant_are_counted_and_guessed_at() -> None:
    reading = stretch()
    times = [MS, MS // 1000, MS * 1000, -1, 0, MS + 2 * 86_400_000, MS * 1_000_000, MS + 3_600_000]
    reading.sift([Record(at, time) for at, time in enumerate(times)], lambda _: True, NOW)
    assert (reading.odd, reading.odd_at, reading.odd_time) == (6, 1, MS // 1000)
    assert [guessed(time) for time in times[1:7]] == [
        "seconds instead of milliseconds",
        "microseconds instead of milliseconds",
        "no time",
        "no time",
        "a wrong clock",
        "nanoseconds instead of milliseconds",
    ]
    assert is_sensible(MS, NOW)
    assert moment_of(MS * 1000) == f"{MS * 1000} ms"


@settings(deadline=None)
@given(st.sets(st.integers(0, 300)), st.integers(1, 9))
def test_too_many_ranges_become_fewer_by_their_smallest_holes(offsets: set[int], most: int) -> None:
    spans = joined((at, at + 1) for at in offsets)
    found = coarser(spans, most)
    assert len(found) <= max(most, 0) or len(spans) <= most
    assert all(any(start <= at < end for start, end in found) for at in offsets)
    assert joined(found) == tuple(found)
    if len(spans) <= most:
        assert tuple(found) == spans


def test_a_scattered_window_keeps_a_bounded_list_of_ranges() -> None:
    reading = stretch(20_000)
    reading.sift([Record(n, MS) for n in range(20_000)], lambda record: record.offset % 2 == 0, NOW)
    assert reading.held == 10_000
    assert len(reading.spans) <= 2000


def test_a_window_ends_before_its_end_and_holds_no_record_without_a_time() -> None:
    begin = datetime(2026, 11, 24, tzinfo=UTC)
    window = Window(milliseconds(begin), milliseconds(begin + timedelta(seconds=1)))
    at = int(begin.timestamp()) * 1000
    assert all(window.holds(P0, 0, time) for time in (at, at + 999))
    assert not any(window.holds(P0, 0, time) for time in (at - 1, at + 1000, -1))
    assert milliseconds(begin + timedelta(microseconds=1)) == at + 1
    by_offset = Window(offsets={P0: ((3, 5), (8, 9))})
    assert [at for at in range(10) if by_offset.holds(P0, at, -1)] == [3, 4, 8]
    assert not by_offset.holds(Partition("t", 1), 3, MS)


def test_offsets_are_understood_or_refused_by_name() -> None:
    def of(*texts: str, topics: tuple[str, ...] = ("t",)) -> dict[Partition, tuple[Span, ...]] | None:
        return offsets_of(texts, topics)

    assert of() is None
    assert of("0:100-200", "0:300-", "1", "0:150-250") == {
        P0: ((100, 250), (300, 2**63 - 1)),
        Partition("t", 1): ((0, 2**63 - 1),),
    }
    assert of("a.b-c:0:1-2", topics=("t", "a.b-c")) == {Partition("a.b-c", 0): ((1, 2),)}
    for text, said in (
        ("0:5-5", "5 is not before 5"),
        ("0:9-5", "9 is not before 5"),
        ("x", "not of the form"),
        ("0:-5", "not of the form"),
        ("0:1-2-3", "not of the form"),
        ("u:0:1-2", "topic u is not listened to; t is"),
        (f"0:1-{2**64}", "no offset is as large"),
    ):
        with pytest.raises(WrongOffsets, match=said):
            of(text)
    with pytest.raises(WrongOffsets, match="say of which topic: t:0:1-2"):
        of("0:1-2", topics=("t", "u"))


def test_what_cannot_be_read_may_be_in_a_window_unless_it_surely_is_not() -> None:
    """Of a batch only its latest time is known, and of a damaged one none."""
    window = Window(MS, MS + 1000)
    assert window.may_hold(P0, 3, 6, -1)
    assert not window.may_hold(P0, 3, 6, MS - 1)
    assert window.may_hold(P0, 3, 6, MS + 5000)
    assert not window.may_hold(P0, 3, 4, MS + 5000)
    by_offset = Window(offsets={P0: ((0, 3), (5, 7))})
    assert by_offset.may_hold(P0, 3, 6, -1)
    assert not by_offset.may_hold(P0, 3, 5, -1)
    assert not by_offset.may_hold(Partition("t", 1), 3, 6, -1)


def test_only_some_users_and_the_labels_that_name_them(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("\ufeffada\r\n\n  bo \ncy\u2028a\n", encoding="utf-8")
    window = Window(users=users_in(file))
    assert window.users == frozenset({"ada", "bo", "cy\u2028a"})
    assert [window.concerns(Change(user, Operation.UPSERT)) for user in ("ada", "cy")] == [True, False]
    labels = [LabelChange(pair_text(pair), Operation.UPSERT) for pair in (("cy", "bo"), ("cy", "di"))]
    assert [window.concerns(label) for label in labels] == [True, False]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(NoUsers, match="is not UTF-8"):
        users_in(file)
    file.write_text("\n \n")
    with pytest.raises(NoUsers, match="names nobody"):
        users_in(file)
    with pytest.raises(NoUsers, match="No such file"):
        users_in(tmp_path / "nowhere")


@settings(deadline=None)
@given(st.floats(0.5, 10_000), st.lists(st.integers(1, 500), max_size=20))
def test_a_throttle_keeps_to_its_rate(rate: float, portions: list[int]) -> None:
    now = 100.0
    throttle, taken = Throttle(rate, now), 0
    for portion in portions:
        taken += portion
        now += throttle.pause(portion, now)
        assert taken <= rate * (now - 100.0) * (1 + 1e-9)
    assert (throttle.at_once or 0) <= max(1, rate)
    assert Throttle(None, 0.0).pause(10**9, 0.0) == 0.0
    assert (Throttle(math.inf, 0.0).at_once, Throttle(math.inf, 0.0).pause(10**9, 0.0)) == (None, 0.0)


def test_a_throttle_gives_no_credit_for_a_wait() -> None:
    """A minute without a broker does not make the next six thousand records come at once."""
    throttle = Throttle(100, 0.0)
    assert throttle.pause(1000, 60.0) == pytest.approx(9.0)


def order(**more: object) -> Order:
    given = {"window": Window(1, 2), "typed": {"from": "a"}, "relative": False, **more}
    return Order(**given)  # type: ignore[arg-type]


def part(user: str) -> Batch:
    batch = Batch(received_at=NOW)
    batch.add(user, Operation.UPSERT, "t[0]@3", 50.0)
    batch.add_label(pair_text((user, "b")), Operation.DELETE, "t[0]@4", 60.0)
    batch.ignored[P0, "of another group"] = 2
    headers = (("h", b"\xfe"), ("\udcff", None), ("h", b""))
    batch.dead.append(DeadLetter(Position("t", 0, 5), 7.0, None, b"\xff{", headers, "decode", "no \ud800 JSON"))
    return batch


def test_what_was_read_is_there_after_a_crash(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "read.db")
    assert spool.head is None
    head = new_head(order(), {"t": "id"}, NOW)
    head.stretches = [stretch()]
    spool.begin(head)
    for at, user in ((10, "ada"), (20, "bo")):
        head.stretches[0].next, head.stretches[0].spans = at, [(3, at)]
        spool.keep(part(user), NOW + at)
    spool.close()

    again = Spool(tmp_path / "read.db")
    assert again.head == head
    assert again.at == NOW + 20
    assert again.head is not None
    assert (again.head.stretches[0].next, again.head.stretches[0].spans) == (20, [(3, 20)])
    found = list(again.batches())
    for batch, user in zip(found, ("ada", "bo"), strict=True):
        expected = part(user)
        assert (batch.users, batch.labels, batch.ignored) == (expected.users, expected.labels, expected.ignored)
        assert batch.dead == expected.dead
    again.remove()
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_release_begins_anew_and_one_that_is_no_database_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "read.db")
    head = new_head(order(), {}, NOW)
    head.release = 0
    spool.begin(head)
    spool.close()
    said: list[str] = []
    older = Spool(tmp_path / "read.db")
    assert not resumed(older, order(), {}, NOW, said.append)
    assert "of another release" in said[0]
    older.close()
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateFolderError, match=r"cannot keep what is read in .*other\.db"):
        Spool(tmp_path / "other.db")


@pytest.mark.parametrize(
    ("wanted", "ids", "later", "goes_on", "said"),
    [
        ({}, {"t": "id"}, 10 * 86_400, True, "going on with the replay that was cut short"),
        ({"restart": True}, {"t": "id"}, 1, False, "forgetting"),
        ({}, {"t": "another"}, 1, False, "the topic was recreated"),
        ({"relative": True}, {"t": "id"}, 600, True, "going on"),
        ({"relative": True}, {"t": "id"}, 3700, False, "too long ago"),
    ],
)
def test_a_replay_that_was_cut_short_goes_on_where_it_still_means_the_same(
    tmp_path: Path, wanted: dict[str, object], ids: dict[str, str], later: float, goes_on: bool, said: str
) -> None:
    spool = Spool(tmp_path / "read.db")
    spool.begin(new_head(order(), {"t": "id"}, NOW))
    told: list[str] = []
    assert resumed(spool, order(**wanted), ids, NOW + later, told.append) is goes_on
    assert said in told[0]
    assert spool.head is not None
    assert window_of(order(window=Window(7, 8)), spool.head) == Window(1, 2)
    spool.close()


@pytest.mark.parametrize(("later", "reads"), [(60.0, False), (86_400.0, True)])
def test_a_window_of_another_present_does_not_wait_for_the_cycle_of_an_earlier_replay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, later: float, reads: bool
) -> None:
    """`--last 2h`, whose service did not take up the request yesterday, is another window today."""
    wanted, given = order(relative=True), Settings(state_dir=tmp_path)
    spool = Spool(tmp_path / "read.db")
    head = new_head(wanted, {"t": "id"}, NOW)
    spool.begin(head)
    monkeypatch.setattr("retrainer.cli.replay.time", SimpleNamespace(time=lambda: NOW + later))
    monkeypatch.setattr("retrainer.cli.replay.run_cycle", lambda *_, **__: {"cycle": "of the request"})

    class Read(Exception):  # noqa: N818
        """The topic is read."""

    def read() -> tuple[Window, Replayed]:
        raise Read

    with closing(open_ledger(given.ledger.url)) as ledger:
        ledger.intake.record_replay({}, 1, part("ada"), replay_id=head.replay_id, told={"events": 1})
    with pytest.raises(Read) if reads else nullcontext():
        assert _learn(given, wanted, spool, Deadline(), read, as_json=True)[0] == {"events": 1}
    spool.close()


def test_the_same_command_has_the_same_folder_and_another_has_not(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    folders = [
        one.folder(settings)
        for one in (
            order(),
            order(restart=True, window=Window(3, 4)),
            order(typed={"from": "b"}),
            order(window=Window(users=frozenset("a"))),
        )
    ]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to replay"),
        (["--to", "now"], "say what to replay"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "is not before --to"),
        (["--from", "-2h", "--last", "2h"], "give one of them"),
        (["--last", "2"], "is not a length of time"),
        (["--offsets", "0:9-1"], "is not before 1"),
        (["--last", "2h", "--users", "nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    found = CliRunner().invoke(command(replay), arguments)
    assert (found.exit_code, said in found.output) == (2, True), found.output


def test_a_replay_of_nothing_yet_is_listed_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from retrainer.cli.replays import replays

    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert "nothing was replayed yet" in CliRunner().invoke(replays, ["list"]).output
    told = {"from": "2026-11-01T00:00:00+00:00", "to": None, "only_users": 3}
    ledger.intake.record_replay({"t": {0: ((0, 6), (94, 100))}}, 12, part("[bold]u"), replay_id="r", told=told)
    out = CliRunner().invoke(replays, ["list"]).output
    ledger.close()
    assert "t[0] 0 to 6, t[0] 94 to 100" in out
    assert "from 2026-11-01T00:00:00, 3 users only" in out
    assert "pending" in out
