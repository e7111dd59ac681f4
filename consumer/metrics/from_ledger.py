"""What the ledger says, put into a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumer.cycles.runner_report import LIVE
from consumer.cycles.training_budget import at_work, spent
from consumer.freshness.now import freshness_now
from consumer.freshness.verdict import FreshnessState, Verdict
from consumer.ledger.efforts import efforts
from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Channel
from consumer.ledger.views import Backlog, History
from consumer.ledger.watching.figures import OPEN, Figures, SlowFigures, figures, slow_figures
from consumer.ledger.watching.unlearned import Waiting
from consumer.metrics import ledger_metrics as of
from consumer.metrics.cycle_tally import CycleTally
from consumer.metrics.readings import Readings
from consumer.model_events.followers import channels_of
from consumer.notifications.channels import channels_of as notified_by
from consumer.settings import Settings
from schemas.cycle import CycleKind


@dataclass(frozen=True, slots=True)
class Slow:
    """What is read once a minute."""

    figures: SlowFigures
    gaps: int


def slow(ledger: Ledger) -> Slow:
    """Read what takes as long as there are rows."""
    return Slow(slow_figures(ledger.engine), len(ledger.views.open_gaps()))


class LedgerPart:
    """The part of a page that is the ledger's. Not safe to use from several threads at once."""

    def __init__(
        self, settings: Settings, ledger: Callable[[], Ledger], clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._channels = channels_of(settings)
        self._ledger = ledger
        self._clock = clock
        self._tally = CycleTally(clock())

    def read(self) -> Readings:
        """Read the ledger.

        Raises:
            DBAPIError, LedgerError: the ledger does not answer.
        """
        ledger, now, into = self._ledger(), self._clock(), Readings()
        self._tally.follow(ledger.engine)
        past = ledger.views.history()
        _tell_changes(into, ledger.unlearned.now(), ledger.views.backlog(), figures(ledger.engine), now)
        _tell_freshness(into, freshness_now(self._settings, ledger, now))
        _tell_cycles(into, past, ledger.views.running(), efforts(ledger.engine, (), 0).failed)
        standing = ledger.orders.standing(now)
        into.put(of.PAUSED, standing.pause is not None)
        into.put(of.PINNED, standing.pin is not None)
        into.put(of.INSTANCES, len(ledger.instances.heard_within(LIVE)))
        for channel in self._channels:
            into.put(of.EVENTS_WAITING, ledger.outbox.count_waiting(channel), channel=channel)
        if Channel.WEBHOOK in self._channels:
            into.put(of.EVENTS_GIVEN_UP, ledger.outbox.given_up().events)
        self._tell_training(into, now)
        for told in notified_by(self._settings.notifications):
            into.put(of.MESSAGES_WAITING, ledger.notifications.count_waiting(told), channel=told)
            into.put(of.MESSAGES_FAILING, ledger.notifications.trouble(told) is not None, channel=told)
        self._tally.tell(into, ledger.engine, past.champion, past.held.cycle_id if past.held else None)
        return into

    def _tell_training(self, into: Readings, now: float) -> None:
        ran = self._ledger().training.ran(now)
        into.put(of.TRAINING, spent(at_work(ran, self._settings.trainer.timeout, now), now))
        if (minutes := self._settings.trigger.training_minutes_a_day) is not None:
            into.put(of.TRAINING_BUDGET, minutes * 60)


def tell_slow(into: Readings, found: Slow) -> None:
    """Put what is read once a minute into a page."""
    seen = found.figures
    for status, count in seen.settled_letters.items():
        into.put(of.DEAD_LETTERS, count, status=status)
    into.put(of.REFUSED, seen.refused_users, what="users")
    into.put(of.REFUSED, seen.refused_labels, what="labels")
    into.put(of.VERSIONS, seen.kept_versions, state="kept")
    into.put(of.VERSIONS, seen.deleted_versions, state="deleted")
    into.put(of.LEDGER_BYTES, seen.bytes)
    into.put(of.GAPS, found.gaps)


def _tell_changes(into: Readings, waiting: Waiting, backlog: Backlog, seen: Figures, now: float) -> None:
    into.put(of.OLDEST, 0.0 if waiting.oldest is None else max(0.0, now - waiting.oldest))
    into.put(of.PENDING, waiting.users, what="users")
    into.put(of.PENDING, waiting.labels, what="labels")
    into.put(of.UNTRIED, backlog.untried, what="users")
    into.put(of.UNTRIED, backlog.untried_labels, what="labels")
    into.put(of.EVENTS, seen.events)
    for reason in of.IGNORED_REASONS:
        into.put(of.IGNORED, 0, reason=reason)
    for reason, count in seen.ignored.items():
        into.put(of.IGNORED, count, reason=reason)
    into.put(of.DEAD_LETTERS, seen.open_letters, status=OPEN)
    into.put(of.LAST_VERSION_AT, seen.last_version_at)


def _tell_freshness(into: Readings, verdict: Verdict) -> None:
    for state in FreshnessState:
        into.put(of.FRESHNESS, verdict.state is state, state=state)
    into.put(of.FRESHNESS_TARGET, verdict.target)
    into.put(of.FRESHNESS_FORECAST, verdict.learned_in)
    into.put(of.FRESHNESS_KEPT, verdict.kept_day, window="day")
    into.put(of.FRESHNESS_KEPT, verdict.kept_week, window="week")
    into.put(of.FRESHNESS_OBJECTIVE, verdict.objective)
    into.put(of.FRESHNESS_BUDGET, verdict.error_budget_left)


def _tell_cycles(into: Readings, past: History, running: dict[str, Any] | None, failed: Any) -> None:
    if past.champion is not None:
        into.put(of.CHAMPION, 1, version=past.champion)
    for kind in CycleKind:
        into.put(of.RUNNING, running is not None and running["kind"] == kind, kind=kind)
    into.put(of.ATTEMPTS, running["attempts"] if running else 0)
    into.put(of.FAILED_IN_A_ROW, failed.in_a_row if failed else 0)
    into.put(of.REJECTED_IN_A_ROW, past.rejections_in_a_row)
    into.put(of.LAST_CYCLE_AT, past.last_end)
    into.put(of.KNOWN, past.known_users, what="users")
    into.put(of.KNOWN, past.known_labels, what="labels")
