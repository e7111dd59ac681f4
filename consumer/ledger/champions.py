"""The champion pointer, and the versions other than the champion that a challenger is measured against."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select

from consumer.database.tables import cycles, promotions, versions
from schemas.cycle import CycleKind

MOST_NOMINATED = 3
"""The most versions that are nominated: a trainer loads and scores each."""

_FIGURES = ("accuracy", "precision", "recall", "average_precision", "recall_at_10", "outcome_auc", "recall_at_50")
_Leaders = tuple[tuple[float, int], ...]
_SCRATCH = [kind.value for kind in CycleKind if kind.from_scratch]


def champion(connection: Connection) -> int | None:
    """The version that the champion pointer names."""
    return connection.scalar(select(promotions.c.version).order_by(promotions.c.number.desc()).limit(1))


def baseline(connection: Connection) -> int | None:
    """The last champion that was trained from scratch, and that no rollback has withdrawn."""
    return connection.scalar(
        select(promotions.c.version)
        .join(versions, versions.c.version == promotions.c.version)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .where(cycles.c.kind.in_(_SCRATCH), versions.c.withdrawn.is_(False))
        .order_by(promotions.c.number.desc())
        .limit(1)
    )


class BestSince:
    """Nominates versions. Figures on record never change, so each call reads only those that came since the last."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[int, frozenset[int]], int, tuple[_Leaders, ...]] | None = None

    def of(self, connection: Connection, scratch: int | None, base: int | None) -> tuple[int, ...]:
        """The versions registered after `scratch` with the best figures, at most `MOST_NOMINATED`, without `base`.

        A stored figure nominates and decides nothing: the gate scores the versions again. Of equal versions the newest
        is taken. Where too many versions are best in something, those best in most are taken, accuracy first. Versions
        that a rollback has withdrawn are left out, or they would bar every challenger; so are those that never were
        champion.
        """
        if scratch is None:
            return ()
        best: Counter[int] = Counter()
        for leaders in self._leaders(connection, scratch):
            best.update([version for _, version in leaders if version != base][:1])
        return tuple(sorted(version for version, _ in best.most_common(MOST_NOMINATED)))

    def leading(self, connection: Connection, scratch: int | None) -> frozenset[int]:
        """All versions that `of` may nominate, whatever the base: of each figure the two best."""
        if scratch is None:
            return frozenset()
        return frozenset(version for leaders in self._leaders(connection, scratch) for _, version in leaders)

    def _leaders(self, connection: Connection, scratch: int) -> tuple[_Leaders, ...]:
        """For each figure its two best values with their versions; two, as one may be the base."""
        known: tuple[_Leaders, ...]
        barred = versions.c.withdrawn | versions.c.not_promoted.is_not(None)
        left_out = frozenset(connection.scalars(select(versions.c.version).where(versions.c.version > scratch, barred)))
        of, seen = (scratch, left_out), self._seen
        _, last, known = seen if seen and seen[0] == of else (of, 0, ((),) * len(_FIGURES))
        number = select(cycles.c.number).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
        since = number.where(versions.c.version == scratch).scalar_subquery()
        figures = [cycles.c.result[("gate", "challenger", name)].as_float() for name in _FIGURES]
        rows = connection.execute(
            select(cycles.c.number, versions.c.version, *figures)
            .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
            .where(cycles.c.number > since, cycles.c.number > last, versions.c.deleted_at.is_(None))
        ).all()
        counted = [row for row in rows if row.version not in left_out]
        found = tuple(
            tuple(sorted([*leaders, *((row[at], row.version) for row in counted if row[at] is not None)])[-1:-3:-1])
            for at, leaders in enumerate(known, start=2)
        )
        self._seen = of, max([last, *(row.number for row in rows)]), found
        return found
