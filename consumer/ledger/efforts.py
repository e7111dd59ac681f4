"""What the last cycles came to: how many settled nothing, what failed, what was trained from scratch unasked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import Engine, select

from consumer.database.engine import reading
from consumer.database.tables import cycles
from schemas.cycle import CycleKind, Outcome

_LOOKED_AT = 100  # cycles; more in a row are no worse
_SETTLING = {Outcome.REGISTERED, Outcome.UNCHANGED}
_REFUSED = {Outcome.REJECTED, Outcome.INCONCLUSIVE}
_FROM_SCRATCH = [kind.value for kind in CycleKind if kind.from_scratch]


@dataclass(frozen=True, slots=True)
class Failed:
    """The newest cycle has failed."""

    cycle_id: str
    attempts: int
    """How often the cycle was tried."""
    reason: str
    at: float
    in_a_row: int
    """How many cycles failed one after another."""


@dataclass(frozen=True, slots=True)
class Efforts:
    """The cycles that ended last."""

    fruitless_in_a_row: int
    """Cycles since the last one that settled its claim."""
    failed: Failed | None
    refused_from_scratch: int
    """Of these, cycles from scratch whose model the gate did not take."""
    last_refused_from_scratch: float | None
    failed_fulls: int
    """Full retrains that failed one after another; other cycles in between do not count."""
    full_ends: tuple[float, ...]
    """When cycles from scratch that started for the given reasons and judged a model ended, the newest first."""


def efforts(engine: Engine, unasked: Iterable[str], most: int) -> Efforts:
    """The last cycles; of cycles from scratch that started for a reason in `unasked`, at most `most`."""
    of = cycles.c
    ended = select(of.cycle_id, of.kind, of.state, of.attempts, of.ended_at).where(of.ended_at.is_not(None))
    full = select(of.ended_at).where(
        of.kind.in_(_FROM_SCRATCH),
        of.reason.in_([str(reason) for reason in unasked]),
        of.ended_at.is_not(None),
        of.state.not_in([Outcome.FAILED.value, Outcome.HELD.value]),
    )
    of_fulls = select(of.state).where(of.kind == CycleKind.FULL, of.ended_at.is_not(None))
    with reading(engine) as connection:
        rows = connection.execute(ended.order_by(of.number.desc()).limit(_LOOKED_AT)).all()
        full_ends = connection.scalars(full.order_by(of.number.desc()).limit(most)).all()
        fulls = connection.scalars(of_fulls.order_by(of.number.desc()).limit(_LOOKED_AT)).all()
        failures = sum(1 for _ in takewhile(lambda row: row.state == Outcome.FAILED, rows))
        result = connection.scalar(select(of.result).where(of.cycle_id == rows[0].cycle_id)) if failures else None
    fruitless = list(takewhile(lambda row: row.state not in _SETTLING, rows))
    refused = [row for row in fruitless if row.state in _REFUSED and row.kind in _FROM_SCRATCH]
    return Efforts(
        fruitless_in_a_row=len(fruitless),
        failed=_failed(rows, failures, result) if failures else None,
        refused_from_scratch=len(refused),
        last_refused_from_scratch=refused[0].ended_at if refused else None,
        failed_fulls=sum(1 for _ in takewhile(lambda state: state == Outcome.FAILED, fulls)),
        full_ends=tuple(full_ends),
    )


def _failed(rows: Sequence[Any], in_a_row: int, result: dict[str, Any] | None) -> Failed:
    last = rows[0]
    reason = (result or {}).get("reason", "")
    # The table does not count the attempt after which the cycle was given up.
    return Failed(last.cycle_id, last.attempts + 1, reason, last.ended_at, in_a_row)
