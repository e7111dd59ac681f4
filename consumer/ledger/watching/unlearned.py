"""What the champion has not learned of what has arrived: the changes that wait, and those that a cycle works on.

The figures of a portion tell the oldest change that no cycle has tried. Of those that a cycle tried and gave back only
the rows tell, so these are looked through, and looked through again only where that may have another answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from consumer.changes.kinds import KINDS, Kind
from consumer.changes.portions import Portion, earliest, portion_of
from consumer.database.engine import reading
from consumer.database.tables import PENDING, RUNNING, cycles

_LOOKED_THROUGH_EVERY = 30.0
"""Seconds for which an answer counts although some of those that were tried have changed again since: they may be the
oldest, so a change may look older than it is for so long, never younger."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the champion has not learned. Times are of arrival here, in seconds since the epoch."""

    users: int = 0
    labels: int = 0
    pending: float | None = None
    """The oldest of what is pending."""
    untried: float | None = None
    """The oldest of what is pending and no cycle has tried: this starts the next cycle."""
    claimed: float | None = None
    """The oldest of what a running cycle works on; None where none runs."""
    cycle_since: float | None = None
    """When the running cycle claimed it; None where none runs."""
    tried: int = 0
    """Users and labels that are pending, and that a cycle tried and gave back: they ride along and start no cycle."""

    @property
    def oldest(self) -> float | None:
        """The oldest of all of it; None where the champion has learned all that has arrived."""
        return earliest(self.pending, self.claimed)


class _Looked(NamedTuple):
    """What a look through the rows of a portion has found."""

    after_cycle: int
    tried: int
    oldest: float | None
    at: float


class Unlearned:
    """The changes of a ledger that its champion has not learned. Safe to use from several threads.

    Args:
        engine: of the ledger.
        clock: seconds of a clock that nobody sets.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._looked: dict[tuple[str, int], _Looked] = {}

    def now(self) -> Waiting:
        """How much there is, and since when."""
        looked: dict[tuple[str, int], _Looked] = {}
        with reading(self._engine) as connection:
            of = cycles.c
            running = connection.execute(select(of.cycle_id, of.claimed_at).where(of.state == RUNNING)).one_or_none()
            ended = select(func.max(of.number)).where(of.ended_at.is_not(None))
            after = connection.scalar(ended) or 0
            rows = {kind.name: 0 for kind in KINDS}
            pending: list[float | None] = []
            claimed: list[float | None] = []
            untried: list[float | None] = []
            tried = 0
            for kind in KINDS:
                if (portion := portion_of(connection, kind, PENDING)) is not None:
                    figures = portion.figures
                    rows[kind.name] += figures.rows
                    tried += figures.rows - figures.untried
                    untried.append(figures.fresh_since)
                    pending += [figures.fresh_since, self._of_tried(connection, kind, portion, after, looked)]
                if running is not None and (portion := portion_of(connection, kind, running.cycle_id)) is not None:
                    rows[kind.name] += portion.figures.rows
                    claimed += [portion.figures.fresh_since, self._of_tried(connection, kind, portion, after, looked)]
        self._looked = looked
        users, labels = (rows[kind.name] for kind in KINDS)
        return Waiting(
            users=users,
            labels=labels,
            pending=earliest(*pending),
            untried=earliest(*untried),
            claimed=earliest(*claimed),
            cycle_since=None if running is None else running.claimed_at,
            tried=tried,
        )

    def _of_tried(
        self,
        connection: Connection,
        kind: Kind,
        portion: Portion,
        after: int,
        looked: dict[tuple[str, int], _Looked],
    ) -> float | None:
        """When the oldest tried change of a portion arrived. They become fewer until a cycle ends, never more."""
        tried = portion.figures.rows - portion.figures.untried
        if tried == 0:
            return None
        place = (kind.name, portion.number)
        known = self._looked.get(place)
        if (
            known is not None
            and known.after_cycle == after
            and (known.tried == tried or self._clock() - known.at < _LOOKED_THROUGH_EVERY)
        ):
            looked[place] = known
            return known.oldest
        changes = kind.changes.c
        oldest: float | None = connection.scalar(
            select(func.min(changes.fresh_since)).where(changes.portion == portion.number, changes.tried.is_(True))
        )
        looked[place] = _Looked(after, tried, oldest, self._clock())
        return oldest
