"""One poll, and what its errors mean."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from kafka.errors import (
    CorruptRecordError,
    InconsistentGroupProtocolError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from consumer.errors import OutsideGroup
from consumer.kafka.ports import GroupConsumer, Polled
from consumer.listener.assignment import RETRY_AFTER
from consumer.listener.gaps import Gaps
from schemas.log_events.listener import POLL_FAILED, POLLING_AGAIN

log = structlog.get_logger()

_OTHERS = (
    "the members of the consumer group do not let this one in: they are no instances of this ledger, or have another "
    "RETRAINER_KAFKA__ASSIGNMENT; give each ledger a group of its own by RETRAINER_KAFKA__GROUP_ID"
)
_POLL_MS = 500
_GIVEN_UP_AFTER = 30
"""Failed polls in a row, a second each."""
_WELL_AFTER = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0  # shorter than the patience of the health check


class Polling:
    """Polls the client of the moment, and says how long to pause before there is another.

    A client that has not got into its group, or back into it, for `patience` seconds is given up. For it waits for the
    answer to its JoinGroup as long as a rebalance may take, max_poll_interval_ms and 5 s more, and sends no heartbeat
    then: a coordinator that hangs in the middle of a rebalance would go unnoticed for five minutes.

    Args:
        gaps: hears of records that cannot be had.
        clock: seconds, of a clock that nobody sets.
        stopping: ends the pauses between failed polls.
        patience: seconds.
    """

    def __init__(self, gaps: Gaps, clock: Callable[[], float], stopping: threading.Event, patience: float) -> None:
        self.trouble: str | None = None
        """Why the last poll failed."""
        self._gaps = gaps
        self._clock = clock
        self._stopping = stopping
        self._failed = 0
        self._began_at = 0.0
        self._patience = patience
        self._member_at = 0.0
        self._pause = _FIRST_PAUSE

    def begin(self) -> None:
        """There is a new client."""
        self.trouble, self._failed, self._began_at = None, 0, self._clock()
        self._member_at = self._began_at

    def pause(self) -> float:
        """Seconds until another client is connected: longer each time, unless the last one was well for a while."""
        if self._clock() - self._began_at > _WELL_AFTER:
            self._pause = _FIRST_PAUSE
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    def poll(self, consumer: GroupConsumer) -> Polled | None:
        """The records that the broker gave.

        Returns:
            None where the client raised: it may have moved on over records that it did not give.

        Raises:
            LogTruncationError: a log is not the one that was read.
            KafkaError: polls have failed for so long that another client should try.
            OutsideGroup: the client has not been in the group for long.
            Exception: anything, from a client that has lost its way.
        """
        found: Polled | None
        try:
            found = consumer.poll(timeout_ms=_POLL_MS)
        except NoOffsetForPartitionError:
            found = None  # a group without commits; the ledger says where to begin
        except OffsetOutOfRangeError as error:
            self._gaps.lost(error.args[0])
            return None
        except CorruptRecordError:
            self._gaps.pass_over_corrupt(consumer)
            return {}  # every partition was put where the ledger stands
        except LogTruncationError:
            raise
        except KafkaError as error:
            self._fail(error)
            return None
        member = consumer.is_member()
        if self.trouble != _OTHERS or member:  # a refused client polls in vain until it is let in
            if self.trouble:
                log.info(POLLING_AGAIN)
            self.trouble, self._failed = None, 0
        self._look_for_group(member=member)
        return found

    def _look_for_group(self, *, member: bool) -> None:
        now = self._clock()
        if member:
            self._member_at = now
        elif now - self._member_at > self._patience:
            raise OutsideGroup(f"the client has not been in its group for {now - self._member_at:.0f} s")

    def _fail(self, error: KafkaError) -> None:
        reason = _OTHERS if isinstance(error, InconsistentGroupProtocolError) else str(error) or type(error).__name__
        if reason != self.trouble:
            log.warning(POLL_FAILED, reason=reason)
        self.trouble = reason
        self._failed += 1
        if self._failed > _GIVEN_UP_AFTER:
            raise error
        self._stopping.wait(RETRY_AFTER)
