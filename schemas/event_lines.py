"""Decoding of many events at once. Events that are alike in their bytes say the same, and each is looked at once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from operator import attrgetter

from msgspec import MsgspecError

from schemas.events import (
    SHORT,
    Change,
    Entry,
    Event,
    Group,
    Ignored,
    Operation,
    is_too_deep,
    key_columns,
    parser,
    said_by,
    why_not_ours,
)
from schemas.keys import MAX_KEY_LENGTH, BadEvent

_TOGETHER = 256
"""Values in a call of the parser: where one of them is unsound, so many are left to be looked at one by one."""
_LONGEST = 8192
"""Bytes of a value that is taken: what is put together is a copy."""

_origin = attrgetter("feature_store_id", "feature_group_id", "feature_group_name", "feature_group_version")


def decode_lines(group: Group, values: Iterable[bytes]) -> dict[bytes, Change | Ignored]:
    """What records with these values say of our group, where no header marks them as deletes.

    A value that is in the result says what `schemas.events.decode` says of it. Others may be missing, and all that are
    no events are: `decode` says what they are.
    """
    keys, found = key_columns(group), dict[bytes, Change | Ignored]()
    distinct = list(dict.fromkeys(values))
    if max(map(len, distinct), default=0) > _LONGEST:
        distinct = [value for value in distinct if len(value) <= _LONGEST]
    for at in range(0, len(distinct), _TOGETHER):
        some = distinct[at : at + _TOGETHER]
        lines = b"\n".join(some)
        if (events := _parsed(keys, some, lines)) is None:
            continue
        if (users := _plain_users(group, keys, events)) is not None and lines.isascii():
            found.update(zip(some, map(Change, users, repeat(Operation.UPSERT)), strict=True))
            continue
        for value, event in zip(some, events, strict=True):
            with suppress(BadEvent):
                found[value] = said_by(group, keys, event, Operation.UPSERT)
    return found


def _parsed(keys: tuple[str, ...], values: list[bytes], lines: bytes) -> list[Event[Entry]] | None:
    """The events of values, one each; None where any of them has to be looked at alone.

    The parser does not tell lines from other space: it would take `{}{}` on one line and nothing on the next for two
    events. So each value begins with the bracket of an object, ends with one, and has no line of its own. Text cannot
    go over the end of a line, and within an object or a list nothing but a comma may come between two objects: so no
    object goes over the end of a line, each line has one or more, and as many as there are lines is one on each.
    """
    breaks = len(values) - 1
    if not lines.startswith(b"{") or not lines.endswith(b"}"):
        return None
    if lines.count(b"\n") != breaks or lines.count(b"}\n{") != breaks or b"\\u" in lines:
        return None
    if max(map(len, values)) > SHORT and any(map(is_too_deep, values)):
        return None
    try:
        if not lines.isascii():
            lines.decode()
        events = parser(keys).decode_lines(lines)
    except (MsgspecError, ValueError, RecursionError):
        return None
    return events if len(events) == len(values) else None


def _plain_users(group: Group, keys: tuple[str, ...], events: list[Event[Entry]]) -> list[str] | None:
    """The users of events that are all ours and have ordinary text for one; None where any is another case.

    Where all bytes of the events are ASCII, and none is an escape of a character, no such text has a NUL.
    """
    if len(keys) > 1 or any(why_not_ours(group, Event(*origin)) is not None for origin in set(map(_origin, events))):
        return None
    users = [None if event.entry is None else event.entry.user for event in events]
    if set(map(type, users)) != {str}:
        return None
    texts: list[str] = users  # type: ignore[assignment]  # as the line above has found
    lengths = set(map(len, texts))
    return texts if min(lengths) > 0 and max(lengths) <= MAX_KEY_LENGTH else None
