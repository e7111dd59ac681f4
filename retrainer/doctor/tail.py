"""The newest records of a topic: their feature group, whether they can be decoded, and the unit of their times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from consumer.decoding import Decoder, Record, named
from consumer.record_times import Unit, unit_of
from retrainer.doctor.checks import Finding, ok, warning
from schemas.events import Group, Ignored, NotificationEvent
from schemas.keys import BadEvent

_TOLD = 3  # groups that are named


@dataclass(slots=True)
class Tail:
    """The counts of the newest records."""

    records: int = 0
    ours: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Events of other groups, by group."""
    bad: int = 0
    newest_bad: str | None = None
    """Why the newest record cannot be decoded; None where it can."""
    units: Counter[Unit] = field(default_factory=Counter)
    """Records whose time is not in milliseconds, by unit."""


def looked_at(records: Iterable[Record], decode: Decoder) -> Tail:
    """The counts of these records, the newest last."""
    tail = Tail()
    for record in records:
        headers = named(tuple(record.headers))
        tail.records += 1
        tail.newest_bad = None
        if (unit := unit_of(record.timestamp)) is not None:
            tail.units[unit] += 1
        try:
            event = decode(record.key, record.value, headers)
        except Exception as error:  # noqa: BLE001  (as the service takes it: a record that it does not understand)
            tail.bad += 1
            tail.newest_bad = str(error) if isinstance(error, BadEvent) else f"{type(error).__name__}: {error}"
            continue
        if isinstance(event, Ignored):
            tail.others[_whose(record.value, headers, event)] += 1
        else:
            tail.ours += 1
    return tail


def judged(found: str, tail: Tail, group: Group, topic: str, source: str) -> Finding:
    """The finding on them; `found` begins the line."""
    said, todo = [], []
    if tail.newest_bad is not None or (tail.bad and tail.bad == tail.records):
        what = f"{tail.bad:,} of the last {tail.records:,} are no events" if tail.bad > 1 else "that is no event"
        said.append(f"{what} as the source '{source}' has them: {tail.newest_bad}")
        todo.append("see whether RETRAINER_KAFKA__TOPIC and RETRAINER_KAFKA__SOURCE go together; such are dead letters")
    if tail.others and not tail.ours:
        whose = ", ".join(f"{count:,} of {name}" for name, count in tail.others.most_common(_TOLD))
        more = "" if len(tail.others) <= _TOLD else f", and {len(tail.others) - _TOLD} more"
        said.append(
            f"none of the last {tail.records:,} events is of ours, {named_group(group)}; they are {whose}{more}"
        )
        todo.append(
            "see RETRAINER_FEATURE_GROUP__NAME, __VERSION, __ID and __FEATURE_STORE_ID, and whether it is written"
        )
    for unit, count in tail.units.most_common(1):
        said.append(f"the times of {count:,} of the last {tail.records:,} are in {unit}, not in milliseconds")
        todo.append(
            "have the producer write milliseconds, or set message.timestamp.type=LogAppendTime for the topic "
            f"(kafka-configs.sh --alter --topic {topic}): the broker deletes records by these times"
        )
    return warning(f"{found}, but {'; and '.join(said)}", "; ".join(todo)) if said else ok(found)


def named_group(group: Group) -> str:
    """A group in words, with the ids that events name it by, where they are known."""
    return _in_words(group.feature_store_id, group.id, group.name, group.version)


def _whose(value: bytes | None, headers: dict[str, bytes], event: Ignored) -> str:
    """The group of an event; where it names none, why it is not ours."""
    if (number := headers.get("featureGroupId")) is not None:
        return f"feature group {number.decode(errors='backslashreplace')}"
    try:
        told = NotificationEvent.model_validate_json(value or b"")
    except ValidationError:
        return event.reason
    return _in_words(told.feature_store_id, told.feature_group_id, told.feature_group_name, told.feature_group_version)


def _in_words(store: int | None, number: int | None, name: str | None, version: int | None) -> str:
    called = [] if name is None else [name if version is None else f"{name}, version {version}"]
    by_number = "feature group" if number is None else f"feature group {number}"
    words = by_number if store is None else f"{by_number} of store {store}"
    return f"{words} ({called[0]})" if called else words
