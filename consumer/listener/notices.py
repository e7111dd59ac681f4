"""What the listener notices that no single event tells: none of the events is ours, or their times are in a wrong unit.

Nothing is wrong with the service then, and nothing is lost, yet it may learn nothing for ever. So somebody is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from consumer.ledger.batch import Batch
from consumer.record_times import Unit

log = structlog.get_logger()

ENOUGH = 100
"""So many events without one of ours are no accident; in a topic that many groups share they may be."""

_AGAIN = 3600.0  # seconds; in such a topic they come and go


@dataclass(frozen=True, slots=True)
class Run:
    """Events one after the other of which none could be used."""

    ignored: Counter[str] = field(default_factory=Counter)
    """Those of others, by the reason why they are."""
    dead: int = 0
    """Those that could not be understood."""
    last_reason: str = ""
    """Why the last one could not."""

    @property
    def events(self) -> int:
        """How many there are."""
        return self.ignored.total() + self.dead

    def after(self, batch: Batch) -> Run:
        """The run when this was read as well; an event of ours ends it."""
        if batch.users or batch.labels:
            return Run()
        ignored = Counter(self.ignored)
        for (_, reason), count in batch.ignored.items():
            ignored[reason] += count
        last = batch.dead[-1].reason if batch.dead else self.last_reason
        return replace(self, ignored=ignored, dead=self.dead + len(batch.dead), last_reason=last)


def about_run(run: Run, group: str) -> str | None:
    """What to tell of a run, once it is long enough."""
    if run.events < ENOUGH:
        return None
    why = ", ".join(f"{reason}: {count:,}" for reason, count in run.ignored.most_common())
    if not run.dead:
        said = f"none of the last {run.events:,} events is of {group} ({why})"
        return f"{said}; see RETRAINER_FEATURE_GROUP__… and RETRAINER_KAFKA__TOPIC, `retrainer doctor` names what comes"
    if not run.ignored:
        said = f"none of the last {run.events:,} events can be understood, the last because: {run.last_reason}"
        return f"{said}; see RETRAINER_KAFKA__SOURCE, RETRAINER_KAFKA__TOPIC and `retrainer dead-letters list`"
    return (
        f"none of the last {run.events:,} events is of {group}: {run.dead:,} cannot be understood, {why}; "
        "see RETRAINER_FEATURE_GROUP__…, RETRAINER_KAFKA__TOPIC and RETRAINER_KAFKA__SOURCE"
    )


def about_units(units: Mapping[tuple[str, Unit], int]) -> str | None:
    """What to tell of record times that are in another unit than milliseconds; by topic, how many."""
    if not units:
        return None
    (topic, unit), count = max(units.items(), key=lambda one: one[1])
    deleted = "deleted too soon" if unit == "seconds" else "kept for ever"
    return (
        f"{count:,} records of topic {topic} have times in {unit}, not in milliseconds as Kafka has them; here they "
        f"are read as {unit}, but the broker takes them for milliseconds, so they are {deleted} where time decides: "
        "have the producer write milliseconds, or set message.timestamp.type=LogAppendTime for the topic"
    )


class Notices:
    """Follows what is stored, and tells it: in the log when it begins, and to whoever asks while it lasts.

    Args:
        group: the group that is listened to, for people.
        clock: seconds since the epoch.
    """

    def __init__(self, group: str, clock: Callable[[], float]) -> None:
        self._group = group
        self._clock = clock
        self._run = Run()
        self._units: Counter[tuple[str, Unit]] = Counter()
        self._logged: dict[str, float] = {}

    @property
    def told(self) -> tuple[str, ...]:
        """What there is to tell now."""
        found = (about_run(self._run, self._group), about_units(self._units))
        return tuple(one for one in found if one is not None)

    def stored(self, batch: Batch) -> None:
        """These are in the ledger now."""
        self._run = self._run.after(batch)
        odd, read = {topic for topic, _ in batch.units}, {partition.topic for partition in batch.events}
        for topic, unit in [*self._units]:
            if topic in read - odd:  # whoever writes it has mended it
                del self._units[topic, unit]
        self._units.update(batch.units)
        self._log("nothing that comes is ours", about_run(self._run, self._group))
        self._log("record times are in another unit", about_units(self._units))

    def _log(self, what: str, told: str | None) -> None:
        now = self._clock()
        if told is not None and not 0 <= now - self._logged.get(what, float("-inf")) < _AGAIN:
            self._logged[what] = now
            log.warning(what, reason=told)
