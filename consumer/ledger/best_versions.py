"""Versions by a figure: the best first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, select

from consumer.database.engine import reading
from consumer.database.tables import cycles, versions
from consumer.ledger.champions import champion
from consumer.ledger.records import version_record

LESS_IS_BETTER = frozenset({"calibration_error", "outcome_calibration_error"})


def best_versions(engine: Engine, figure: str, limit: int | None) -> list[dict[str, Any]]:
    """The `limit` versions with the best `figure`, a field of `schemas.cycle.Metrics`, the best first.

    Of equal ones the newest comes first; versions without the figure come last. Each figure is that of the version's
    own exam. The figures of every version are read, which takes a second where there are ten thousand.
    """
    stored = cycles.c.result[("gate", "challenger", figure)].as_float()
    best = stored.asc() if figure in LESS_IS_BETTER else stored.desc()
    columns = versions, cycles.c.kind, cycles.c.reason, cycles.c.lineage, cycles.c.result
    found = select(*columns).join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
    ordered = found.order_by(best.nulls_last(), versions.c.version.desc()).limit(limit)
    with reading(engine) as connection:
        rows = connection.execute(ordered).all()
        standing = champion(connection)
    return [version_record(row, standing) for row in rows]
