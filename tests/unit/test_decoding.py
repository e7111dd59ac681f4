"""Whatever a poll brings, every record is accounted for: stored, ignored, or a dead letter with its reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from consumer.decoding import decoder, to_batch
from consumer.ledger.intake import Partition
from schemas.events import Operation, encode
from schemas.features import FeatureGroup

GROUP = FeatureGroup(id=13)
DECODE = decoder("notification", GROUP)
P0 = Partition("t", 0)


@dataclass
class Fetched:
    """A record as the Kafka client gives it."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 5_000
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def test_a_user_s_events_become_one_change() -> None:
    delete: list[tuple[str, bytes | None]] = [("operation", b"delete"), ("odd", None)]
    records = [
        Fetched(4, encode(GROUP, "a"), timestamp=9_000),
        Fetched(5, encode(GROUP, "b")),
        Fetched(7, encode(GROUP, "a"), timestamp=8_000, headers=delete),
    ]
    batch = to_batch(DECODE, {P0: records}, {P0: 4}, now=100.0)
    assert batch.progress == {P0: (4, 8)}
    assert batch.events == {P0: 3}
    change = batch.users["a"]
    assert (change.events, change.operation) == (2, Operation.DELETE)
    assert (str(change.first), str(change.last)) == ("t[0]@4", "t[0]@7")
    assert (change.first_event_at, change.last_event_at) == (9.0, 9.0)


def test_what_is_stored_already_is_passed_over() -> None:
    batch = to_batch(DECODE, {P0: [Fetched(2, encode(GROUP, "a")), Fetched(3, encode(GROUP, "b"))]}, {P0: 3}, now=1.0)
    assert list(batch.users) == ["b"]
    assert batch.progress == {P0: (3, 4)}
    assert to_batch(DECODE, {P0: [Fetched(2, b"x")]}, {P0: 3}, now=1.0).progress == {}


def test_a_bad_record_between_good_ones_stops_nothing() -> None:
    records = [Fetched(0, encode(GROUP, "a")), Fetched(1, b"\x00bad", key=b"k"), Fetched(2, encode(GROUP, "c"))]
    batch = to_batch(DECODE, {P0: records}, {P0: 0}, now=1.0)
    assert sorted(batch.users) == ["a", "c"]
    (letter,) = batch.dead
    assert (letter.position.offset, letter.key, letter.value) == (1, b"k", b"\x00bad")
    assert "Invalid JSON" in letter.reason
    assert batch.progress == {P0: (0, 3)}


def test_a_record_without_a_time_is_as_old_as_its_arrival() -> None:
    batch = to_batch(DECODE, {P0: [Fetched(0, encode(GROUP, "a"), timestamp=-1)]}, {P0: 0}, now=77.0)
    assert batch.users["a"].first_event_at == 77.0


values = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.sampled_from(["u1", "u2", "u3"]).map(lambda user: encode(GROUP, user)),
    st.just(json.dumps({"featureGroupId": 14, "entry": {}}).encode()),
)


@given(st.lists(st.tuples(values, st.none() | st.binary(max_size=5)), max_size=30))
def test_every_record_is_accounted_for(fetched: list[tuple[bytes | None, bytes | None]]) -> None:
    records = [Fetched(offset, value, key) for offset, (value, key) in enumerate(fetched)]
    batch = to_batch(DECODE, {P0: records}, {P0: 0}, now=1.0)
    counted = sum(change.events for change in batch.users.values()) + len(batch.dead) + sum(batch.ignored.values())
    assert counted == len(records)
    assert all(letter.reason for letter in batch.dead)
