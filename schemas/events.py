"""Decoding of change events: which user of the feature group, or which pair of the label group, may have changed.

An event is a signal, not data: of its `entry` only the primary key is read, and the trainer re-reads the row from the
feature store. Both known shapes of the Hopsworks notification event are understood, the newer with names and the older
with ids alone; unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import accumulate
from typing import Any, Generic, TypeVar

from msgspec import UNSET, MsgspecError, Struct, defstruct
from msgspec.json import Decoder
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.features import FeatureGroup
from schemas.keys import BadEvent, label_key, label_of_key, user_of, user_of_key
from schemas.labels import LabelGroup, PairKey

MAX_NESTING = 200
"""So deep may lists and objects lie in each other, the event among them; what lies deeper is damage, or meant to be."""
SHORT = 2 * MAX_NESTING
"""Too short to open so many brackets and close them again."""

Group = FeatureGroup | LabelGroup


class Operation(StrEnum):
    """What the event says happened. The re-read decides: a user who is not there any more is a delete."""

    UPSERT = "upsert"
    DELETE = "delete"


class Change(Struct, frozen=True, gc=False):
    """User `key` of our feature group may have changed; of the label group, the label whose `pair_text` is `key`."""

    key: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Ignored:
    """A sound event that is none of ours, and why."""

    reason: str


class NotificationEvent(BaseModel):
    """The part of a Hopsworks notification event that is used; whatever else is in it cannot make it a bad one.

    Numbers may come as strings; the names are missing in the older shape.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    feature_store_id: int | None = None
    """Another one than ours: the event is ignored, where the settings name ours."""
    feature_group_id: int | None = None
    """Tells groups apart where the settings name ours by its id."""
    feature_group_name: str | None = None
    """Tells groups apart where the settings name ours by name."""
    feature_group_version: int | None = None
    """Belongs to the name."""
    entry: dict[str, Any] | None = None
    """The row, of which only the primary key is read: a text or a whole number."""


def decode(group: Group, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> Change | Ignored:
    """What one Kafka record says about our feature group, or about our label group.

    Args:
        group: the group that is listened to.
        key, value: the record's bytes. A null value (tombstone) with a readable key is a delete of that key; that of a
            label is a JSON array of its two users, as `pair_text` writes it.
        headers: the record's headers by name; `operation: delete` marks a delete.

    Raises:
        BadEvent: the record is no change event; its message is the reason.
    """
    if value is None:
        return Change(label_of_key(key) if isinstance(group, LabelGroup) else user_of_key(key), Operation.DELETE)
    keys = key_columns(group)
    event = _at_a_glance(keys, value) or _with_care(keys, value)
    return said_by(group, keys, event, Operation.DELETE if headers and marks_delete(headers) else Operation.UPSERT)


def marks_delete(headers: Mapping[str, bytes]) -> bool:
    """Whether a record's headers say that it is a delete; they say nothing else of a notification."""
    return headers.get("operation", b"").lower() == b"delete"


def said_by(group: Group, keys: tuple[str, ...], event: Event[Entry], operation: Operation) -> Change | Ignored:
    """What an event with the `key_columns` of our group says; raises as `decode` does."""
    if (elsewhere := why_not_ours(group, event)) is not None:
        return Ignored(elsewhere)
    entry = event.entry
    if entry is None:
        raise BadEvent("entry is missing")
    if entry.user is UNSET:
        raise BadEvent(f"entry lacks the primary key '{keys[0]}'")
    found = user_of(entry.user, "entry.", keys[0])
    if len(keys) > 1 and isinstance(entry, PairEntry):  # which is slow at it
        if entry.other is UNSET:
            raise BadEvent(f"entry lacks the primary key '{keys[1]}'")
        found = label_key((found, user_of(entry.other, "entry.", keys[1])))
    return Change(found, operation)


def key_columns(group: Group) -> tuple[str, ...]:
    """The columns of a group's primary key: one names a user, two name a label."""
    if type(group) is FeatureGroup:  # as for most events; isinstance is slow
        return (group.primary_key,)
    return (group.user_key, group.other_key) if isinstance(group, LabelGroup) else (group.primary_key,)


def value_columns(group: Group) -> list[str]:
    """The contract's columns beside the primary key."""
    if isinstance(group, LabelGroup):
        return [group.label, *([group.weight] if group.weight is not None else []), group.labelled_at]
    return [column.name for column in group.columns]


class Entry(Struct, gc=False):
    """Of an entry, the value of the primary key."""

    user: object = UNSET


class PairEntry(Entry, gc=False):
    """Of an entry of the label group, both values of its primary key."""

    other: object = UNSET


_AnEntry = TypeVar("_AnEntry", bound=Entry)


class Event(Struct, Generic[_AnEntry], rename="camel", gc=False):
    """A NotificationEvent in which every field has just the type that it should have."""

    feature_store_id: int | None = None
    feature_group_id: int | None = None
    feature_group_name: str | None = None
    feature_group_version: int | None = None
    entry: _AnEntry | None = None


@cache
def parser(keys: tuple[str, ...]) -> Decoder[Event[Entry]]:
    """Reads such events at a tenth of the model's price. The rest of an entry, maybe a whole row, costs little."""
    base, names = (PairEntry, ("user", "other")) if len(keys) > 1 else (Entry, ("user",))
    fields = [(name, object, UNSET) for name in names]
    entry: Any = defstruct("Entry", fields, bases=(base,), rename=dict(zip(names, keys, strict=True)), gc=False)
    return Decoder(Event[entry])


def _at_a_glance(keys: tuple[str, ...], value: bytes) -> Event[Entry] | None:
    """What most events of a topic say: what the model would say of them. None where the model has to see.

    The parser does not look whether fields that are not used hold text; they might not where there are escapes.
    """
    if b"\\u" in value or (len(value) > SHORT and is_too_deep(value)):
        return None
    try:
        if not value.isascii():
            value.decode()
        return parser(keys).decode(value)
    except (MsgspecError, ValueError, RecursionError):
        return None


def _with_care(keys: tuple[str, ...], value: bytes) -> Event[Entry]:
    if is_too_deep(value):
        raise BadEvent(f"lists and objects lie {MAX_NESTING + 1} deep in it, more than {MAX_NESTING}")
    try:
        event = NotificationEvent.model_validate_json(value)
    except ValidationError as error:
        raise BadEvent(_reason(error)) from None
    return Event(
        event.feature_store_id,
        event.feature_group_id,
        event.feature_group_name,
        event.feature_group_version,
        None if event.entry is None else _entry([event.entry.get(name, UNSET) for name in keys]),
    )


def _entry(values: list[object]) -> Entry:
    return Entry(*values) if len(values) == 1 else PairEntry(*values)


def is_too_deep(value: bytes) -> bool:
    """Whether lists and objects lie deeper in this JSON than `MAX_NESTING`. Each parser has a limit of its own.

    Of what is no JSON, as a bracket is missing, it says no: there the parsers say so.
    """
    if value.count(b"[") + value.count(b"{") <= MAX_NESTING:
        return False
    brackets = _TEXTS.sub(b"", value).translate(None, _NO_BRACKETS)
    depths = list(accumulate(map(_STEPS.__getitem__, brackets)))
    return bool(depths) and depths[-1] == 0 and max(depths) > MAX_NESTING


_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # it never looks back
_STEPS = {byte: 1 if byte in b"[{" else -1 for byte in b"[]{}"}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)


def why_not_ours(group: Group, event: Event[Entry]) -> str | None:
    """Ids decide where both sides have them, names otherwise; what is missing on one side speaks for nobody."""
    store, our_store = event.feature_store_id, group.feature_store_id
    number, our_number = event.feature_group_id, group.id
    if store is not None and our_store is not None and store != our_store:
        return "another feature store"
    if number is not None and our_number is not None:
        return "another feature group" if number != our_number else None
    if event.feature_group_name not in (None, group.name):
        return "another feature group"
    if event.feature_group_version not in (None, group.version):
        return "another version of the feature group"
    return None


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def encode(group: FeatureGroup, key: str) -> bytes:
    """The notification event that says user `key` of `group` may have changed, in the newer shape."""
    return _encoded(group, {group.primary_key: key})


def encode_label(group: LabelGroup, pair: PairKey) -> bytes:
    """The notification event that says the label of `pair` may have changed, in the newer shape."""
    return _encoded(group, dict(zip(key_columns(group), pair, strict=True)))


def _encoded(group: Group, entry: dict[str, Any]) -> bytes:
    event = NotificationEvent.model_construct(
        feature_store_id=group.feature_store_id,
        feature_group_id=group.id,
        feature_group_name=group.name,
        feature_group_version=group.version,
        entry=entry,
    )
    return event.model_dump_json(exclude_none=True, by_alias=True).encode()
