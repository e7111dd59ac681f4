"""Decoding of change events: which user of which feature group may have changed.

An event is a signal, not data: of its `entry` only the primary key is read, and the trainer re-reads the user from the
feature store. Both known shapes of the Hopsworks notification event are understood, the newer with names and the older
with ids alone; unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar

from msgspec import UNSET, MsgspecError, Struct, defstruct
from msgspec.json import Decoder
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.features import FeatureGroup

MAX_KEY_LENGTH = 1024
"""Longest user id taken, in characters. Hopsworks online keys are shorter; a longer one is damage, not a user."""
MAX_KEY_BYTES = 2048
"""The same in UTF-8: what is longer does not fit into an index of PostgreSQL (2,704 bytes, with a cycle's id)."""


class Operation(StrEnum):
    """What the event says happened. The re-read decides: a user who is not there any more is a delete."""

    UPSERT = "upsert"
    DELETE = "delete"


class Change(Struct, frozen=True, gc=False):
    """User `key` of our feature group may have changed."""

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


def decode(
    group: FeatureGroup, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]
) -> Change | Ignored:
    """What one Kafka record says about our feature group.

    Args:
        group: the feature group that is listened to.
        key, value: the record's bytes. A null value (tombstone) with a readable key is a delete of that key.
        headers: the record's headers by name; `operation: delete` marks a delete.

    Raises:
        BadEvent: the record is no change event; its message is the reason.
    """
    if value is None:
        return Change(user_of_key(key), Operation.DELETE)
    primary_key = group.primary_key
    event = _at_a_glance(primary_key, value) or _with_care(primary_key, value)
    if (elsewhere := _why_not_ours(group, event)) is not None:
        return Ignored(elsewhere)
    if event.entry is None:
        raise BadEvent("entry is missing")
    if event.entry.user is UNSET:
        raise BadEvent(f"entry lacks the primary key '{primary_key}'")
    deleted = bool(headers) and headers.get("operation", b"").lower() == b"delete"
    return Change(_user(event.entry.user, "entry.", primary_key), Operation.DELETE if deleted else Operation.UPSERT)


class _Entry(Struct, gc=False):
    """Of an entry, the value of the primary key."""

    user: object = UNSET


_AnEntry = TypeVar("_AnEntry", bound=_Entry)


class _Event(Struct, Generic[_AnEntry], rename="camel", gc=False):
    """A NotificationEvent in which every field has just the type that it should have."""

    feature_store_id: int | None = None
    feature_group_id: int | None = None
    feature_group_name: str | None = None
    feature_group_version: int | None = None
    entry: _AnEntry | None = None


@cache
def _parser(primary_key: str) -> Callable[[bytes], _Event[_Entry]]:
    """Reads such events at a tenth of the model's price. The rest of an entry, maybe a whole row, costs little."""
    entry: Any = defstruct("Entry", [("user", object, UNSET)], bases=(_Entry,), rename={"user": primary_key}, gc=False)
    return Decoder(_Event[entry]).decode


def _at_a_glance(primary_key: str, value: bytes) -> _Event[_Entry] | None:
    """What most events of a topic say: what the model would say of them. None where the model has to see.

    The parser does not look whether fields that are not used hold text; they might not where there are escapes.
    """
    if b"\\u" in value:
        return None
    try:
        if not value.isascii():
            value.decode()
        return _parser(primary_key)(value)
    except (MsgspecError, ValueError, RecursionError):
        return None


def _with_care(primary_key: str, value: bytes) -> _Event[_Entry]:
    try:
        event = NotificationEvent.model_validate_json(value)
    except ValidationError as error:
        raise BadEvent(_reason(error)) from None
    return _Event(
        event.feature_store_id,
        event.feature_group_id,
        event.feature_group_name,
        event.feature_group_version,
        None if event.entry is None else _Entry(event.entry.get(primary_key, UNSET)),
    )


def _why_not_ours(group: FeatureGroup, event: _Event[_Entry]) -> str | None:
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
    event = NotificationEvent.model_construct(
        feature_store_id=group.feature_store_id,
        feature_group_id=group.id,
        feature_group_name=group.name,
        feature_group_version=group.version,
        entry={group.primary_key: key},
    )
    return event.model_dump_json(exclude_none=True, by_alias=True).encode()
