"""Dead letters for people and for machines. Their content is foreign: it may hold commands to a terminal."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from consumer.dead_letters.letter import WITHOUT_BYTES, Entry, Stored
from consumer.plain import one_line, plain

_WIDTH = 16


def when(seconds: float) -> str:
    """A time as ISO 8601, in UTC; in seconds where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s since 1970"


def readable(held: bytes | None) -> list[str]:
    """Bytes as lines, never cut: text where they are UTF-8, a hexdump otherwise."""
    if held is None:
        return ["none"]
    if not held:
        return ["empty"]
    try:
        return plain(held.decode()).split("\n")
    except UnicodeDecodeError:
        return list(hexdump(held))


def hexdump(held: bytes) -> Iterator[str]:
    """The lines of `hexdump -C`, sixteen bytes each."""
    for start in range(0, len(held), _WIDTH):
        row = held[start : start + _WIDTH]
        digits = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}"
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {digits:<48}  |{text}|"


def lines(stored: Stored) -> Iterator[str]:
    """Everything about one letter, in lines for a terminal."""
    entry, letter = stored.entry, stored.letter
    yield f"letter    {entry.id}"
    yield f"position  {one_line(str(entry.position))}"
    yield f"event     {when(entry.event_at)}"
    yield f"stored    {when(entry.stored_at)}"
    yield f"stage     {one_line(entry.stage)}"
    yield f"reason    {one_line(entry.reason)}"
    settled = (
        "" if entry.settled_at is None else f" at {when(entry.settled_at)}: {one_line(entry.settled_reason or '')}"
    )
    yield f"status    {one_line(entry.status)}{settled}"
    yield f"published {'yes' if entry.published else 'no'}"
    if entry.stage in WITHOUT_BYTES:
        yield "it holds no record"
        return
    if entry.status == "discarded":
        yield "its bytes are gone"
        return
    for name, value in letter.headers:
        yield from _indented(f"header    {one_line(name)}", value)
    yield from _indented("key", letter.key)
    yield from _indented("value", letter.value)


def _indented(title: str, held: bytes | None) -> Iterator[str]:
    yield f"{title}{'' if held is None else f', {len(held)} bytes'}"
    for line in readable(held):
        yield f"    {line}"


def on_record(entry: Entry) -> dict[str, Any]:
    """What is on record about a letter, as `--json` gives it."""
    return {
        "id": entry.id,
        "topic": entry.position.topic,
        "partition": entry.position.partition,
        "offset": entry.position.offset,
        "event_at": when(entry.event_at),
        "stored_at": when(entry.stored_at),
        "stage": entry.stage,
        "reason": entry.reason,
        "status": entry.status,
        "settled_at": None if entry.settled_at is None else when(entry.settled_at),
        "settled_reason": entry.settled_reason,
        "published": entry.published,
        "bytes": entry.size,
    }


def whole(stored: Stored) -> dict[str, Any]:
    """A letter as `--json` gives it whole: with headers, key and value, in base64."""
    letter = stored.letter
    return {
        **on_record(stored.entry),
        "headers": [[name, _base64(value)] for name, value in letter.headers],
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
    }


def _base64(held: bytes | None) -> str | None:
    return None if held is None else base64.b64encode(held).decode()
