"""What is known of the service: its own status, its ledger, and how it stands with the freshness promise."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from consumer.changes.portions import earliest
from consumer.clock import Clock
from consumer.database.engine import reading
from consumer.database.tables import cycles
from consumer.ledger.efforts import Failed, efforts
from consumer.ledger.ledger import Ledger
from consumer.ledger.views import Held
from consumer.listener.ledger_backoff import in_short
from consumer.listener.state import ListenerState
from consumer.settings import Settings
from consumer.status import Status, read_status
from schemas.cycle import Outcome

_SETTLING = [Outcome.REGISTERED.value, Outcome.UNCHANGED.value]


class Freshness(Protocol):
    """What is used of a verdict on the freshness promise."""

    @property
    def state(self) -> str:
        """`none`, `kept`, `at_risk` or `broken`."""

    @property
    def reason(self) -> str | None:
        """Why the promise is broken or at risk."""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the ledger tells."""

    held: Held | None = None
    failed: Failed | None = None
    open_letters: int = 0
    reading_paused: bool = False
    gaps: int = 0
    champion: int | None = None
    untried: int = 0
    """Pending changes that no cycle has tried."""
    unlearned_since: float | None = None
    """Since when changes wait for a version: seconds since the epoch; None where none do."""
    paused: bool = False
    hold: str | None = None
    events: int = 0
    """Read since the ledger began."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. What is not known is None."""

    now: float
    """Seconds since the epoch."""
    status: Status | None = None
    """As the main loop of this process wrote it last."""
    silent: float = 0.0
    """Seconds since the main loop wrote its status."""
    deaf: float = 0.0
    """Seconds since the listener polled."""
    ledger: LedgerFacts | None = None
    ledger_error: str | None = None
    freshness: Freshness | None = None
    reading_still: float = 0.0
    """Seconds for which nothing was read, though records wait and nothing pauses reading."""
    idle: float = 0.0
    """Seconds for which no cycle ran, though nothing held one back."""


class Looking:
    """Gathers the facts, and remembers since when nothing moves.

    Args:
        settings: of the service.
        ledger: of the service.
        clock: the time.
        freshness: the verdict at a time; None where nothing is promised.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        clock: Clock,
        freshness: Callable[[float], Freshness | None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._freshness = freshness
        self.begin()

    def begin(self) -> None:
        """Forget since when nothing moves."""
        self._events = -1
        self._began = self._read_at = self._busy_at = self._clock.elapsed()

    def look(self) -> Facts:
        """The facts of now. A ledger that cannot be read is one of them."""
        now, status = self._clock.now(), read_status(self._settings.status_file)
        if status is None or status.pid != os.getpid():  # of a service before this one
            facts = Facts(now)
        else:
            facts = Facts(now, status, status.silence(self._clock), self._deaf(status))
        try:
            found = ledger_facts(self._ledger, status, self._settings.trigger.max_full_per_day)
            facts = replace(facts, ledger=found, freshness=self._freshness(now))
        except DBAPIError as error:
            facts = replace(facts, ledger_error=in_short(error))
        return self._with_stillness(facts)

    def _deaf(self, status: Status) -> float:
        """Seconds since the listener polled; it has to poll the first time as soon as any other."""
        return status.deafness(self._clock) if status.polled_at else self._clock.elapsed() - self._began

    def _with_stillness(self, facts: Facts) -> Facts:
        elapsed, status, ledger = self._clock.elapsed(), facts.status, facts.ledger
        if status is None or ledger is None or not status.lag or ledger.reading_paused or ledger.events != self._events:
            self._read_at = elapsed
        if status is None or ledger is None or status.hold is not None or status.cycle is not None:
            self._busy_at = elapsed
        self._events = ledger.events if ledger is not None else -1
        return replace(facts, reading_still=elapsed - self._read_at, idle=elapsed - self._busy_at)


def ledger_facts(ledger: Ledger, status: Status | None, most_full: int) -> LedgerFacts:
    """What the ledger tells, in a few reads."""
    past, backlog, read = ledger.views.history(), ledger.views.backlog(), ledger.views.read()
    return LedgerFacts(
        held=past.held,
        failed=efforts(ledger.engine, (), most_full).failed,
        open_letters=read.open_letters,
        reading_paused=status is not None and status.state == ListenerState.TOO_MANY_DEAD_LETTERS,
        gaps=len(ledger.views.open_gaps()),
        champion=past.champion,
        untried=backlog.untried + backlog.untried_labels,
        unlearned_since=None if backlog.empty else earliest(backlog.oldest_change, _first_try(ledger)),
        paused=ledger.orders.paused() is not None,
        hold=status.hold if status is not None else None,
        events=read.events,
    )


def _first_try(ledger: Ledger) -> float | None:
    """When the first cycle began since the last one that settled its claim; None where there is none."""
    of = cycles.c
    settled = select(of.number).where(of.state.in_(_SETTLING)).order_by(of.number.desc()).limit(1)
    with reading(ledger.engine) as connection:
        last = connection.scalar(settled) or 0
        first: float | None = connection.scalar(select(func.min(of.claimed_at)).where(of.number > last))
    return first
