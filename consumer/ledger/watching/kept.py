"""In which minutes the oldest change was young enough, told from the samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.watching.samples import SAMPLE_EVERY


@dataclass(frozen=True, slots=True)
class Kept:
    """Minutes of a stretch of time, by what is known of them."""

    minutes: int = 0
    """Those of which it is known whether the oldest change was young enough."""
    kept: int = 0
    """Those in which it was."""

    @property
    def share(self) -> float | None:
        """The share of the known minutes; None where none is known."""
        return self.kept / self.minutes if self.minutes else None


def kept_of(rows: Iterable[tuple[int, float | None]], target: float, *, after: int) -> Kept:
    """The minutes later than `after` of which something is known.

    A minute without a sample is not known, with one exception: a later sample shows a change that was there already,
    and was too old. A service that was away does not keep a promise by having written nothing.

    Args:
        rows: minute and age of the oldest change then, in order of the minutes.
        target: the greatest age, in seconds, that keeps the promise.
        after: the last minute that does not count.
    """
    minutes = kept = 0
    last = after
    for minute, age in rows:
        if minute <= after:
            continue
        if age is not None and minute - last > 1:
            too_old_from = int((minute * SAMPLE_EVERY - age + target) // SAMPLE_EVERY)
            minutes += max(0, minute - 1 - max(last, too_old_from))
        minutes += 1
        kept += age is None or age <= target
        last = minute
    return Kept(minutes, kept)
