"""The champion pointer, and the versions that a challenger is measured against beside the champion."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select

from consumer.ledger.tables import cycles, promotions, versions
from schemas.cycle import CycleKind

MOST_NOMINATED = 3
"""A trainer loads and scores each of them."""

_FIGURES = ("accuracy", "precision", "recall", "average_precision", "recall_at_10", "outcome_auc", "recall_at_50")
_SCRATCH = [kind.value for kind in CycleKind if kind.from_scratch]


def champion(connection: Connection) -> int | None:
    """The version that the champion pointer names."""
    return connection.scalar(select(promotions.c.version).order_by(promotions.c.number.desc()).limit(1))


def anchor(connection: Connection) -> int | None:
    """The last champion that was trained from scratch."""
    return connection.scalar(
        select(promotions.c.version)
        .join(versions, versions.c.version == promotions.c.version)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .where(cycles.c.kind.in_(_SCRATCH))
        .order_by(promotions.c.number.desc())
        .limit(1)
    )


def best_since(connection: Connection, scratch: int | None, base: int | None) -> tuple[int, ...]:
    """The versions registered after `scratch` that had the best figures, at most `MOST_NOMINATED`, without `base`.

    A stored figure nominates and decides nothing: the gate scores them again. Of equal ones the newest is taken; where
    more versions than may be are best in something, those that are best in most, accuracy first.
    """
    if scratch is None:
        return ()
    number = select(cycles.c.number).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    since = number.where(versions.c.version == scratch).scalar_subquery()
    figures = [cycles.c.result[("gate", "challenger", name)].as_float() for name in _FIGURES]
    rows = connection.execute(
        select(versions.c.version, *figures)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .where(cycles.c.number > since)
        .order_by(cycles.c.number)
    ).all()
    best: Counter[int] = Counter()
    for at in range(1, len(_FIGURES) + 1):
        told = [(row[at], row.version) for row in rows if row[at] is not None and row.version != base]
        if told:
            best[max(told)[1]] += 1
    return tuple(sorted(version for version, _ in best.most_common(MOST_NOMINATED)))
