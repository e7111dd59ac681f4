"""The simulator: fills the local feature store, commits waves of changes, and relays the change events to Kafka.

It may be killed at any moment. A commit is one transaction, an outbox keeps what is not acknowledged, and a file beside
the store counts committed waves: as an audience has the same story every time, those are passed over after
a restart. Killed between a commit and its count, or between the labels of a wave and its rows, it repeats that wave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from kafka.errors import KafkaConfigurationError, KafkaError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, retry_if_not_exception_type, wait_exponential

from consumer.deadline import Deadline
from retrainer.demo.errors import DemoUsageError
from retrainer.demo.waves import Audience, Committed, Row, Wave
from schemas.labels import PairKey
from schemas.log_events.bridge import NO_MORE_WAVES, WAITING_FOR_KAFKA

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where the listeners' features are kept."""

    def commit(self, upserts: Mapping[str, Row], deletes: Iterable[str] = ()) -> None:
        """Write rows and remove others."""

    def count(self) -> int:
        """How many listeners there are."""


class Publisher(Protocol):
    """What brings the store's change events to Kafka."""

    def publish(self) -> int:
        """Publish all that waits; returns how many events that was."""


class Follows(Publisher, Protocol):
    """Where it is kept who follows whom."""

    def commit(self, follows: Iterable[PairKey], unfollows: Iterable[PairKey] = ()) -> None:
        """Write labels and remove others."""


class Simulator:
    """Commits one wave after another and publishes the change events.

    Args:
        source: the audience.
        store: of their features.
        relay: publishes its events.
        place: the file that counts the waves.
        follows: of their labels; without it there are none.
        deadline: how long Kafka is waited for each time; for ever without it.
    """

    def __init__(
        self,
        source: Audience,
        store: Store,
        relay: Publisher,
        place: Path,
        follows: Follows | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._relay = relay
        self._place = place
        self._follows = follows
        self._deadline = deadline
        self._number = 0
        self._waves: Iterator[Wave] = iter(())

    def begin(self) -> Committed:
        """Fill the store if it is empty, otherwise go on where an earlier simulator ended."""
        self._store.commit({}, ())  # makes a store that is not there
        if self._follows is not None:
            self._follows.commit((), ())
        if self._store.count() == 0:
            wave = self._source.initial()
            self._waves = self._source.waves()
            self._commit(wave, number=0)
            return self._published(wave)
        self._number = int(self._place.read_text()) if self._place.exists() else 0
        self._waves = self._source.waves()
        for _ in range(self._number):
            next(self._waves, None)
        return self._published(Wave(f"found {self._store.count():,} listeners, after wave {self._number}"))

    def advance(self) -> Committed | None:
        """Commit and publish the next wave; None when the source has no more."""
        wave = next(self._waves, None)
        if wave is None:
            return None
        self._commit(wave, self._number + 1)
        return self._published(wave)

    def _commit(self, wave: Wave, number: int) -> None:
        if self._follows is not None:  # first, as a store that has no users is filled again
            self._follows.commit(wave.follows, wave.unfollows)
        self._store.commit(wave.upserts, wave.deletes)
        beside = self._place.with_name(self._place.name + ".new")
        beside.write_text(str(number))
        beside.replace(self._place)
        self._number = number

    def _published(self, wave: Wave) -> Committed:
        events = patiently(self._relay.publish, self._deadline)
        if self._follows is not None:
            events += patiently(self._follows.publish, self._deadline)
        return Committed(
            wave=self._number,
            title=wave.title,
            changed=wave.changed,
            new=wave.newcomers,
            deleted=len(wave.deletes),
            users=self._store.count(),
            events=events,
            follows=len(wave.follows),
            unfollows=len(wave.unfollows),
        )


def run(simulator: Simulator, ticks: Iterable[object], report: Callable[[Committed], None]) -> None:
    """Begin, then commit one wave a tick until the ticks or the waves end; `report` is called after each."""
    report(simulator.begin())
    for _ in ticks:
        if (committed := simulator.advance()) is None:
            log.info(NO_MORE_WAVES)
            return
        report(committed)


def every(seconds: float, times: int = 0) -> Iterator[None]:
    """Ticks at an interval, the first after one interval; `times` of them, or for ever where that is 0."""
    ticked = 0
    while times == 0 or ticked < times:
        time.sleep(seconds)
        yield
        ticked += 1


def patiently(attempt: Callable[[], T], deadline: Deadline | None = None) -> T:
    """Try until Kafka takes part, waiting longer from time to time, up to half a minute; with a deadline, until then.

    Raises:
        TimedOut: Kafka has not taken part for too long.
        DemoUsageError: the client refuses its settings, which no waiting mends.
    """
    deadline = deadline or Deadline(0)
    deadline.moved()
    retrying = Retrying(
        retry=retry_if_exception_type(KafkaError) & retry_if_not_exception_type(KafkaConfigurationError),
        wait=lambda state: min(_LONGER(state), deadline.left),
        before_sleep=lambda state: _say(state, deadline),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except KafkaConfigurationError as error:
        raise DemoUsageError(f"the Kafka client refuses its settings: {error}") from error


_LONGER = wait_exponential(multiplier=0.5, max=30)


def _say(state: RetryCallState, deadline: Deadline) -> None:
    error = state.outcome.exception() if state.outcome else None
    deadline.check(f"Kafka did not answer ({error})")
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning(WAITING_FOR_KAFKA, reason=str(error), next_try_s=round(wait, 1))
