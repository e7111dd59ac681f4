"""Flat, or not: what may grow in a long run, by how much, and what may not.

A run is cut into quarters. The first is warming up; the last is held against the second. Medians are compared, of
moments between cycles while the broker was there, so that neither a cycle in flight nor a catch-up after an absence
decides. What the ledger keeps on record grows by its rows and has to; everything beside those rows has to stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import linear_regression

from tests.soak.answering import of_watched
from tests.soak.check import MIB, Check, compared, counted, in_mib, middle
from tests.soak.recording import Moment, Recording, Trainer

LONG_ENOUGH = 30.0
"""Minutes under which nothing is said about growth."""

CONSUMER_ROOM, TRAINER_ROOM, LEDGER_ROOM, WAL_ROOM, WORK_ROOM = 5 * MIB, 32 * MIB, MIB // 8, MIB, MIB
"""Growth from the second quarter to the last that is allowed: a share, or so much where that is more."""
LARGEST = 120_000_000
"""Bytes that the consumer never reaches: 120 MB, of a million bytes each."""
SLOPE = 1 * MIB
"""Growth of the consumer in an hour, over the second half, that is allowed."""
FREE_ROOM = MIB
"""Growth of the ledger's free pages that is allowed: what waited takes room for a moment, which is used again."""
HANDLES, THREADS, FILES = 2, 1, 1
RECORDS = ("cycles", "versions", "promotions", "dead_letters", "learned")
"""Tables that keep something on record: a row for each decision, dead letter, and user learned in the last week."""
ROW_ROOM = 0.25
"""How much more a cycle may take in the ledger in the last quarter than in the second."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a run."""

    checks: tuple[Check, ...]
    long_enough: bool

    def check(self, name: str) -> Check | None:
        """The check of this name; None in a run that was too short for any."""
        return next((check for check in self.checks if check.name == name), None)

    @property
    def word(self) -> str:
        """`flat`, `not flat`, or `too short to tell`."""
        if not self.long_enough:
            return "too short to tell"
        return "flat" if all(check.flat for check in self.checks) else "not flat"


def judge(recording: Recording) -> Verdict:
    """Every check over a run. A run that is too short for a verdict has its checks told all the same."""
    second, last = (_quarter(recording, number) for number in (1, 3))
    if not second or not last:
        return Verdict((), long_enough=False)
    growth = _Growth(second, last)
    checks = [
        Check("one consumer", len({moment.pid for moment in recording.moments}) == 1, "the same process all the time"),
        growth.of("consumer memory", lambda moment: moment.rss, CONSUMER_ROOM),
        _slope(recording),
        _small(recording),
        growth.count("consumer handles", lambda moment: moment.handles, HANDLES),
        growth.count("consumer threads", lambda moment: moment.threads, THREADS),
        growth.of("waiting trainer's memory", lambda moment: moment.waiting, TRAINER_ROOM),
        growth.count("waiting trainer's handles", lambda moment: moment.waiting_handles, HANDLES),
        compared("trainers' peak memory", *_trainers(recording, lambda one: one.peak), TRAINER_ROOM),
        counted("trainers' most handles", *_trainers(recording, lambda one: one.handles), HANDLES),
        growth.of("ledger beside its records", _beside_records, LEDGER_ROOM),
        growth.free("ledger's free pages", lambda moment: moment.free, FREE_ROOM),
        _a_cycle_in_the_ledger(second, last),
        growth.of("write-ahead log", lambda moment: moment.ledger_wal, WAL_ROOM),
        growth.of("trainers' folder", lambda moment: moment.work_bytes, WORK_ROOM),
        growth.count("files in the trainers' folder", lambda moment: moment.work_files, FILES),
        _goes_on(recording),
        *(of_watched(recording) if recording.watched else ()),
    ]
    return Verdict(tuple(checks), long_enough=recording.minutes >= LONG_ENOUGH)


def quarter(recording: Recording, number: int) -> tuple[Moment, ...]:
    """The moments of a quarter, counted from 0."""
    length = recording.seconds / 4
    return tuple(moment for moment in recording.moments if number * length <= moment.at < (number + 1) * length)


def slope(moments: Sequence[Moment], of: Callable[[Moment], float]) -> float:
    """Growth in an hour, by the least squares; 0 of fewer than two moments."""
    if len(moments) < 2:
        return 0.0
    return linear_regression([moment.at / 3600 for moment in moments], [of(moment) for moment in moments]).slope


def bytes_a_cycle(moments: Sequence[Moment]) -> float | None:
    """How many bytes the ledger took for each cycle between the first and the last of these; None without any."""
    rows = moments[-1].rows["cycles"] - moments[0].rows["cycles"]
    return (moments[-1].tables["cycles"] - moments[0].tables["cycles"]) / rows if rows else None


def second_half(recording: Recording) -> tuple[Moment, ...]:
    """The quiet moments of the second half."""
    return tuple(moment for number in (2, 3) for moment in _quarter(recording, number))


def _quarter(recording: Recording, number: int) -> tuple[Moment, ...]:
    return tuple(moment for moment in quarter(recording, number) if moment.quiet)


class _Growth:
    """From the second quarter to the last."""

    def __init__(self, second: Sequence[Moment], last: Sequence[Moment]) -> None:
        self._second, self._last = second, last

    def of(self, name: str, of: Callable[[Moment], int | None], room: int) -> Check:
        """Bytes that may grow by a share or by `room`, whichever is more."""
        return compared(name, *self._medians(of), room)

    def free(self, name: str, of: Callable[[Moment], int], room: int) -> Check:
        """Bytes that may be none at all, and may grow by `room`."""
        before, after = self._medians(of)
        return in_mib(name, before, after, before + room, flat=after <= before + room)

    def count(self, name: str, of: Callable[[Moment], int | None], room: int) -> Check:
        """A number of things that may differ by `room`."""
        return counted(name, *self._medians(of), room)

    def _medians(self, of: Callable[[Moment], int | None]) -> tuple[float, float]:
        return middle(of(moment) for moment in self._second), middle(of(moment) for moment in self._last)


def _slope(recording: Recording) -> Check:
    found = slope(second_half(recording), lambda moment: moment.rss)
    told = f"{found / MIB:+.2f} MiB an hour in the second half; at most {SLOPE / MIB:.0f} is flat"
    figures = {"an_hour": round(found / MIB, 3), "at_most": SLOPE / MIB}
    return Check("consumer memory, slope", found <= SLOPE, told, figures)


def _small(recording: Recording) -> Check:
    most = max(moment.rss for moment in recording.moments)
    told = f"{most / 1e6:.1f} MB at most, in catch-ups too; below {LARGEST / 1e6:.0f} MB (of a million bytes) is small"
    return Check(
        "consumer memory, most", most < LARGEST, told, {"most_mb": round(most / 1e6, 2), "below_mb": LARGEST / 1e6}
    )


def _trainers(recording: Recording, of: Callable[[Trainer], int]) -> tuple[float, float]:
    """The medians over the trainers that ended in the second quarter and in the last."""
    length = recording.seconds / 4
    found = [
        middle(of(one) for one in recording.trainers if number * length <= one.ended < (number + 1) * length)
        for number in (1, 3)
    ]
    return found[0], found[1]


def _beside_records(moment: Moment) -> int:
    """What the ledger takes for anything but records: work in progress, offsets. Free pages are judged apart, as they
    become fewer with every record and would hide what grows here."""
    return sum(size for table, size in moment.tables.items() if table not in RECORDS)


def _a_cycle_in_the_ledger(second: Sequence[Moment], last: Sequence[Moment]) -> Check:
    before, after = bytes_a_cycle(second), bytes_a_cycle(last)
    if before is None or after is None:
        return Check("ledger bytes a cycle", flat=False, told="no cycles in the second or in the last quarter")
    page = 4096 * 2 / max(1, last[-1].rows["cycles"] - last[0].rows["cycles"])
    allowed = before * (1 + ROW_ROOM) + page
    figures = {"before": round(before), "after": round(after), "at_most": round(allowed)}
    return Check("ledger bytes a cycle", after <= allowed, f"{before:,.0f} bytes, then {after:,.0f}", figures)


def _goes_on(recording: Recording) -> Check:
    since = 0.75 * recording.seconds
    settling = {"registered", "unchanged"}
    late = [cycle for cycle in recording.cycles if cycle.claimed >= since and cycle.outcome in settling]
    return Check("cycles go on", bool(late), f"{len(late)} cycles settled their users in the last quarter")
