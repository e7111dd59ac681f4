"""Samples: how the service was, a row a minute. They outlive a restart, and the oldest go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, delete, func, select

from consumer.database.dialect import upsert
from consumer.database.engine import reading
from consumer.database.tables import samples
from consumer.ledger.watching.kept import Kept, kept_of
from schemas.watching.samples import SAMPLE_EVERY, Sample

DAY = 86_400.0
KEPT_FOR = 14 * DAY
"""Seconds for which a sample is kept."""
_PRUNED_EVERY = 60  # samples
_AT_ONCE = 500  # samples in memory, of twenty thousand that there may be

_Memo = tuple[tuple[float, int, int | None], tuple[Kept, Kept]]


class Samples:
    """The samples of a ledger. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._memo: _Memo | None = None

    def write(self, sample: Sample) -> bool:
        """Keep the sample of a minute; gives whether it is new.

        A minute that has one keeps the one it has: where the lease moves within a minute, the first instance counts.
        """
        minute = _minute(sample.at)
        with self._engine.begin() as connection:
            new = upsert(connection, samples).values(minute=minute, figures=sample.model_dump(mode="json"))
            given = connection.scalar(new.on_conflict_do_nothing().returning(samples.c.minute))
            if (written := given is not None) and minute % _PRUNED_EVERY == 0:
                connection.execute(delete(samples).where(samples.c.minute < _minute(sample.at - KEPT_FOR)))
        return written

    def last(self, now: float) -> Sample | None:
        """The newest sample up to `now`; None before the first."""
        newest = select(samples.c.figures).where(samples.c.minute <= _minute(now)).order_by(samples.c.minute.desc())
        with reading(self._engine) as connection:
            found = connection.scalar(newest.limit(1))
        return None if found is None else Sample.model_validate(found)

    def read(self, since: float, now: float, points: int | None = None) -> list[Sample]:
        """The samples from `since` to `now`, the oldest first; all of them, or at most `points`.

        One of several stands for minutes that follow each other: it has the highest of lag, pending, age and memory,
        the last of the others, and says that a cycle was under way if one was in any of them. Minutes without a sample
        are left out, and nothing is put in their place: the times tell where nothing is known.
        """
        of = samples.c
        which = of.minute >= _minute(since), of.minute <= _minute(now)
        with reading(self._engine) as connection:
            first, last = connection.execute(select(func.min(of.minute), func.max(of.minute)).where(*which)).one()
            if first is None:
                return []
            together = 1 if points is None else _together(first, last, points)
            wanted = select(of.minute, of.figures).where(*which).order_by(of.minute)
            rows = connection.execute(wanted.execution_options(yield_per=_AT_ONCE))
            runs = groupby(rows, key=lambda row: row.minute // together)
            return [_one_of([row.figures for row in run]) for _, run in runs]

    def kept(self, target: float, now: float) -> tuple[Kept, Kept]:
        """In how many minutes of the last day, and of the last seven, the oldest change was no older than `target`.

        Read again once a minute at most: cheap enough to be asked for every second.
        """
        of, today = samples.c, _minute(now)
        with reading(self._engine) as connection:
            newest = connection.scalar(select(func.max(of.minute)).where(of.minute <= today))
            memo, key = self._memo, (target, today, newest)
            if memo is not None and memo[0] == key:
                return memo[1]
            age = of.figures["oldest_pending_s"].as_float()
            week = select(of.minute, age).where(of.minute > _minute(now - 7 * DAY), of.minute <= today)
            rows = [(minute, old) for minute, old in connection.execute(week.order_by(of.minute))]
        day = _minute(now - DAY)
        found = (kept_of(rows, target, after=day), kept_of(rows, target, after=_minute(now - 7 * DAY)))
        self._memo = (key, found)
        return found


def _minute(at: float) -> int:
    return int(at // SAMPLE_EVERY)


def _together(first: int, last: int, points: int) -> int:
    """How many minutes one sample stands for; runs begin at the same minutes whenever somebody asks."""
    together = 1
    while last // together - first // together + 1 > max(points, 1):
        together = max(together + 1, (last - first) // max(points, 1))
    return together


def _one_of(run: Sequence[dict[str, Any]]) -> Sample:
    highest = {
        name: max((value for one in run if (value := one[name]) is not None), default=None)
        for name in ("lag", "pending_users", "pending_labels", "oldest_pending_s", "consumer_bytes", "trainer_bytes")
    }
    return Sample.model_validate({**run[-1], **highest, "training": any(one["training"] for one in run)})
