"""Decoding of the ingestion topic: the rows on their way into the online store, of every feature group of a project.

A record's key is the text of the primary key, its value the row in Avro. The value is only a signal, as every event is,
and the key names the user, so neither a schema nor its evolution matters here. The key of a label is the text of both
ids with nothing in between, in the order of their columns' names; the row tells where the one ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.events import Change, Group, Ignored, Operation
from schemas.keys import MAX_KEY_BYTES, BadEvent, label_key, text_of_key, user_of_key
from schemas.labels import LabelGroup

_LOOKED_AT = 16_384
"""So far into a row its ids are looked for. They come first, the user's before the other's: ids such as 1 and 11 are
told apart by that alone."""
_NOT_NULL = b"\x02"
_LONGS = range(-(2**63), 2**63)


def decode_ingestion(
    group: Group, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]
) -> Change | Ignored:
    """What one record of the ingestion topic says about our feature group, or about our label group.

    Args:
        group: the group that is listened to; its `id` is needed, as the topic names groups by nothing else.
        key, value: the record's bytes. A null value is a delete; of a label it names nobody, as its key alone does not.
        headers: `featureGroupId`; `operation: delete` marks a delete, `storage: offline` a row that is not for the
            online store.

    Raises:
        BadEvent: the record names no group, no user or no pair; the message is the reason.
    """
    named = headers.get("featureGroupId")
    if named is None:
        raise BadEvent("header featureGroupId is missing: whose row is it?")
    if named != str(group.id).encode():
        return Ignored("another feature group")
    if headers.get("storage", b"").lower() == b"offline":
        return Ignored("a row for the offline store only")
    deleted = value is None or headers.get("operation", b"").lower() == b"delete"
    found = _label(group, key, value) if isinstance(group, LabelGroup) else _user(key, value)
    return Change(found, Operation.DELETE if deleted else Operation.UPSERT)


def _user(key: bytes | None, row: bytes | None) -> str:
    """The user in the key. An id that looks like JSON is one where the row has it like that, too."""
    try:
        return user_of_key(key)
    except BadEvent:
        if row is None or not any(form in row[:_LOOKED_AT] for form in _written(text_of_key(key))):
            raise
        return text_of_key(key)


def _label(group: LabelGroup, key: bytes | None, row: bytes | None) -> str:
    """The label whose ids, joined, are the key: they are cut where both parts stand in the row as ids of their own."""
    if not key:
        raise BadEvent("no key: names no pair of users")
    if row is None:
        raise BadEvent("no row: where one user's id ends in the key, and the other's begins, cannot be told")
    try:
        joined = key.decode()
    except UnicodeDecodeError:
        raise BadEvent("the key is not UTF-8") from None
    if (size := len(key)) > 2 * MAX_KEY_BYTES:
        raise BadEvent(f"the key has {size} bytes, more than {2 * MAX_KEY_BYTES}")
    start = row[:_LOOKED_AT]
    pairs = [(joined[:cut], joined[cut:]) for cut in range(1, len(joined))]
    if group.other_key < group.user_key:
        pairs = [(user, other) for other, user in pairs]
    fitting = (
        [(user, other) for user, other in pairs if _begins(start, user, other)]
        or [(user, other) for user, other in pairs if _begins(start, other, user)]
        or [pair for pair in pairs if all(any(form in start for form in _written(end)) for end in pair)]
    )
    if len(fitting) != 1:
        said = "in none" if not fitting else f"in {len(fitting)} ways"
        raise BadEvent(f"the key can be cut into the two ids of its row {said}")
    user, other = (text_of_key(end.encode()) for end in fitting[0])  # the row has them like that
    return label_key((user, other))


def _begins(row: bytes, first: str, second: str) -> bool:
    """Whether these are the row's first two columns."""
    return any(
        row.startswith(one) and row.startswith(other, len(one)) for one in _written(first) for other in _written(second)
    )


def _written(user: str) -> list[bytes]:
    """An id as Avro writes it into a column that may be null: as a string and, where it is a number, as a long too."""
    text = user.encode()
    forms = [_NOT_NULL + _long(len(text)) + text]
    if user.removeprefix("-").isdecimal() and user.isascii() and str(int(user)) == user and int(user) in _LONGS:
        forms.append(_NOT_NULL + _long(int(user)))
    return forms


def _long(number: int) -> bytes:
    """A number in Avro's zigzag form of variable length."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])
