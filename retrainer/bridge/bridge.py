"""The loop of the bridge: look at the group's commits, compare where there are new ones, and survive failures.

Why nothing is lost:

- The commits are read before the snapshot starts, so a commit that comes in between is new at the next look.
- A user is marked before its event is sent; its hash is stored after the event was acknowledged; the commits are stored
  after all changes of their comparison.
- The topic is created after the first comparison, see `beginning.py`.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from kafka.errors import KafkaError

from consumer.clock import Clock
from consumer.configuration.bridge import BridgeSettings
from retrainer.bridge.beginning import Beginning
from retrainer.bridge.comparison import Compared, Comparison, Publish
from retrainer.bridge.errors import BridgeError, HeldBack, Stopped
from retrainer.bridge.orders import DELETES_HELD_BACK, Orders
from retrainer.bridge.ports import Commits, Link
from retrainer.bridge.state import BridgeState, Progress
from schemas.events import key_columns
from schemas.labels import LabelGroup
from schemas.log_events.bridge import (
    BASELINE_TAKEN,
    BRIDGE_RECOVERED,
    BRIDGE_TROUBLE,
    COMPARED,
    DELETES_HELD,
    FIRST_COMPARISON,
    NO_COMMITS,
    NOBODY_IN_SNAPSHOT,
    ROWS_WITHOUT_KEY,
)
from stores.errors import ContractError, NotThere, Refused, StoreError

log = structlog.get_logger()

_LONGEST_WAIT = 60.0
_LONGEST_HOLD = 900.0
_TROUBLE = (StoreError, KafkaError, sqlite3.Error, OSError)


@dataclass(slots=True)
class _Hold:
    """After held deletes the comparison with the same commits is repeated, but not every time."""

    commits: Commits
    wait: float
    until: float


class Bridge:
    """The bridge of one group, for one thread.

    Args:
        settings: of the bridge.
        state: the memory of the bridge about the group.
        connect: makes the connections; called again after a failure, or when the group is gone.
        orders: decisions of a person for this start.
        stopping: ends the loop.
        clock: for waits, and for the time of the last comparison.
        moved: called at each progress.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        state: BridgeState,
        connect: Callable[[], Link],
        orders: Orders,
        stopping: threading.Event,
        clock: Clock | None = None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._connect = connect
        self._beginning = Beginning(state, orders)
        self._stopping = stopping
        self._clock = clock or Clock()
        self._moved = moved
        self._link: Link | None = None
        self._accepts = orders.accept_deletes
        self._hold: _Hold | None = None
        self._waits_for_commit = False

    def run(self) -> None:
        """Watch until stopped.

        Raises:
            BridgeError: a person has to decide or change something.
        """
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    self._look()
                    if failures:
                        log.info(BRIDGE_RECOVERED, failures=failures)
                    failures = 0
                    pause = self._settings.poll_interval
                except HeldBack as held:
                    pause = self._settings.poll_interval
                    log.error(DELETES_HELD, reason=str(held), what_to_do=DELETES_HELD_BACK)
                except _TROUBLE as error:
                    failures += 1
                    pause = min(_LONGEST_WAIT, 2.0**failures / 4)
                    log.warning(BRIDGE_TROUBLE, reason=_said(error), next_try_s=pause)
                self._stopping.wait(pause)
        except Stopped:
            pass
        finally:
            self._disconnect()

    def once(self) -> None:
        """Look once.

        Raises:
            BridgeError: the comparison failed or was held back.
        """
        try:
            self._look()
        except HeldBack as held:
            raise BridgeError(f"deletes held back: {held}: {DELETES_HELD_BACK}") from None
        except _TROUBLE as error:
            raise BridgeError(_said(error)) from error
        except Stopped:
            raise BridgeError("interrupted; what was found so far is kept") from None
        finally:
            self._disconnect()

    def _look(self) -> None:
        """Look at the commits, and compare if there are new ones."""
        try:
            self._look_by(self._link or self._connected())
        except KafkaError:
            self._beginning.look_again()
            raise
        except NotThere:
            self._disconnect()
            raise

    def _look_by(self, link: Link) -> None:
        commits = link.commits.recent()
        if not commits:
            self._tell_waiting()
            return
        progress = self._beginning.progress(link.topic)
        if progress.commits is None:
            self._compare_first(link, commits, progress)
        elif self._is_due(commits, progress):
            self._compare(link, commits, progress)

    def _connected(self) -> Link:
        link = self._connect()
        try:
            link.store.check_contract()
            link.commits.recent()
        except (ContractError, Refused) as error:
            link.close()
            raise BridgeError(str(error)) from None
        except BaseException:
            link.close()
            raise
        self._link = link
        return link

    def _compare_first(self, link: Link, commits: Commits, progress: Progress) -> None:
        """The first comparison, where every user is new: published if ordered, else only stored."""
        log.info(FIRST_COMPARISON, commit=commits[0], publishes=progress.publishes)
        publish = self._publish(link, commits) if progress.publishes else None
        found = self._run(link, commits, publish, math.inf)
        if found.users == 0:
            log.warning(NOBODY_IN_SNAPSHOT, commit=commits[0])
        log.info(BASELINE_TAKEN, commit=commits[0], **_counted(link, found), seconds=round(found.seconds, 1))
        self._beginning.have_topic(link.topic, first=True)

    def _compare(self, link: Link, commits: Commits, progress: Progress) -> None:
        try:
            found = self._run(link, commits, self._publish(link, commits), self._believed(progress))
        except HeldBack:
            wait = min(_LONGEST_HOLD, 2 * (self._hold.wait if self._hold else self._settings.poll_interval))
            self._hold = _Hold(commits, wait, self._clock.elapsed() + wait)
            raise
        self._hold = None
        self._accepts = False
        log.info(
            COMPARED,
            commit=commits[0],
            **_counted(link, found),
            changed=found.upserted,
            deleted=found.deleted,
            seconds=round(found.seconds, 1),
        )

    def _run(self, link: Link, commits: Commits, publish: Publish | None, max_deleted: float) -> Compared:
        comparison = Comparison(self._state, link.group, publish, self._settings.chunk, self._step)
        found = comparison.run(link.store, max_deleted)
        self._state.compared(commits, self._clock.now())
        if found.keyless:
            log.warning(ROWS_WITHOUT_KEY, rows=found.keyless, key=", ".join(key_columns(link.group)))
        return found

    def _believed(self, progress: Progress) -> float:
        """The largest plausible number of deletes, from the last complete comparison, which no repetition changes."""
        share = self._settings.max_deleted_share
        if self._accepts or share == 1:
            return math.inf
        return share * (progress.users or self._state.count())

    def _is_due(self, commits: Commits, progress: Progress) -> bool:
        """Whether commits came or went, or the last comparison was long ago."""
        if self._hold is not None and self._hold.commits == commits:
            return self._clock.elapsed() >= self._hold.until
        longest = self._settings.recompare_after
        age = abs(self._clock.now() - progress.compared_at)  # a time in the future comes from a clock that was set back
        return commits != progress.commits or (longest > 0 and age >= longest)

    def _publish(self, link: Link, commits: Commits) -> Publish:
        return lambda changes: link.topic.publish(changes, commits[0])

    def _step(self) -> None:
        self._moved()
        if self._stopping.is_set():
            raise Stopped

    def _tell_waiting(self) -> None:
        if not self._waits_for_commit:
            log.info(NO_COMMITS)
            self._waits_for_commit = True

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _counted(link: Link, found: Compared) -> dict[str, int]:
    return {"labels" if isinstance(link.group, LabelGroup) else "users": found.users}


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
