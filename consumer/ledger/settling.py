"""What becomes of a cycle's users and labels when it has ended: they are settled, or they are pending again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, case, delete, exists, literal, select, update

from consumer.ledger.dialect import greatest, least, upsert
from consumer.ledger.kinds import KINDS, Kind
from consumer.ledger.tables import PENDING, cycles, gaps, offsets, replays
from schemas.cycle import Lineage

LAG_COVERED = 7 * 86_400.0
"""How far behind the online store, in seconds, a bulk copy may be without a full retrain missing a change."""


def settle_changes(connection: Connection, cycle_id: str, now: float) -> None:
    """The champion answers for what the cycle claimed, which leaves the ledger, and is remembered for a while."""
    connection.execute(update(cycles).where(cycles.c.cycle_id == cycle_id).values(settled=True))
    for kind in KINDS:
        _remember(connection, kind, cycle_id, now)
        connection.execute(delete(kind.changes).where(kind.changes.c.cycle_id == cycle_id))


def settle_offsets(connection: Connection, cycle_id: str) -> None:
    """A version covers the cycle's offsets; what was stored since is the next one's."""
    cycle = connection.execute(select(cycles.c.lineage, cycles.c.claimed_at).where(cycles.c.cycle_id == cycle_id)).one()
    # A topic that was made anew during the cycle has other records at the offsets that the claim covers.
    anew = (gaps.c.to_offset < gaps.c.from_offset) & (gaps.c.at >= cycle.claimed_at)
    for topic, ranges in Lineage.model_validate(cycle.lineage).offsets.items():
        for partition, (_, end) in ranges.items():
            of_partition = offsets.c.topic == topic, offsets.c.partition == partition
            made_anew = exists().where(gaps.c.topic == topic, gaps.c.partition == partition, anew)
            settled = least(literal(end, BigInteger), offsets.c.next_offset)
            connection.execute(update(offsets).where(*of_partition, ~made_anew).values(settled_offset=settled))


def _remember(connection: Connection, kind: Kind, cycle_id: str, now: float) -> None:
    """Keep for a while what was settled, for the cycles that read everything from a copy that may lag."""
    changes, learned = kind.changes, kind.learned
    connection.execute(delete(learned).where(learned.c.received_at < now - LAG_COVERED))
    which = select(kind.key, changes.c.received_at).where(
        changes.c.cycle_id == cycle_id, changes.c.received_at >= now - LAG_COVERED
    )
    known = upsert(connection, learned).from_select([kind.key.name, "received_at"], which)
    latest = greatest(learned.c.received_at, known.excluded.received_at)
    connection.execute(known.on_conflict_do_update(index_elements=[kind.key.name], set_={"received_at": latest}))


def give_back(connection: Connection, cycle_id: str, *, tried: bool) -> None:
    """What the cycle claimed becomes pending."""
    for kind in KINDS:
        _give_back(connection, kind, cycle_id, tried)
    connection.execute(update(replays).where(replays.c.cycle_id == cycle_id).values(cycle_id=PENDING))


def _give_back(connection: Connection, kind: Kind, cycle_id: str, tried: bool) -> None:
    """Where a user or a label has changed again meanwhile, its two rows become one."""
    changes = kind.changes
    kept = [column for column in changes.c if column.name not in {"cycle_id", "tried"}]
    claimed = select(*kept, literal(PENDING), literal(tried)).where(changes.c.cycle_id == cycle_id)
    back = upsert(connection, changes).from_select([*(column.name for column in kept), "cycle_id", "tried"], claimed)
    merged = back.on_conflict_do_update(
        index_elements=[kind.key, changes.c.cycle_id],
        set_={
            "events": changes.c.events + back.excluded.events,
            "first_position": back.excluded.first_position,
            "first_event_at": least(changes.c.first_event_at, back.excluded.first_event_at),
            "fresh_since": case(
                (back.excluded.tried, changes.c.fresh_since),
                else_=least(changes.c.fresh_since, back.excluded.fresh_since),
            ),
        },
    )
    connection.execute(merged)
    connection.execute(delete(changes).where(changes.c.cycle_id == cycle_id))
