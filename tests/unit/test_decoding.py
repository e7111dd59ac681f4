"""Whatever a poll brings, every record is accounted for: stored, ignored, or a dead letter with its reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.decoding import decoder, to_batch
from consumer.ledger.batch import Partition
from schemas.events import Change, Operation, encode
from schemas.features import FeatureGroup
from schemas.hopsworks import Source
from tests.fuzz.properties import Record, account_for

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
    assert (change.first, change.last) == ("t[0]@4", "t[0]@7")
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


@pytest.mark.parametrize("timestamp", [0, -(2**63), 253_402_300_800_000, 2**63 - 1])
def test_a_time_that_no_calendar_has_is_the_time_of_arrival(timestamp: int) -> None:
    batch = to_batch(DECODE, {P0: [Fetched(0, encode(GROUP, "a"), timestamp=timestamp), Fetched(1, b"")]}, {P0: 0}, 7.0)
    assert batch.users["a"].first_event_at == 7.0
    assert to_batch(DECODE, {P0: [Fetched(0, b"", timestamp=timestamp)]}, {P0: 0}, 7.0).dead[0].event_at == 7.0


def test_an_error_that_nobody_foresaw_is_a_dead_letter_and_quotes_no_megabytes() -> None:
    def raises(*_record: object) -> Change:
        raise RuntimeError("x" * 1_000_000)

    (letter,) = to_batch(raises, {P0: [Fetched(0, b"v")]}, {P0: 0}, now=1.0).dead
    assert letter.reason.startswith("unexpected RuntimeError: xxx")
    assert len(letter.reason) == 500


values = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.sampled_from(["u1", "u2", "u3"]).map(lambda user: encode(GROUP, user)),
    st.just(json.dumps({"featureGroupId": 14, "entry": {}}).encode()),
)


marks = st.sampled_from([None, b"delete", b"13", b""])
records = st.builds(
    Record,
    key=st.none() | st.binary(max_size=5),
    value=values,
    headers=st.lists(
        st.tuples(
            st.sampled_from(["operation", "featureGroupId", "x"]), st.sampled_from([None, b"delete", b"13", b""])
        ),
        max_size=3,
    ),
    timestamp=st.integers(-(2**63), 2**63 - 1) | st.just(5_000),
)


@given(
    st.sampled_from(["notification", "ingestion"]),
    st.lists(st.tuples(st.integers(1, 4), records), max_size=30),
    st.integers(0, 40),
)
def test_every_record_is_accounted_for(source: Source, fetched: list[tuple[int, Record]], expected: int) -> None:
    """With any gaps between offsets, as transactions and compaction leave them, and any part of it stored already."""
    offsets = accumulate(gap for gap, _ in fetched)
    account_for(
        source, GROUP, [replace(record, offset=at) for at, (_, record) in zip(offsets, fetched, strict=True)], expected
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.booleans()), max_size=20))
def test_a_user_s_change_spans_partitions_and_the_partitions_keep_their_own_count(
    fetched: list[tuple[int, str, bool]],
) -> None:
    partitions: dict[Partition, list[Fetched]] = {}
    for number, user, bad in fetched:
        held = partitions.setdefault(Partition("t", number), [])
        held.append(Fetched(10 * number + len(held), b"bad" if bad else encode(GROUP, user)))
    batch = to_batch(DECODE, partitions, {partition: 10 * partition.number for partition in partitions}, now=1.0)
    assert batch.events == {partition: len(held) for partition, held in partitions.items()}
    assert batch.progress == {
        partition: (10 * partition.number, 10 * partition.number + len(held)) for partition, held in partitions.items()
    }
    assert {user: change.events for user, change in batch.users.items()} == Counter(
        user for _, user, bad in fetched if not bad
    )
    assert len(batch.dead) == sum(bad for *_, bad in fetched)
