"""The keys of records: a user's id, or the two ids of a label, as they are and with nothing around them."""

from __future__ import annotations

from msgspec import DecodeError
from msgspec import json as msgspec_json

from schemas.labels import PairKey, pair_text

MAX_KEY_LENGTH = 1024
"""Longest user id taken, in characters. Hopsworks online keys are shorter; a longer one is damage, not a user."""
MAX_KEY_BYTES = 2048
"""The same in UTF-8: what is longer does not fit into an index of PostgreSQL (2,704 bytes, with a cycle's id).
The key of a label, two ids, is held to it as a whole."""

_JSON_BEGINS = frozenset('"{[ntf \t\r\n\ufeff')
_AROUND_JSON = " \t\r\n\ufeff"
_SHOWN = 80


class BadEvent(ValueError):  # noqa: N818  (an event, not an error class of ours: it names what the record is)
    """The record cannot be understood; the message is the reason, fit for a dead letter."""


def user_of_key(key: bytes | None) -> str:
    """The user whom a record's key names: it is the user's id and nothing else.

    Raises:
        BadEvent: it names nobody, or is JSON. A producer that writes keys as JSON would delete users with quotes in
            their names, and not those whom it means.
    """
    user = text_of_key(key)
    if user[0] in _JSON_BEGINS and _is_json(user):
        shown = user if len(user) <= _SHOWN else f"{user[:_SHOWN]}…"
        raise BadEvent(f"the key is JSON and no id of a user: have the producer send the id as it is, not as {shown}")
    return user


def text_of_key(key: bytes | None) -> str:
    """The text of a record's key, one that a user's id can be.

    Raises:
        BadEvent: it is none.
    """
    if not key:
        raise BadEvent("no key: names no user")
    try:
        return user_of(key.decode(), "the ", "key")
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
    return label_key((user_of(ends[0], "the ", "key's user"), user_of(ends[1], "the ", "key's other user")))


def label_key(pair: PairKey) -> str:
    """The `pair_text` of two users, each one that `user_id` can hold.

    Raises:
        BadEvent: both together are too long for a ledger.
    """
    text = pair_text(pair)
    if len(text) * 4 > MAX_KEY_BYTES and (size := len(text.encode())) > MAX_KEY_BYTES:
        raise BadEvent(f"the two users have {size} bytes together, more than {MAX_KEY_BYTES}")
    return text


def user_of(value: object, where: str, name: str) -> str:
    """A user id as text. Hopsworks sends every value as a string; a plain integer means the same.

    Raises:
        BadEvent: it is none; the message names it by `where` and `name`.
    """
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


def _is_json(key: str) -> bool:
    """Whether a text is JSON: an object, a list, a text in quotes, or a word. A number is the same either way.

    What is in quotes may be JSON that only its writer reads, such as one with half a surrogate pair.
    """
    text = key.strip(_AROUND_JSON)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return True
    try:
        return type(msgspec_json.decode(text)) not in (int, float)
    except RecursionError:
        return True
    except (DecodeError, ValueError):
        return False
