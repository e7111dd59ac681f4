"""Which offsets, replays and gaps a cycle stands for."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from consumer.ledger.tables import changes, gaps, offsets, replays
from schemas.cycle import Lineage, OffsetGaps, OffsetRanges


def lineage_of(connection: Connection, cycle_id: str) -> Lineage:
    """What is pending now stands for: from where the last registered version ended to what is stored."""
    live: OffsetRanges = {}
    for row in connection.execute(select(offsets).order_by(offsets.c.topic, offsets.c.partition)):
        if row.settled_offset < row.next_offset:
            live.setdefault(row.topic, {})[row.partition] = (row.settled_offset, row.next_offset)
    replayed: OffsetRanges = {}
    for ranges in connection.scalars(select(replays.c.ranges).where(replays.c.cycle_id == cycle_id)):
        for topic, partitions in ranges.items():
            for partition, (start, end) in partitions.items():
                before = replayed.setdefault(topic, {}).get(int(partition), (start, end))
                replayed[topic][int(partition)] = (min(before[0], start), max(before[1], end))
    users, first, last = connection.execute(
        select(func.count(), func.min(changes.c.first_event_at), func.max(changes.c.last_event_at)).where(
            changes.c.cycle_id == cycle_id
        )
    ).one()
    return Lineage(
        offsets=live,
        replayed=replayed,
        gaps=_gaps(connection),
        changed_users=users,
        first_event_at=None if first is None else datetime.fromtimestamp(first, UTC),
        last_event_at=None if last is None else datetime.fromtimestamp(last, UTC),
    )


def _gaps(connection: Connection) -> OffsetGaps:
    """What was passed over and not settled since; what a topic had lost before it was made anew is none of it."""
    of_partition = (gaps.c.topic == offsets.c.topic) & (gaps.c.partition == offsets.c.partition)
    not_settled = gaps.c.to_offset > offsets.c.settled_offset
    anew = gaps.c.to_offset < gaps.c.from_offset
    lost: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in connection.execute(
        select(gaps).join(offsets, of_partition).where(not_settled | anew).order_by(gaps.c.number)
    ):
        passed_over = lost.setdefault((row.topic, row.partition), [])
        if row.to_offset < row.from_offset:
            passed_over.clear()
        elif passed_over and passed_over[-1][1] == row.from_offset:
            passed_over[-1] = passed_over[-1][0], row.to_offset
        else:
            passed_over.append((row.from_offset, row.to_offset))
    found: OffsetGaps = {}
    for (topic, partition), passed_over in sorted(lost.items()):
        if passed_over:
            found.setdefault(topic, {})[partition] = tuple(passed_over)
    return found
