"""What must become of a record, by the rules as they are written down and Python's own JSON parser.

It shares no code with the decoders. It is slow, and stricter to read than they are: one rule after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from schemas.features import FeatureGroup
from schemas.hopsworks import Source
from schemas.keys import MAX_KEY_BYTES, MAX_KEY_LENGTH

Kind = Literal["stored", "ignored", "dead"]
Headers = Sequence[tuple[str, bytes | None]]


class Verdict(NamedTuple):
    """What becomes of a record; of a change also whose it is, and whether it is a delete."""

    kind: Kind
    user: str = ""
    deleted: bool = False


DEAD, IGNORED = Verdict("dead"), Verdict("ignored")

_DEEPEST = 200
"""So deep may JSON be nested; what is deeper is damage, or meant to be."""
_WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*(\.0+)?")
_ZEROS = re.compile(r"^\+?0[0_]*(-?)_?(?=[1-9]|0(?:\.|$))")
"""Pydantic passes over zeros in front before it looks what is a number: to it `0-13` is -13."""
_I64 = 2**63


def verdict_of(
    source: Source, group: FeatureGroup, key: bytes | None, value: bytes | None, headers: Headers
) -> Verdict:
    """What must become of a record of this source where this group is listened to."""
    named = {name: held for name, held in headers if held is not None}  # the last of a name holds, nulls say nothing
    marked = named.get("operation", b"").lower() == b"delete"
    if source == "ingestion":
        if "featureGroupId" not in named:
            return DEAD
        if named["featureGroupId"] != b"%d" % (group.id or 0) or named.get("storage", b"").lower() == b"offline":
            return IGNORED
        return _by_key(key, value or b"", deleted=marked or value is None)
    return _by_key(key, b"", deleted=True) if value is None else _by_value(group, value, deleted=marked)


def _by_key(key: bytes | None, row: bytes, *, deleted: bool) -> Verdict:
    """A key that is JSON names nobody, unless the row has the same text; to JSON a number is the same."""
    try:
        user = (key or b"").decode()
    except UnicodeDecodeError:
        return DEAD
    try:
        said: object = json.loads(user, parse_constant=_no_constant)
    except RecursionError:
        return DEAD
    except ValueError:
        said = 0
    if type(said) not in (int, float) and b"\x02" + _long(len(user.encode())) + user.encode() not in row:
        return DEAD
    return _change(user, deleted=deleted)


def _no_constant(said: str) -> object:
    raise ValueError(f"{said} is Python's")


def _long(number: int) -> bytes:
    """A length in Avro: seven bits a byte, of the double."""
    return bytes([2 * number]) if number < 64 else bytes([2 * number & 0x7F | 0x80]) + _long_rest(2 * number >> 7)


def _long_rest(rest: int) -> bytes:
    return bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80]) + _long_rest(rest >> 7)


def _by_value(group: FeatureGroup, value: bytes, *, deleted: bool) -> Verdict:
    try:
        event = _object(value)
        store, number, version = (
            _integer(event.get(name)) for name in ("featureStoreId", "featureGroupId", "featureGroupVersion")
        )
        name, entry = event.get("featureGroupName"), event.get("entry")
        if not isinstance(name, str | None) or not isinstance(entry, dict | None):
            return DEAD
    except (ValueError, RecursionError):
        return DEAD
    if None not in (store, group.feature_store_id) and store != group.feature_store_id:
        return IGNORED
    if None not in (number, group.id):
        if number != group.id:
            return IGNORED
    elif name not in (None, group.name) or version not in (None, group.version):
        return IGNORED
    user = (entry or {}).get(group.primary_key)
    return _change(str(user), deleted=deleted) if type(user) in (str, int) else DEAD


def _change(user: str, *, deleted: bool) -> Verdict:
    short = 1 <= len(user) <= MAX_KEY_LENGTH and len(user.encode()) <= MAX_KEY_BYTES
    return Verdict("stored", user, deleted) if short and "\0" not in user else DEAD


def _object(value: bytes) -> dict[str, Any]:
    """The JSON object that `value` is, of text alone and not too deep; of a name that comes twice the last one.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(value.decode(), object_pairs_hook=_Pairs)
    _check(found, _DEEPEST)
    if not isinstance(found, _Pairs):
        raise ValueError("no object")
    return {name: _plain(held) for name, held in found}


class _Pairs(list[tuple[str, Any]]):
    """An object with all that it says, twice too."""


def _plain(found: Any) -> Any:
    return dict(found) if isinstance(found, _Pairs) else found


def _check(found: Any, depth: int) -> None:
    if isinstance(found, str):
        found.encode()  # half a surrogate pair is no text
    elif isinstance(found, list):
        if depth == 0:
            raise ValueError("too deep")
        for one in found:
            for part in one if isinstance(one, tuple) else (one,):
                _check(part, depth - 1)


def _integer(said: object) -> int | None:
    """A number of a store, group or version; text and fractions of nothing mean the same.

    Raises:
        ValueError: it is none.
    """
    if said is None or isinstance(said, int):
        return said  # true is 1
    if isinstance(said, float) and said.is_integer() and -_I64 < said < _I64:
        return int(said)
    if isinstance(said, str) and _WHOLE.fullmatch(text := _ZEROS.sub(r"\1", said.strip(), count=1)):
        return int(text.split(".")[0])
    raise ValueError(f"{said!r} is no number")
