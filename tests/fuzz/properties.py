"""What must hold for every record, whatever it is made of. An AssertionError is a finding."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.protocol.consumer import IsolationLevel
from kafka.record.memory_records import MemoryRecords

from consumer.decoding import LinesDecoder, decoder, to_batch
from consumer.kafka.fetched import Portion
from consumer.kafka.records import Unreadable
from consumer.positions import Partition, Position
from schemas.event_lines import decode_lines
from schemas.events import Change, Group, Ignored, Operation, decode, encode, encode_label, key_columns, marks_delete
from schemas.hopsworks import Source
from schemas.ingestion import decode_ingestion
from schemas.keys import MAX_KEY_BYTES, MAX_KEY_LENGTH, BadEvent
from schemas.labels import LabelGroup, pair_of, pair_text

LONGEST_REASON = 500
P0 = Partition("t", 0)


@dataclass(frozen=True)
class Record:
    """A record as the Kafka client gives it."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 5_000
    offset: int = 0

    def headers_by_name(self) -> dict[str, bytes]:
        return {name: value for name, value in self.headers if value is not None}


class Tally:
    """What a run has seen, said now and then, so that a harness which reaches nothing is noticed."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._seen: Counter[str] = Counter()

    def note(self, verdicts: Mapping[str, int]) -> None:
        """One more input, and what became of its records."""
        self._seen.update({"inputs": 1, **verdicts})
        if self._seen["inputs"] % self._every == 0:
            print("seen:", json.dumps(self._seen), file=sys.stderr, flush=True)


def verdict_on(source: Source, group: Group, record: Record) -> Change | Ignored | BadEvent:
    """What the decoder says, checked as far as it can be checked by other means.

    Raises:
        AssertionError: the verdict cannot be right, or could not be stored.
        Exception: the decoder raised something else than BadEvent.
    """
    reads = decode_ingestion if source == "ingestion" else decode
    try:
        verdict = reads(group, record.key, record.value, record.headers_by_name())
    except BadEvent as bad:
        _is_a_reason(str(bad))
        assert source == "ingestion" or record.value is None or _beside(group, record.value) is None
        return bad
    if source == "notification" and record.value is not None and not marks_delete(record.headers_by_name()):
        assert _beside(group, record.value) in (None, verdict)
    if isinstance(verdict, Ignored):
        _is_a_reason(verdict.reason)
    else:
        _is_a_key(verdict.key, group)
        _is_of(source, group, record, verdict)
        event = (
            encode_label(group, pair_of(verdict.key)) if isinstance(group, LabelGroup) else encode(group, verdict.key)
        )
        assert decode(group, None, event, {}) == Change(verdict.key, Operation.UPSERT)
    return verdict


def _beside(group: Group, value: bytes) -> Change | Ignored | None:
    """What is made of a value that is decoded with its own two halves and a good event beside it; None if nothing."""
    half = len(value) // 2
    good = encode_label(group, ("a", "b")) if isinstance(group, LabelGroup) else encode(group, "a")
    return decode_lines(group, [value[:half], value, good, value[half:]]).get(value) or decode_lines(
        group, [value, good]
    ).get(value)


def _is_a_key(key: str, group: Group) -> None:
    if isinstance(group, LabelGroup):
        assert len(key.encode()) <= MAX_KEY_BYTES
        assert pair_text(pair_of(key)) == key
    for user in pair_of(key) if isinstance(group, LabelGroup) else (key,):
        _is_a_user(user)


def _is_a_reason(reason: str) -> None:
    assert 0 < len(reason) <= LONGEST_REASON, f"a reason of {len(reason)} characters"
    _is_storable(reason)


def _is_a_user(user: str) -> None:
    assert isinstance(user, str)
    assert 1 <= len(user) <= MAX_KEY_LENGTH
    assert len(user.encode()) <= MAX_KEY_BYTES
    _is_storable(user)


def _is_storable(text: str) -> None:
    """PostgreSQL takes any text but NUL; half a surrogate pair fails in `encode`."""
    assert "\0" not in text
    text.encode()


def _is_of(source: Source, group: Group, record: Record, change: Change) -> None:
    """Python's own JSON parser, which shares no code with ours, finds the same users in the same place."""
    ends = pair_of(change.key) if isinstance(group, LabelGroup) else (change.key,)
    columns = key_columns(group)
    if source == "ingestion":
        assert record.key is not None
        assert record.key.decode() == "".join(end for _, end in sorted(zip(columns, ends, strict=True)))
    elif record.value is None:
        assert record.key is not None
        named = json.loads(record.key) if isinstance(group, LabelGroup) else [record.key.decode()]
        assert [str(end) for end in named] == [*ends]
    else:
        event = json.loads(record.value.decode())
        assert [str(event["entry"][column]) for column in columns] == [*ends]
    marked = any(name == "operation" and (value or b"").lower() == b"delete" for name, value in record.headers)
    if change.operation is Operation.DELETE:
        assert record.value is None or marked
    else:
        assert record.value is not None


def account_for(source: Source, group: Group, records: Sequence[Record], expected: int) -> dict[str, int]:
    """A batch accounts for every record that is not stored already, each in one way, and none by surprise.

    Args:
        records: in the order of their offsets, gaps allowed.
        expected: the ledger's next offset.

    Returns:
        How many records became what.
    """
    decode_record = decoder(source, group)
    batch = to_batch({P0.topic: decode_record}, {P0: records}, {P0: expected}, now=1e9)
    if isinstance(decode_record, LinesDecoder):
        assert batch == to_batch({P0.topic: decode_record.one}, {P0: records}, {P0: expected}, now=1e9)
    fresh = [record for record in records if record.offset >= expected]
    changed = batch.labels if isinstance(group, LabelGroup) else batch.users
    assert len(changed) == len(batch.users) + len(batch.labels)
    stored = sum(change.events for change in changed.values())
    assert stored + sum(batch.ignored.values()) + len(batch.dead) == len(fresh)
    assert batch.events == ({P0: len(fresh)} if fresh else {})
    assert batch.progress == ({P0: (expected, fresh[-1].offset + 1)} if fresh else {})
    by_offset = {record.offset: record for record in fresh}
    for letter in batch.dead:
        record = by_offset.pop(letter.position.offset)  # a second letter for one record is a KeyError
        assert (letter.key, letter.value, letter.headers) == (record.key, record.value, tuple(record.headers))
        assert not letter.reason.startswith("unexpected"), letter.reason
        _is_a_reason(letter.reason)
        _is_a_time(letter.event_at)
    for key, change in changed.items():
        _is_a_key(key, group)
        first, last = (int(at.removeprefix(str(Position(*P0, 0))[:-1])) for at in (change.first, change.last))
        assert first in by_offset
        assert last in by_offset
        assert first <= last
        _is_a_time(change.first_event_at)
        _is_a_time(change.last_event_at)
    return {"Change": stored, "Ignored": sum(batch.ignored.values()), "BadEvent": len(batch.dead)}


def read_whole(data: bytes, start: int, at_once: int) -> dict[str, int]:
    """What a fetch brought is read to its end, whatever it is: offset by offset, with no surprise.

    Args:
        data: the batches, whose offsets are the broker's, and rise.
        start: the offset that was asked for.
        at_once: how many records a poll asks for.

    Returns:
        How many records became what.
    """
    portion = Portion(start, TopicPartition("t", 0), MemoryRecords(data), isolation_level=IsolationLevel.READ_COMMITTED)
    seen: Counter[str] = Counter()
    at = start
    while portion:
        taken = portion.take(at_once)
        for one in taken:
            assert one.offset >= start
            if isinstance(one, Unreadable):
                assert one.following >= one.offset
                _is_a_reason(one.reason.encode(errors="backslashreplace").decode())
            following = one.following if isinstance(one, Unreadable) else one.offset + 1
            assert following >= at
            at = following
            seen[type(one).__name__] += 1
        assert portion.next_fetch_offset >= at
        assert taken or not portion or portion.next_fetch_offset > start
    return dict(seen)


def _is_a_time(seconds: float) -> None:
    """One that a calendar has, so that it can be shown."""
    assert 0 < seconds < 253_402_300_800
