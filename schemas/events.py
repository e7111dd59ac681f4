"""Decoding of change events: which user of which feature group may have changed.

An event is a signal, not data: of its `entry` only the primary key is read, and the trainer re-reads the user from the
feature store. Both known shapes of the Hopsworks notification event are understood, the newer with names and the older
with ids alone; unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from schemas.features import FeatureGroup

MAX_KEY_LENGTH = 1024
"""Longest user id taken, in characters. Hopsworks online keys are shorter; a longer one is damage, not a user."""
MAX_KEY_BYTES = 2048
"""The same in UTF-8: what is longer does not fit into an index of PostgreSQL (2,704 bytes, with a cycle's id)."""


class Operation(StrEnum):
    """What the event says happened. The re-read decides: a user who is not there any more is a delete."""

    UPSERT = "upsert"
    DELETE = "delete"


class Change(NamedTuple):
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

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

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
    store, number, name, version, entry = _at_a_glance(value) or _with_care(value)
    if (elsewhere := _why_not_ours(group, store, number, name, version)) is not None:
        return Ignored(elsewhere)
    if entry is None:
        raise BadEvent("entry is missing")
    primary_key = group.primary_key
    if primary_key not in entry:
        raise BadEvent(f"entry lacks the primary key '{primary_key}'")
    deleted = bool(headers) and headers.get("operation", b"").lower() == b"delete"
    return Change(_user(entry[primary_key], f"entry.{primary_key}"), Operation.DELETE if deleted else Operation.UPSERT)


_Said = tuple[int | None, int | None, str | None, int | None, dict[str, Any] | None]
"""The fields of a NotificationEvent in their order, at a tenth of its price."""
_SPELLED_OTHERWISE = frozenset(NotificationEvent.model_fields) - {"entry"}  # the model takes these names, too


def _at_a_glance(value: bytes) -> _Said | None:
    """What an event says in which every field has just the type that it should have; None where the model has to see.

    Most events of a topic are like that, and what is said is what the model would say.
    """
    try:
        event = from_json(value)
    except ValueError:
        return None
    if type(event) is not dict or not _SPELLED_OTHERWISE.isdisjoint(event):
        return None
    said = event.get
    store, group, name = said("featureStoreId"), said("featureGroupId"), said("featureGroupName")
    version, entry = said("featureGroupVersion"), said("entry")
    if (
        type(entry) is dict
        and (type(store) is int or store is None)
        and (type(group) is int or group is None)
        and (type(version) is int or version is None)
        and (type(name) is str or name is None)
    ):
        return store, group, name, version, entry
    return None


def _with_care(value: bytes) -> _Said:
    try:
        event = NotificationEvent.model_validate_json(value)
    except ValidationError as error:
        raise BadEvent(_reason(error)) from None
    return (
        event.feature_store_id,
        event.feature_group_id,
        event.feature_group_name,
        event.feature_group_version,
        event.entry,
    )


def _why_not_ours(
    group: FeatureGroup, store: int | None, number: int | None, name: str | None, version: int | None
) -> str | None:
    """Ids decide where both sides have them, names otherwise; what is missing on one side speaks for nobody."""
    our_store, our_number = group.feature_store_id, group.id
    if store is not None and our_store is not None and store != our_store:
        return "another feature store"
    if number is not None and our_number is not None:
        return "another feature group" if number != our_number else None
    if name is not None and name != group.name:
        return "another feature group"
    if version is not None and version != group.version:
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
        return _user(key.decode(), "the key")
    except UnicodeDecodeError:
        raise BadEvent("the key is not UTF-8") from None


def _user(value: object, where: str) -> str:
    """A user id as text. Hopsworks sends every value as a string; a plain integer means the same."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadEvent(f"{where} is {type(value).__name__}, not a string or an integer")
    if not value or len(value) > MAX_KEY_LENGTH:
        raise BadEvent(f"{where} has {len(value)} characters, not 1 to {MAX_KEY_LENGTH}")
    if (why := _why_not_storable(value)) is not None:
        raise BadEvent(f"{where} {why}")
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
    event = NotificationEvent(
        feature_store_id=group.feature_store_id,
        feature_group_id=group.id,
        feature_group_name=group.name,
        feature_group_version=group.version,
        entry={group.primary_key: key},
    )
    return event.model_dump_json(exclude_none=True, by_alias=True).encode()
