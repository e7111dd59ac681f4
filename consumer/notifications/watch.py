"""Looks every few seconds what is wrong and what has happened, and writes what is to be told into the ledger.

All of one look is written in one transaction, each step as a compare-and-set. So a crash loses nothing and tells
nothing twice, and neither does a second instance.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.clock import Ages, Clock
from consumer.configuration.notifications import NotificationSettings
from consumer.ledger.outbox import Waiting
from consumer.ledger.watching.alerts import OnRecord
from consumer.ledger.watching.notifications import REFUSALS, Channel, Found, Notifications, Writing
from consumer.listener.ledger_backoff import in_short
from consumer.notifications.aloud import Aloud
from consumer.notifications.conditions import Condition, Limits, Seen, conditions, trouble_of
from consumer.notifications.facts import Facts, Looking
from consumer.notifications.policy import Judged, Memory, Rules, Sorted, Step, judge, sort_news
from consumer.notifications.wording import Wording, with_more
from consumer.trouble import Trouble
from schemas.log_events.notifications import ALERT_BEGINS, ALERT_OVER, WATCH_TROUBLE, WATCH_WORKS
from schemas.watching.notifications import AlertName, Notification

log = structlog.get_logger()

_EVERY = 5.0
_TRIM_EVERY = 600.0
_STALE = 86_400.0  # seconds beyond `repeat` after which news are no news any more
_NAMES = frozenset(name.value for name in AlertName)


class Watch:
    """Watches for one instance.

    Args:
        settings: whom to tell what, and how often.
        limits: from when on something is wrong.
        notifications: of the ledger.
        looking: gathers the facts.
        wording: makes the messages.
        channels: those that are set.
        aloud: tells trouble of the ledger without the ledger.
        clock: the time.
    """

    def __init__(
        self,
        settings: NotificationSettings,
        limits: Limits,
        notifications: Notifications,
        looking: Looking,
        wording: Wording,
        channels: Sequence[Channel],
        aloud: Aloud,
        clock: Clock,
    ) -> None:
        self._wanted = frozenset(settings.events)
        self._rules = Rules(settings.settle, settings.repeat, settings.per_hour)
        self._limits = limits
        self._notifications = notifications
        self._looking = looking
        self._wording = wording
        self._channels = channels
        self._aloud = aloud
        self._clock = clock
        self._ages = Ages(clock)
        self._memory = Memory()
        self._known: dict[str, OnRecord] = {}
        self._failed: str | None = None
        self._trouble = Trouble(WATCH_TROUBLE, WATCH_WORKS, clock.elapsed)
        self._trim_at = clock.elapsed() + _TRIM_EVERY
        self.works = False
        """Whether the service reads its topic and its ledger works, as far as the last look has found."""

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping`; what was seen before the start counts for nothing."""
        self._memory, self._failed = Memory(), None
        self._looking.begin()
        while not stopping.is_set():
            self.turn()
            stopping.wait(min(_EVERY, max(0.2, self._rules.settle / 4)))

    def turn(self) -> None:
        """Look once."""
        facts = self._looking.look()
        seen = conditions(facts, self._limits)
        sick = (AlertName.TROUBLE, AlertName.STALLED)
        self.works = facts.status is not None and all(seen.get(name) is None for name in sick)
        if self._failed is not None and seen.get(AlertName.TROUBLE) is None:
            seen[AlertName.TROUBLE] = trouble_of(self._failed)
        try:
            self._write(facts, seen)
        except DBAPIError as error:
            self._failed = in_short(error)
            self._trouble.met(self._failed)
            self._without_ledger(seen.get(AlertName.TROUBLE) or trouble_of(self._failed), facts.now)
        else:
            self._failed = None
            self._trouble.over()

    def _write(self, facts: Facts, seen: Seen) -> None:
        now = facts.now
        found = self._notifications.find(now, now - self._rules.repeat - _STALE)
        self._known = found.alerts
        steps = self._judged(seen, found.alerts)
        news = self._sorted(found)
        room = max(0, self._rules.per_hour - found.told_lately)
        with self._notifications.writing(now, self._channels) as writing:
            writing.open()
            self._aloud.put_on_record(writing)
            telling = _Telling(writing, self._wording, now, room, waiting=_count(steps, news))
            for step, name in steps:
                telling.alert(step, name, seen.get(name), found.alerts.get(name), self._since(name, now))
            telling.news(news, found)
            for record in found.alerts.values():
                if record.name not in self._wanted:  # people have said that they want to hear no more of it
                    writing.end(record, None)
        self._aloud.is_on_record()
        for name, since in telling.began:
            log.warning(ALERT_BEGINS, alert=name.value, reason=since)
        for name, lasted in telling.ended:
            log.info(ALERT_OVER, alert=name.value, after_s=round(lasted, 1))
        if self._clock.elapsed() >= self._trim_at:
            self._notifications.trim(self._channels)
            self._trim_at = self._clock.elapsed() + _TRIM_EVERY

    def _judged(self, seen: Seen, record: Mapping[str, OnRecord]) -> Judged:
        """The steps of alerts that people want to hear of, by the clock that nobody sets."""
        told = {AlertName(name): one.told_at for name, one in record.items() if name in _NAMES}
        self._ages.see(one.told_at for one in record.values())
        moments = {name: moment for name, at in told.items() if (moment := self._ages.moment(at)) is not None}
        wrong = {name: condition is not None for name, condition in seen.items() if name.value in self._wanted}
        steps, self._memory = judge(self._rules, wrong, moments, self._memory, self._clock.elapsed())
        return steps

    def _sorted(self, found: Found) -> Sorted:
        row = found.alerts.get(REFUSALS)
        return sort_news(
            [(event.event_id, event.type) for event in found.news],
            wanted=self._wanted,
            row_told=None if row is None else self._ages.moment(row.told_at),
            repeat=self._rules.repeat,
            now=self._clock.elapsed(),
        )

    def _since(self, name: AlertName, now: float) -> float:
        """Since when something is wrong, in seconds since the epoch."""
        elapsed = self._clock.elapsed()
        return now - (elapsed - self._memory.wrong.get(name, elapsed))

    def _without_ledger(self, trouble: Condition, now: float) -> None:
        """Tell the trouble, and nothing else: of the rest nothing is known for sure."""
        name = AlertName.TROUBLE
        record = self._aloud.with_told(self._known)
        step = next((step for step, one in self._judged({name: trouble}, record) if one is name), None)
        since = self._since(name, now)
        if step is Step.BEGINS:
            self._aloud.tell(self._wording.begins(name, trouble, since, now), since, trouble.subject, now)
        elif step is Step.LASTS:
            seen = record[name.value]
            self._aloud.tell(self._wording.lasts(name, trouble, seen, now), seen.since, trouble.subject, now)


class _Telling:
    """What one look tells, as far as there is room for messages."""

    def __init__(self, writing: Writing, wording: Wording, now: float, room: int, *, waiting: int) -> None:
        self._writing = writing
        self._wording = wording
        self._now = now
        self._room = room
        self._waiting = waiting
        self.began: list[tuple[AlertName, str]] = []
        self.ended: list[tuple[AlertName, float]] = []

    def alert(
        self, step: Step, name: AlertName, condition: Condition | None, record: OnRecord | None, since: float
    ) -> None:
        """One step of an alert."""
        if step is Step.REPLACED and record is not None:
            self._writing.end(record, None)
        elif not self._has_room():
            return
        elif step is Step.BEGINS and condition is not None:
            alert = OnRecord(name.value, since, self._now, condition.subject)
            if self._writing.begin(alert, self._last(self._wording.begins(name, condition, since, self._now))):
                self.began.append((name, condition.subject))
        elif step is Step.LASTS and condition is not None and record is not None:
            message = self._last(self._wording.lasts(name, condition, record, self._now))
            self._writing.repeat(record, message, condition.subject)
        elif step is Step.OVER and record is not None:
            message = self._last(self._wording.over(name, record, self._now))
            if self._writing.end(record, message):
                self.ended.append((name, self._now - record.since))

    def news(self, news: Sorted, found: Found) -> None:
        """What happened to versions."""
        events = {event.event_id: event for event in found.news}
        row = found.alerts.get(REFUSALS)
        self._writing.settle(news.silent)
        if news.promotions.events and not self._has_room():
            return
        if news.promotions.events:
            self._writing.settle(
                news.promotions.events, lambda ours: self._last(self._wording.promotion(_of(events, ours), self._now))
            )
        if news.row_over and row is not None:
            self._writing.row_is_over(row)
            row = None
        if news.refusals.events and self._has_room():
            ours = self._writing.settle(
                news.refusals.events, lambda ours: self._last(self._wording.refusal(_of(events, ours), self._now))
            )
            if ours:
                self._writing.refusals_told(row, f"{len(ours)} refused")

    def _has_room(self) -> bool:
        """Whether another message may be told; it is counted."""
        self._waiting -= 1
        self._room -= 1
        return self._room >= 0

    def _last(self, message: Notification) -> Notification:
        """The message; the last one that there is room for has a word of those that wait."""
        return with_more(message, self._waiting if self._room == 0 else 0)


def _of(events: Mapping[str, Waiting], ids: Sequence[str]) -> list[Waiting]:
    return [events[one] for one in ids]


def _count(steps: Judged, news: Sorted) -> int:
    """How many messages there would be."""
    told = sum(step is not Step.REPLACED for step, _ in steps)
    return told + bool(news.promotions.events) + bool(news.refusals.events)
