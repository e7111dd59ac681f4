"""The end of a cycle: its claim is settled or given back, its version may become champion, its requests may reopen."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from consumer.changes.kinds import KINDS
from consumer.database.tables import RUNNING, cycles, versions
from consumer.errors import LedgerError
from consumer.ledger.answering import mark_learned, settle_learned
from consumer.ledger.champions import champion
from consumer.ledger.orders import Bar, bar_of
from consumer.ledger.promotions import move_champion
from consumer.ledger.refusals import forget_mended, keep_refused
from consumer.ledger.retrain_requests import ask_full, open_again
from consumer.ledger.settling import give_back, settle_changes, settle_offsets
from consumer.ledger.telling import tell_ended
from schemas.cycle import CycleResult, Outcome
from schemas.refused import Refused


def end_cycle(connection: Connection, result: CycleResult, refused: Refused, now: float, *, remember: bool) -> bool:
    """End a running cycle in the connection's transaction; gives whether its claim is settled. See `Cycles.settle`.

    Raises:
        LedgerError: the cycle is not running, and has not ended with this result.
    """
    cycle_id, outcome = result.cycle_id, result.outcome
    ended = connection.execute(
        update(cycles)
        .where(cycles.c.cycle_id == cycle_id, cycles.c.state == RUNNING)
        .values(
            state=outcome.value,
            ended_at=now,
            known_users=result.known_users,
            known_labels=_known_labels(result),
            result=result.model_dump(mode="json"),
        )
    )
    if ended.rowcount != 1:
        return _settled_before(connection, result)
    standing = champion(connection)
    stands = standing == connection.scalar(select(cycles.c.base_version).where(cycles.c.cycle_id == cycle_id))
    answers = outcome is Outcome.REGISTERED or (outcome is Outcome.UNCHANGED and standing is not None)
    bar = bar_of(connection, cycle_id, now) if outcome is Outcome.REGISTERED else None
    if outcome is Outcome.REGISTERED and not stands:
        bar = Bar(f"the champion changed while the cycle ran: it is {_named(standing)} now")
    settled = stands and answers and bar is None
    keep_refused(connection, cycle_id, refused, now)
    if result.version is not None:
        row = {"version": result.version, "cycle_id": cycle_id, "registered_at": now}
        row |= {"not_promoted": bar.reason, "withdrawn": bar.withdrawn} if bar else {}
        connection.execute(versions.insert().values(row))
        if settled:
            move_champion(connection, result.version, reason=result.reason, now=now)
            settle_offsets(connection, cycle_id)
    if settled:
        forget_mended(connection, result, refused)
        settle_changes(connection, cycle_id, now, remember=remember)
    else:
        if result.version is not None:
            mark_learned(connection, cycle_id)
        # Nothing was tried on top of a champion that was set meanwhile, and a failed cycle has tried nothing.
        tried = None if outcome is Outcome.FAILED else True
        give_back(connection, cycle_id, tried=tried if stands else False)
        if not stands:  # a person's word: the new champion may have learned some of it
            for kind in KINDS:
                settle_learned(connection, kind, remember=remember)
    if outcome in {Outcome.FAILED, Outcome.HELD}:
        open_again(connection, cycle_id)
    if result.asks_full is not None:
        ask_full(connection, result.asks_full, now)
    tell_ended(connection, result, now)
    return settled


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"


def _known_labels(result: CycleResult) -> int | None:
    return None if result.labels is None else result.labels.positives + result.labels.negatives


def _settled_before(connection: Connection, result: CycleResult) -> bool:
    """Whether the claim of a cycle that has already ended with this result was settled."""
    row = connection.execute(
        select(cycles.c.state, cycles.c.settled, versions.c.version)
        .join(versions, versions.c.cycle_id == cycles.c.cycle_id, isouter=True)
        .where(cycles.c.cycle_id == result.cycle_id)
    ).one_or_none()
    if row is None or (row.state, row.version) != (result.outcome.value, result.version):
        raise LedgerError(f"cycle {result.cycle_id} is not running, so it cannot end")
    return bool(row.settled)
