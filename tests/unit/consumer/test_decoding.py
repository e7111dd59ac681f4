"""Whatever a poll brings, every record is accounted for: stored, ignored, or a dead letter with its reason."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes.change import LabelChange
from consumer.decoding import decoder, decoders, to_batch
from consumer.kafka.records import Unreadable
from consumer.positions import Partition
from consumer.settings import Settings, load_settings
from schemas.events import Change, Ignored, Operation, encode, encode_label
from schemas.features import FeatureGroup
from schemas.hopsworks import Source
from schemas.keys import BadEvent
from schemas.labels import LabelGroup, pair_text
from tests.fuzz.properties import Record, account_for

GROUP = FeatureGroup(id=13)
LABELS = LabelGroup(id=13)
DECODE = {"t": decoder("notification", GROUP)}
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


def test_what_cannot_be_read_is_one_letter_and_its_offsets_are_behind() -> None:
    lost = Unreadable(1, 9, 7_000, 0, "size", "it is more than is read")
    batch = to_batch(DECODE, {P0: [Fetched(0, encode(GROUP, "a")), lost, Fetched(9, encode(GROUP, "b"))]}, {P0: 0}, 1.0)
    assert (sorted(batch.users), batch.progress, batch.events) == (["a", "b"], {P0: (0, 10)}, {P0: 3})
    (letter,) = batch.dead
    assert (letter.position.offset, letter.stage, letter.event_at) == (1, "size", 7.0)
    assert (letter.key, letter.value, letter.headers) == (None, None, ())
    assert letter.reason.startswith("offsets 1 to 8 cannot be read: it is more than is read; ")
    assert to_batch(DECODE, {P0: [lost]}, {P0: 0}, 1.0).progress == {P0: (0, 9)}


@pytest.mark.parametrize(("expected", "letters", "progress"), [(5, 1, (5, 9)), (9, 1, (9, 9)), (10, 0, None)])
def test_what_cannot_be_read_is_told_unless_all_of_it_is_stored(
    expected: int, letters: int, progress: tuple[int, int] | None
) -> None:
    batch = to_batch(DECODE, {P0: [Unreadable(1, 9, -1, 0, "fetch", "why")]}, {P0: expected}, now=77.0)
    assert [letter.event_at for letter in batch.dead] == [77.0] * letters
    assert batch.progress == ({} if progress is None else {P0: progress})


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

    (letter,) = to_batch({"t": raises}, {P0: [Fetched(0, b"v")]}, {P0: 0}, now=1.0).dead
    assert letter.reason.startswith("unexpected RuntimeError: xxx")
    assert len(letter.reason) == 500


values = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.sampled_from(["u1", "u2", "u3"]).map(lambda user: encode(GROUP, user)),
    st.just(json.dumps({"featureGroupId": 14, "entry": {}}).encode()),
    st.sampled_from(["u1", "u2"]).map(lambda user: encode_label(LABELS, (user, "u3"))),
    st.sampled_from([b"\x02\x04u1\x02\x04u2\x00", b"\x02\x02a\x02\x02b"]),
)


marks = st.sampled_from([None, b"delete", b"13", b""])
records = st.builds(
    Record,
    key=st.none() | st.binary(max_size=5) | st.sampled_from([b"u2u1", b"ba", b'["u1","u2"]']),
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
    read = [replace(record, offset=at) for at, (_, record) in zip(offsets, fetched, strict=True)]
    for group in (GROUP, LABELS):
        account_for(source, group, read, expected)


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


# Labels come on a topic of their own, or on that of the users.

AB = pair_text(("a", "b"))
OLDER_USER = b'{"featureGroupId": 13, "entry": {"user_id": "a"}}'
OLDER_LABEL = b'{"featureGroupId": 15, "entry": {"user_id": "a", "other_user_id": "b"}}'


def listening(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name in [name for name in os.environ if name.startswith("RETRAINER_")]:
        monkeypatch.delenv(name)
    for name, value in ({"KAFKA__TOPIC": "t", "LABELS__DIRECTED": "false"} | environment).items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    return load_settings()


def test_a_topic_of_their_own_is_read_for_labels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = listening(monkeypatch, KAFKA__LABEL_TOPIC="follows")
    user, label = encode(settings.feature_group, "a"), encode_label(LabelGroup(), ("a", "b"))
    records = {
        P0: [Fetched(0, user), Fetched(1, label)],
        Partition("follows", 0): [Fetched(0, label), Fetched(1, user)],
    }
    batch = to_batch(decoders(settings), records, dict.fromkeys(records, 0), now=1.0)
    assert (list(batch.users), list(batch.labels)) == (["a"], [AB])
    assert dict(batch.ignored) == {(at, "another feature group"): 1 for at in records}
    assert batch.labels[AB].first == "follows[0]@0"
    assert batch.progress == dict.fromkeys(records, (0, 2))


@pytest.mark.parametrize("ids", [{}, {"FEATURE_GROUP__ID": "13", "LABELS__ID": "15"}])
@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (None, encode(FeatureGroup(), "a"), Change("a", Operation.UPSERT)),
        (None, encode_label(LabelGroup(), ("a", "b")), LabelChange(AB, Operation.UPSERT)),
        (None, OLDER_USER, Change("a", Operation.UPSERT)),
        (None, OLDER_LABEL, LabelChange(AB, Operation.UPSERT)),
        (b"a", None, Change("a", Operation.DELETE)),
        (AB.encode(), None, LabelChange(AB, Operation.DELETE)),
        (None, encode(FeatureGroup(name="another"), "a"), Ignored("another feature group")),
        (None, encode_label(LabelGroup(name="another"), ("a", "b")), Ignored("another feature group")),
        (None, OLDER_LABEL.replace(b'"b"', b'""'), "entry.other_user_id has 0 characters"),
        (None, OLDER_USER.replace(b'"a"', b"null"), "entry.user_id is NoneType"),
        (None, b"{", "Invalid JSON"),
        (b"\xff", None, "the key is no JSON array"),
    ],
)
def test_on_a_shared_topic_every_record_is_one_group_s_or_nobody_s(
    monkeypatch: pytest.MonkeyPatch,
    ids: dict[str, str],
    key: bytes | None,
    value: bytes | None,
    found: Change | LabelChange | Ignored | str,
) -> None:
    decode = decoders(listening(monkeypatch, **ids))["t"]
    if isinstance(found, str):
        with pytest.raises(BadEvent, match=found):
            decode(key, value, {})
    else:
        assert decode(key, value, {}) == found


def test_rows_of_both_groups_are_told_apart_on_an_ingestion_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"KAFKA__SOURCE": "ingestion", "FEATURE_GROUP__ID": "13", "LABELS__ID": "15"}
    decode = decoders(listening(monkeypatch, **told))["t"]
    row = b"\x02\x02a\x02\x02b\x02\x00"
    assert decode(b"a", row, {"featureGroupId": b"13"}) == Change("a", Operation.UPSERT)
    assert decode(b"ba", row, {"featureGroupId": b"15"}) == LabelChange(AB, Operation.UPSERT)
    assert decode(b"ba", row, {"featureGroupId": b"14"}) == Ignored("another feature group")
    with pytest.raises(BadEvent, match="no row"):  # and not passed over as none of the users'
        decode(b"ba", None, {"featureGroupId": b"15"})
