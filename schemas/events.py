"""Decoding of change events: which user of the feature group, or which pair of the label group, may have changed.

An event is a signal, not data: of its `entry` only the primary key is read, and the trainer re-reads the row from the
feature store. Both known shapes of the Hopsworks notification event are understood, the newer with names and the older
with ids alone; unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar

from msgspec import UNSET, DecodeError, MsgspecError, Struct, defstruct
from msgspec import json as msgspec_json
from msgspec.json import Decoder
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.features import FeatureGroup
from schemas.labels import LabelGroup, PairKey, pair_text

MAX_KEY_LENGTH = 1024
"""Longest user id taken, in characters. Hopsworks online keys are shorter; a longer one is damage, not a user."""
MAX_KEY_BYTES = 2048
"""The same in UTF-8: what is longer does not fit into an index of PostgreSQL (2,704 bytes, with a cycle's id).
The key of a label, two ids, is held to it as a whole."""

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


class BadEvent(ValueError):  # noqa: N818  (an event, not an error class of ours: it names what the record is)
    """The record cannot be understood; the message is the reason, fit for a dead letter."""


class NotificationEvent(BaseModel):
    """The part of a Hopsworks notification event that is used; whatever else is in it cannot make it a bad one.

    Numbers may come as strings; the names are missing in the older shape.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    feature_store_id: int | None = None
    feature_group_id: int | None = None
    feature_group_name: str | None = None
    feature_group_version: int | None = None
    entry: dict[str, Any] | None = None


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
    if (elsewhere := _why_not_ours(group, event)) is not None:
        return Ignored(elsewhere)
    entry = event.entry
    if entry is None:
        raise BadEvent("entry is missing")
    if entry.user is UNSET:
        raise BadEvent(f"entry lacks the primary key '{keys[0]}'")
    found = _user(entry.user, "entry.", keys[0])
    if len(keys) > 1 and isinstance(entry, _PairEntry):  # which is slow at it
        if entry.other is UNSET:
            raise BadEvent(f"entry lacks the primary key '{keys[1]}'")
        found = label_key((found, _user(entry.other, "entry.", keys[1])))
    deleted = bool(headers) and headers.get("operation", b"").lower() == b"delete"
    return Change(found, Operation.DELETE if deleted else Operation.UPSERT)


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


class _Entry(Struct, gc=False):
    """Of an entry, the value of the primary key."""

    user: object = UNSET


class _PairEntry(_Entry, gc=False):
    """Of an entry of the label group, both values of its primary key."""

    other: object = UNSET


_AnEntry = TypeVar("_AnEntry", bound=_Entry)


class _Event(Struct, Generic[_AnEntry], rename="camel", gc=False):
    """A NotificationEvent in which every field has just the type that it should have."""

    feature_store_id: int | None = None
    feature_group_id: int | None = None
    feature_group_name: str | None = None
    feature_group_version: int | None = None
    entry: _AnEntry | None = None


@cache
def _parser(keys: tuple[str, ...]) -> Callable[[bytes], _Event[_Entry]]:
    """Reads such events at a tenth of the model's price. The rest of an entry, maybe a whole row, costs little."""
    base, names = (_PairEntry, ("user", "other")) if len(keys) > 1 else (_Entry, ("user",))
    fields = [(name, object, UNSET) for name in names]
    entry: Any = defstruct("Entry", fields, bases=(base,), rename=dict(zip(names, keys, strict=True)), gc=False)
    return Decoder(_Event[entry]).decode


def _at_a_glance(keys: tuple[str, ...], value: bytes) -> _Event[_Entry] | None:
    """What most events of a topic say: what the model would say of them. None where the model has to see.

    The parser does not look whether fields that are not used hold text; they might not where there are escapes.
    """
    if b"\\u" in value:
        return None
    try:
        if not value.isascii():
            value.decode()
        return _parser(keys)(value)
    except (MsgspecError, ValueError, RecursionError):
        return None


def _with_care(keys: tuple[str, ...], value: bytes) -> _Event[_Entry]:
    try:
        event = NotificationEvent.model_validate_json(value)
    except ValidationError as error:
        raise BadEvent(_reason(error)) from None
    return _Event(
        event.feature_store_id,
        event.feature_group_id,
        event.feature_group_name,
        event.feature_group_version,
        None if event.entry is None else _entry([event.entry.get(name, UNSET) for name in keys]),
    )


def _entry(values: list[object]) -> _Entry:
    return _Entry(*values) if len(values) == 1 else _PairEntry(*values)


def _why_not_ours(group: Group, event: _Event[_Entry]) -> str | None:
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


def user_of_key(key: bytes | None) -> str:
    """The user whom a record's key names.

    Raises:
        BadEvent: it names nobody.
    """
    if not key:
        raise BadEvent("no key: names no user")
    try:
        return _user(key.decode(), "the ", "key")
    except UnicodeDecodeError:
        raise BadEvent("the key is not UTF-8") from None


def label_of_key(key: bytes | None) -> str:
    """The label whose two users a record's key names, as a JSON array of them.

    Raises:
        BadEvent: it names no pair of users.
    """
    try:
        ends = msgspec_json.decode(key or b"")
    except (DecodeError, ValueError, RecursionError):
        ends = None
    if not isinstance(ends, list) or len(ends) != 2:
        raise BadEvent("the key is no JSON array of two users")
    return label_key((_user(ends[0], "the ", "key's user"), _user(ends[1], "the ", "key's other user")))


def label_key(pair: PairKey) -> str:
    """The `pair_text` of two users, each one that `user_id` can hold.

    Raises:
        BadEvent: both together are too long for a ledger.
    """
    text = pair_text(pair)
    if len(text) * 4 > MAX_KEY_BYTES and (size := len(text.encode())) > MAX_KEY_BYTES:
        raise BadEvent(f"the two users have {size} bytes together, more than {MAX_KEY_BYTES}")
    return text


def _user(value: object, where: str, name: str) -> str:
    """A user id as text. Hopsworks sends every value as a string; a plain integer means the same."""
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_KEY_LENGTH and "\0" not in value:
        return value  # as nearly all are
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadEvent(f"{where}{name} is {type(value).__name__}, not a string or an integer")
    if not value or len(value) > MAX_KEY_LENGTH:
        raise BadEvent(f"{where}{name} has {len(value)} characters, not 1 to {MAX_KEY_LENGTH}")
    if (why := _why_not_storable(value)) is not None:
        raise BadEvent(f"{where}{name} {why}")
    return value


def _why_not_storable(user: str) -> str | None:
    """What a ledger cannot store stops its whole batch, again and again, so it must not come so far."""
    if "\0" in user:
        return "has a NUL character, which PostgreSQL cannot store"
    try:
        size = len(user.encode())
    except UnicodeEncodeError:
        return "has half a surrogate pair, which is no text"
    return None if size <= MAX_KEY_BYTES else f"has {size} bytes, more than {MAX_KEY_BYTES}"


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
