"""The result of a replay, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from consumer.replays.found import Replayed
from consumer.replays.window import Window, guessed, moment_of

_RANGES = 5  # of a partition that are named one by one


def on_record(window: Window, replayed: Replayed) -> dict[str, Any]:
    """The result for the ledger and for `--json`."""
    batch = replayed.batch
    return {
        "from": None if window.start is None else moment_of(window.start),
        "to": None if window.end is None else moment_of(window.end),
        "only_users": None if window.users is None else len(window.users),
        "ranges": {
            topic: {str(number): [list(span) for span in spans] for number, spans in partitions.items()}
            for topic, partitions in replayed.ranges.items()
        },
        "read": replayed.read,
        "events": replayed.events,
        "users": len(batch.users),
        "labels": len(batch.labels),
        "of_other_groups": sum(batch.ignored.values()),
        "not_understood": len(batch.dead),
        "skipped_by_time": _skipped(window, replayed),
        "odd_times": sum(one.odd for one in replayed.stretches),
        "missing": list(replayed.missing),
        "held_by_open_transactions": sum(one.withheld for one in replayed.stretches),
        "users_without_events": None if window.users is None else len(window.users - batch.users.keys()),
    }


def lines(window: Window, replayed: Replayed) -> Iterator[str]:
    """The result in sentences."""
    for topic, partitions in replayed.ranges.items():
        for number, spans in partitions.items():
            shown = ", ".join(f"{start} to {end}" for start, end in spans[:_RANGES])
            more = f" and {len(spans) - _RANGES} more ranges" if len(spans) > _RANGES else ""
            yield f"{topic}[{number}]: offsets {shown}{more}"
    batch = replayed.batch
    whose = f"{len(batch.users)} users" + (f" and {len(batch.labels)} labels" if batch.labels else "")
    yield (
        f"{replayed.events} events of {whose}; {sum(batch.ignored.values())} are of other groups, "
        f"{len(batch.dead)} cannot be understood"
    )
    yield from notes(window, replayed)


def notes(window: Window, replayed: Replayed) -> Iterator[str]:
    """More facts for a reader, also where the window holds nothing."""
    skipped = _skipped(window, replayed)
    earlier = f"; {skipped} offsets before them hold earlier ones, by the broker's index of times" if skipped else ""
    yield f"{replayed.read} records were read, {replayed.events} of them are in the window{earlier}"
    for one in replayed.stretches:
        if one.odd:
            yield (
                f"{one.partition}: {one.odd} of the records have a time that cannot be meant, such as "
                f"{moment_of(one.odd_time)} at offset {one.odd_at}: {guessed(one.odd_time)}"
            )
        if one.withheld:
            yield (
                f"{one.partition}: {one.withheld} offsets from {one.next} on are not read: they belong to a "
                "transaction that is still open, or come after one"
            )
    for gone in replayed.missing:
        yield f"left out: {gone}"
    if window.users is not None and (absent := len(window.users - replayed.batch.users.keys())):
        yield f"{absent} of the {len(window.users)} users have no event of theirs in the window"


def nothing(window: Window, topics: str) -> str:
    """The sentence that there is no event to replay."""
    since = "" if window.start is None else f" from {moment_of(window.start)}"
    until = "" if window.end is None else f" to {moment_of(window.end)}"
    where = " at these offsets" if window.offsets is not None else ""
    whose = " of these users" if window.users is not None else ""
    return f"topic {topics} holds no events{whose}{where}{since}{until}"


def _skipped(window: Window, replayed: Replayed) -> int:
    return 0 if window.offsets is not None else sum(one.start - one.begins for one in replayed.stretches)
