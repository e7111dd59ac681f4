"""What the ledger keeps of dead letters, on every engine: all that came, and settled once, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from consumer.database.tables import changes, dead_letters
from consumer.dead_letters import letter as kept
from consumer.dead_letters import replay
from consumer.dead_letters.letter import DeadLetter, Headers, Load, load_of
from consumer.dead_letters.replay import replay_letters
from consumer.dead_letters.store import Which
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition, Position
from schemas.cycle import CycleKind
from schemas.events import Change, Ignored, Operation

P0 = Partition("t", 0)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    opened.intake.start_at({P0: 0}, 0.0)
    yield opened
    opened.close()


def letter(
    offset: int, value: bytes | None = b"bad", stage: str = "decode", reason: str = "no JSON", headers: Headers = ()
) -> DeadLetter:
    return DeadLetter(Position("t", 0, offset), 50.0 + offset, b"k", value, headers, stage, reason)


def stored(ledger: Ledger, *letters: DeadLetter, now: float = 100.0) -> list[int]:
    at = ledger.intake.positions("t")[P0]
    ledger.intake.record(Batch(received_at=now, progress={P0: (at, at + 1)}, dead=list(letters)))
    return ledger.letters.ids(Which(None))[-len(letters) :]


def by_value(found: DeadLetter) -> Change | Ignored | str:
    """Values: `u...` names a user, `other` another group; the rest is still bad."""
    said = (found.value or b"").decode()
    if said.startswith("u"):
        return Change(said, Operation.UPSERT)
    return Ignored("another feature group") if said == "other" else f"still bad: {said}"


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00"])
@pytest.mark.parametrize("value", [None, b"", bytes(range(256)) * 8192])
@pytest.mark.parametrize(
    "headers",
    [(), (("h", b"1"), ("h", None), ("other", b""), ("h", b"\xfe")), (("n\0ul \N{SNOWMAN}", b"x"), ("\udcff", b""))],
)
def test_a_letter_comes_back_byte_for_byte(
    ledger: Ledger, key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    sent = DeadLetter(Position("t", 0, 7), 1.5, key, value, headers, "decode", "why")
    (number,) = stored(ledger, sent)
    found = ledger.letters.get(number)
    assert found is not None
    assert found.letter == sent
    assert (found.entry.status, found.entry.published, found.entry.stored_at) == ("open", False, 100.0)
    assert ledger.letters.get(number + 1) is None


def test_headers_of_schema_2_are_still_shown(ledger: Ledger) -> None:
    (number,) = stored(ledger, letter(0))
    with ledger.engine.begin() as connection:
        connection.execute(dead_letters.update().values(headers={"a": "/w==", "b": ""}))
    found = ledger.letters.get(number)
    assert found is not None
    assert found.letter.headers == (("a", b"\xff"), ("b", b""))


def test_of_a_letter_that_no_ledger_takes_only_position_and_reason_are_kept(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 10)
    huge = letter(0, b"x" * 10)
    assert load_of([huge]) == Load(1, 0)
    (number,) = stored(ledger, huge)
    found = ledger.letters.get(number)
    assert found is not None
    assert (found.letter.key, found.letter.value, found.entry.stage) == (None, None, "size")
    assert "its 11 bytes" in found.entry.reason
    assert "no JSON" in found.entry.reason
    (verdict,) = replay_letters(ledger.letters, [number], by_value, 1.0)
    assert verdict.outcome == "no bytes"


def test_open_letters_are_counted_with_their_bytes(ledger: Ledger) -> None:
    empty = ledger.intake.open_letters()
    ids = stored(ledger, letter(0, b"x" * 1000), letter(1, None), letter(2, b"y" * 500))
    before = ledger.intake.open_letters()
    assert (empty, before.letters) == (Load(0, 0), 3)
    assert 1500 <= before.bytes < 1600
    ledger.letters.discard(ids[:1], "not needed", 1.0)
    after = ledger.intake.open_letters()
    assert after.letters == 2
    assert 500 <= after.bytes < 600
    assert (ledger.views.read().dead_letters, ledger.views.read().open_letters) == (3, 2)


def test_letters_are_found_by_what_is_on_record(ledger: Ledger) -> None:
    first, second = stored(ledger, letter(0, reason="50% off"), letter(1, stage="gap", reason="Gone"), now=100.0)
    (third,) = stored(ledger, letter(2, reason="50 offers"), now=200.0)
    ledger.letters.discard([second], "known", 300.0)

    def found(**filters: object) -> list[int]:
        return [entry.id for entry in ledger.letters.find(Which(**filters), 9)]  # type: ignore[arg-type]

    assert found() == [third, first]
    assert found(status=None) == [third, second, first]
    assert found(status="discarded") == [second]
    assert found(status=None, stage="gap") == [second]
    assert found(status=None, reason="GONE") == [second]
    assert found(reason="50%") == [first]
    assert found(topic="t") == [third, first]
    assert found(topic="other") == []
    assert found(since=150.0) == [third]
    assert [entry.id for entry in ledger.letters.find(Which(None), 1)] == [third]
    assert ledger.letters.ids(Which()) == [first, third]
    assert ledger.letters.counts(Which(None)) == {("discarded", "gap"): 1, ("open", "decode"): 2}


def test_what_is_understood_now_is_pending_and_the_rest_stays_open(ledger: Ledger) -> None:
    ids = stored(ledger, letter(0, b"u1"), letter(1, b"bad"), letter(2, b"other"), letter(3, None, "gap"))
    verdicts = list(replay_letters(ledger.letters, [*ids, 999], by_value, 200.0))
    assert [(verdict.id, verdict.outcome) for verdict in verdicts] == list(
        zip(ids, ["pending", "refused", "ignored", "no bytes"], strict=True)
    )
    assert verdicts[1].said == "still bad: bad"
    assert ledger.letters.ids(Which()) == [ids[1], ids[3]]
    replayed = ledger.letters.get(ids[0])
    assert replayed is not None
    assert (replayed.entry.status, replayed.entry.settled_at) == ("replayed", 200.0)
    assert replayed.letter.value == b"u1"
    lease = ledger.leases.take("we", ledger.leases.current(), 0.0)
    assert lease is not None
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "look", 300.0, fence=lease.token)
    assert claim.users == ("u1",)
    assert claim.lineage.replayed == {"t": {0: ((0, 1),)}}


def test_a_letter_that_is_replayed_twice_counts_once(ledger: Ledger) -> None:
    ids = stored(ledger, letter(0, b"u1"), letter(1, b"u1"), letter(2, b"u2"))
    for _ in range(2):
        outcomes = [verdict.outcome for verdict in replay_letters(ledger.letters, ids, by_value, 200.0)]
    assert outcomes == ["not open"] * 3
    with ledger.engine.begin() as connection:
        rows = {row.user_id: row for row in connection.execute(select(changes))}
    assert {user: row.events for user, row in rows.items()} == {"u1": 2, "u2": 1}
    assert (rows["u1"].first_position, rows["u1"].last_position) == ("t[0]@0", "t[0]@1")
    assert ledger.letters.discard(ids, "too late", 300.0) == 0


def test_two_who_replay_at_once_count_once(ledger: Ledger, ledger_url: str) -> None:
    ids = stored(ledger, letter(0, b"u1"))
    other = open_ledger(ledger_url)
    list(replay_letters(other.letters, ids, by_value, 150.0))
    other.close()
    assert [verdict.outcome for verdict in replay_letters(ledger.letters, ids, by_value, 200.0)] == ["not open"]
    assert ledger.views.backlog().users == 1


def test_a_replay_that_breaks_off_changes_nothing_of_its_portion(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("killed")

    ids = stored(ledger, letter(0, b"u1"))
    monkeypatch.setattr(replay, "store_changes", broken)
    with pytest.raises(RuntimeError):
        list(replay_letters(ledger.letters, ids, by_value, 200.0))
    assert ledger.letters.ids(Which()) == ids
    assert ledger.views.backlog().users == 0


def test_a_dry_run_changes_nothing(ledger: Ledger) -> None:
    ids = stored(ledger, letter(0, b"u1"))
    assert [verdict.outcome for verdict in replay_letters(ledger.letters, ids, by_value, 200.0, dry_run=True)] == [
        "pending"
    ]
    assert ledger.letters.ids(Which()) == ids
    assert ledger.views.backlog().users == 0


def test_many_letters_are_taken_in_portions_all_of_them_once(ledger: Ledger) -> None:
    ids = stored(ledger, *(letter(offset, b"u%d" % offset) for offset in range(450)))
    big = stored(ledger, *(letter(offset, b"u%d" % offset + b"x" * 6_000_000) for offset in range(1000, 1005)))
    portions = list(ledger.letters.portions([*ids, *big]))
    assert [number for portion in portions for number in portion] == [*ids, *big]
    assert [len(portion) for portion in portions] == [200, 200, 52, 2, 1]
    assert len(list(replay_letters(ledger.letters, ids, by_value, 200.0))) == 450
    assert ledger.views.backlog().users == 450


def test_a_discarded_letter_leaves_its_reasons_but_not_its_bytes(ledger: Ledger) -> None:
    (number,) = stored(ledger, letter(0, headers=(("h", b"1"),)))
    assert ledger.letters.discard([number, 77], "a test of the producer's", 200.0) == 1
    assert ledger.letters.discard([number], "again", 300.0) == 0
    found = ledger.letters.get(number)
    assert found is not None
    assert (found.entry.status, found.entry.settled_at, found.entry.settled_reason) == (
        "discarded",
        200.0,
        "a test of the producer's",
    )
    assert (found.letter.key, found.letter.value, found.letter.headers) == (None, None, ())
    assert found.entry.reason == "no JSON"
    assert [verdict.outcome for verdict in replay_letters(ledger.letters, [number], by_value, 400.0)] == ["not open"]


def test_replayed_letters_can_be_discarded_too_and_what_they_said_stays_pending(ledger: Ledger) -> None:
    said, still_open = stored(ledger, letter(0, b"u1"), letter(1))
    list(replay_letters(ledger.letters, [said], by_value, 200.0))
    assert ledger.letters.discard([said], "open ones only", 300.0) == 0
    assert ledger.letters.discard([said, still_open], "room", 400.0, replayed=True) == 1
    found = ledger.letters.get(said)
    assert found is not None
    assert (found.entry.status, found.letter.value) == ("discarded", None)
    assert found.entry.settled_reason == "room; was replayed: its user is pending"
    assert ledger.views.backlog().users == 1
    assert ledger.letters.ids(Which()) == [still_open]
    stored(ledger, letter(0, b"u1"))
    assert ledger.letters.ids(Which()) == [still_open]


def test_what_was_settled_is_not_open_again_when_it_is_read_again(ledger: Ledger) -> None:
    (number,) = stored(ledger, letter(0))
    ledger.letters.discard([number], "known", 200.0)
    stored(ledger, letter(0))
    assert ledger.letters.ids(Which()) == []


def test_another_record_in_the_place_of_a_discarded_one_is_open(ledger: Ledger) -> None:
    (number,) = stored(ledger, letter(0, b"bad"))
    ledger.letters.discard([number], "known", 1.0)
    stored(ledger, letter(0, b"worse"), letter(0, b"bad"))
    (found,) = ledger.letters.find(Which(), 9)
    kept = ledger.letters.get(found.id)
    assert kept is not None
    assert kept.letter == letter(0, b"worse")


def test_of_those_that_no_ledger_takes_each_is_kept_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 10)
    stored(ledger, letter(0, b"x" * 20), letter(0, b"y" * 20), letter(0, b"x" * 20))
    assert [found.stage for found in ledger.letters.find(Which(), 9)] == ["size", "size"]


def test_the_topic_is_owed_what_it_does_not_have_in_order_but_nothing_that_was_discarded(ledger: Ledger) -> None:
    ids = stored(ledger, letter(0, b"u0"), letter(1), letter(2))
    list(replay_letters(ledger.letters, ids[:1], by_value, 200.0))
    ledger.letters.discard(ids[1:2], "known", 200.0)
    assert [found.entry.id for found in ledger.letters.unpublished()] == [ids[0], ids[2]]
    ledger.letters.published(ids[:1])
    assert [found.entry.id for found in ledger.letters.unpublished()] == [ids[2]]
    ledger.letters.published(ids[2:])
    assert ledger.letters.unpublished() == []
