"""Facts that no single event tells: none of the events is ours, or their times are in a wrong unit.

Nothing is wrong with the service then, and nothing is lost, yet it may learn nothing for ever. So it tells people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from consumer.ledger.batch import Batch
from consumer.record_times import Unit
from consumer.settings import Settings
from schemas.log_events.event import LogEvent
from schemas.log_events.listener import NOTHING_IS_OURS, TIMES_IN_ANOTHER_UNIT

log = structlog.get_logger()

ENOUGH = 100
"""So many events without one of ours are no accident, unless many groups share the topic."""

_AGAIN = 3600.0  # seconds; in a shared topic such runs come and go


@dataclass(frozen=True, slots=True)
class Run:
    """Events of a topic, one after the other, none of which could be used."""

    ignored: Counter[str] = field(default_factory=Counter)
    """Events of others, by the reason."""
    dead: int = 0
    """Events that could not be understood."""
    last_reason: str = ""
    """Why the last of those could not."""

    @property
    def events(self) -> int:
        """How many there are."""
        return self.ignored.total() + self.dead

    def after(self, batch: Batch, topic: str) -> Run:
        """The run after this batch; an event of ours ends it."""
        ignored: Counter[str] = Counter()
        for (partition, reason), count in batch.ignored.items():
            if partition.topic == topic:
                ignored[reason] += count
        dead = [letter for letter in batch.dead if letter.position.topic == topic]
        read = sum(count for partition, count in batch.events.items() if partition.topic == topic)
        if read > ignored.total() + len(dead):
            return Run()
        return Run(self.ignored + ignored, self.dead + len(dead), dead[-1].reason if dead else self.last_reason)


def about_run(run: Run, topic: str, group: str) -> str | None:
    """The notice about a run, once it is long enough; else None."""
    if run.events < ENOUGH:
        return None
    none = f"none of the last {run.events:,} events of topic {topic}"
    why = ", ".join(f"{reason}: {count:,}" for reason, count in run.ignored.most_common())
    if not run.dead:
        notice = f"{none} is of {group} ({why})"
        return f"{notice}; see whether group and topic are the right ones, `retrainer doctor` names what comes"
    if not run.ignored:
        notice = f"{none} can be understood, the last because: {run.last_reason}"
        return f"{notice}; see RETRAINER_KAFKA__SOURCE, RETRAINER_KAFKA__TOPIC and `retrainer dead-letters list`"
    notice = f"{none} is of {group}: {run.dead:,} cannot be understood, {why}"
    return f"{notice}; see whether group, topic and RETRAINER_KAFKA__SOURCE are the right ones"


def groups_of(settings: Settings) -> dict[str, str]:
    """The groups that each topic is read for, in words, with the settings that name them."""
    users, labels = settings.feature_group, settings.labels
    groups = {settings.kafka.topic: f"{users.name}, version {users.version} (RETRAINER_FEATURE_GROUP__…)"}
    if labels is None:
        return groups
    topic, named = settings.kafka.label_topic, f"{labels.name}, version {labels.version} (RETRAINER_LABELS__…)"
    if topic not in (None, settings.kafka.topic):
        return {**groups, topic: named}
    return {name: f"{user_group} or {named}" for name, user_group in groups.items()}


def about_units(units: Mapping[tuple[str, Unit], int]) -> str | None:
    """The notice about record times in another unit than milliseconds; `units` has their number by topic and unit."""
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
    """Follows what is stored. A notice is in the log when it begins, and in `current` while it lasts.

    Args:
        groups: the groups of each topic, as `groups_of` has them.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, groups: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._groups = groups
        self._clock = clock
        self._runs = {topic: Run() for topic in groups}
        self._units: Counter[tuple[str, Unit]] = Counter()
        self._logged: dict[tuple[LogEvent, str], float] = {}

    @property
    def current(self) -> tuple[str, ...]:
        """The notices of now."""
        return tuple(self._by_event().values())

    def stored(self, batch: Batch) -> None:
        """This batch is in the ledger now."""
        self._runs = {topic: run.after(batch, topic) for topic, run in self._runs.items()}
        odd, read = {topic for topic, _ in batch.units}, {partition.topic for partition in batch.events}
        for topic, unit in [*self._units]:
            if topic in read - odd:  # its producer has mended it
                del self._units[topic, unit]
        self._units.update(batch.units)
        self._log()

    def _by_event(self) -> dict[tuple[LogEvent, str], str]:
        """The notices, by the event in the log and the topic."""
        found = {
            (NOTHING_IS_OURS, topic): about_run(run, topic, self._groups[topic]) for topic, run in self._runs.items()
        }
        found[TIMES_IN_ANOTHER_UNIT, ""] = about_units(self._units)
        return {what: notice for what, notice in found.items() if notice is not None}

    def _log(self) -> None:
        now = self._clock()
        for what, notice in self._by_event().items():
            if not 0 <= now - self._logged.get(what, float("-inf")) < _AGAIN:
                self._logged[what] = now
                event, _ = what
                log.warning(NOTHING_IS_OURS if event == NOTHING_IS_OURS else TIMES_IN_ANOTHER_UNIT, reason=notice)
