"""Which offsets, replays and gaps a cycle stands for.

A cycle that found nothing to learn settles its claim, and no offset: the next version covers its events. So the next
cycles take over its lineage until there is a version.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import figures_of
from consumer.database.tables import cycles, gaps, offsets, replays
from schemas.cycle import Lineage, OffsetRanges, Outcome
from schemas.spans import OffsetSpans, united


def lineage_of(connection: Connection, cycle_id: str) -> Lineage:
    """What pending changes stand for: from the end of the last registered version to what is stored now."""
    live: OffsetRanges = {}
    for row in connection.execute(select(offsets).order_by(offsets.c.topic, offsets.c.partition)):
        if row.settled_offset < row.next_offset:
            live.setdefault(row.topic, {})[row.partition] = (row.settled_offset, row.next_offset)
    before = _uncovered(connection)
    again = connection.scalars(select(replays.c.ranges).where(replays.c.cycle_id == cycle_id))
    users, labels = (figures_of(connection, kind, cycle_id) for kind in KINDS)
    return Lineage(
        offsets=live,
        replayed=united(before.replayed, *again),
        gaps=_gaps(connection),
        changed_users=users.rows,
        unchanged_users=before.changed_users + before.unchanged_users,
        changed_labels=labels.rows,
        unchanged_labels=before.changed_labels + before.unchanged_labels,
        first_event_at=min(_times(users.first_event_at, labels.first_event_at, before.first_event_at), default=None),
        last_event_at=max(_times(users.last_event_at, labels.last_event_at, before.last_event_at), default=None),
    )


def last_settled(connection: Connection) -> Row[Any] | None:
    """The newest cycle whose claim left the ledger: its id, how it ended, its lineage."""
    columns = cycles.c.cycle_id, cycles.c.state, cycles.c.lineage
    return connection.execute(
        select(*columns).where(cycles.c.settled).order_by(cycles.c.number.desc()).limit(1)
    ).one_or_none()


def _uncovered(connection: Connection) -> Lineage:
    """The lineage of what was settled without a version since the last one."""
    last = last_settled(connection)
    if last is None or last.state != Outcome.UNCHANGED:
        return Lineage(offsets={}, changed_users=0)
    return Lineage.model_validate(last.lineage)


def _times(*moments: float | datetime | None) -> list[datetime]:
    found = (datetime.fromtimestamp(one, UTC) if isinstance(one, float) else one for one in moments)
    return [one for one in found if one is not None]


def _gaps(connection: Connection) -> OffsetSpans:
    """Offsets that were skipped and are not settled, without what a topic had lost before it was recreated."""
    of_partition = (gaps.c.topic == offsets.c.topic) & (gaps.c.partition == offsets.c.partition)
    not_settled = gaps.c.to_offset > offsets.c.settled_offset
    recreated = gaps.c.to_offset < gaps.c.from_offset
    lost: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in connection.execute(
        select(gaps).join(offsets, of_partition).where(not_settled | recreated).order_by(gaps.c.number)
    ):
        passed_over = lost.setdefault((row.topic, row.partition), [])
        if row.to_offset < row.from_offset:
            passed_over.clear()
        elif passed_over and passed_over[-1][1] == row.from_offset:
            passed_over[-1] = passed_over[-1][0], row.to_offset
        else:
            passed_over.append((row.from_offset, row.to_offset))
    found: OffsetSpans = {}
    for (topic, partition), passed_over in sorted(lost.items()):
        if passed_over:
            found.setdefault(topic, {})[partition] = tuple(passed_over)
    return found
