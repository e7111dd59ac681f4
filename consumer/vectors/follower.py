"""Publishes vectors after a promotion, and after each cycle that settles changes, in a thread of its own.

It compares the stamp of the published set with the ledger, so whatever is killed on the way is made good. It waits for
a moment without a cycle, but not for ever, as cycles may follow each other closely; its process has a low priority, and
takes no lock that a trainer waits for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from consumer.ledger.cycles import Base
from consumer.routine import Routine
from consumer.settings import Settings
from consumer.trouble import Trouble
from consumer.vectors.following import is_due, note_trouble, place_of
from consumer.vectors.process import VectorsProcess, request_of
from schemas.jobs.vectors import VectorsRequest, VectorStamp, current_set, holds_removed, is_pushed, stamp_of
from schemas.log_events.service import VECTORS_NOT_PUBLISHED, VECTORS_PUBLISHED, VECTORS_WORK_AGAIN

log = structlog.get_logger()

_IDLE = 2.0  # seconds between looks
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 600.0
_PATIENCE = 120.0  # seconds that a set may wait for the end of cycles


class VectorsFollower(Routine):
    """Keeps the published vectors those of the champion; may be started and stopped any number of times.

    Args:
        settings: where to, and of what.
        base: asks the ledger for the champion and the last settled cycle, from another thread.
        cycle_runs: asks the ledger whether a cycle is running, from another thread.
    """

    def __init__(self, settings: Settings, base: Callable[[], Base], cycle_runs: Callable[[], bool]) -> None:
        self._settings = settings
        self._base = base
        self._cycle_runs = cycle_runs
        super().__init__("vectors", self._run, self._end_process)
        self._process: VectorsProcess | None = None
        self._lock = threading.Lock()

    def _end_process(self) -> None:
        """The lock: a process that is just being started is either seen here, or is not started."""
        with self._lock:
            if self._process is not None:
                self._process.stop()

    def _run(self, stopping: threading.Event) -> None:
        trouble = Trouble(VECTORS_NOT_PUBLISHED, VECTORS_WORK_AGAIN, time.monotonic)
        wait, due_since = _FIRST_WAIT, None
        while not stopping.is_set():
            pause = _IDLE
            try:
                request = self._due()
                due_since = None if request is None else due_since or time.monotonic()
                if request is not None and due_since is not None and self._may_begin(due_since):
                    self._publish(request, stopping)
                    due_since = None
                if request is None or due_since is None:
                    self._note(None if trouble.reason is None else "", trouble)
                    wait = _FIRST_WAIT
            except Exception as error:  # noqa: BLE001  (whatever it is, the set of before counts on)
                if stopping.is_set():
                    return
                self._note(str(error) or type(error).__name__, trouble)
                pause, wait = wait, min(2 * wait, _LONGEST_WAIT)
            stopping.wait(pause)

    def _due(self) -> VectorsRequest | None:
        base, place = self._base(), place_of(self._settings)
        group = self._settings.vectors.feature_group
        unfinished = holds_removed(place) or (group is not None and not is_pushed(place, group))
        stamp = stamp_of(current_set(place))
        if base.version is None or not (unfinished or is_due(base, self._settings.model_name, stamp)):
            return None
        return request_of(
            self._settings,
            base,
            base.version,
            place,
            changed_only=True,
            feature_group=group,
        )

    def _may_begin(self, due_since: float) -> bool:
        return time.monotonic() - due_since > _PATIENCE or not self._cycle_runs()

    def _publish(self, request: VectorsRequest, stopping: threading.Event) -> None:
        began = time.monotonic()
        with self._lock:
            if stopping.is_set():
                return
            self._process = VectorsProcess(self._settings, request)
        try:
            stamp = self._process.answer(lambda _done, _about: None)
        finally:
            self._process = None
        _tell(stamp, time.monotonic() - began)

    def _note(self, reason: str | None, trouble: Trouble) -> None:
        """Log the trouble, or its end (an empty text), and keep it for `status`."""
        if reason is None:
            return
        if reason:
            trouble.met(reason)
        else:
            trouble.over()
        with suppress(OSError):  # the log has said it
            note_trouble(self._settings, reason or None)


def _tell(stamp: VectorStamp, seconds: float) -> None:
    log.info(
        VECTORS_PUBLISHED,
        version=stamp.origin.version,
        cycle_id=stamp.as_of,
        users=stamp.users,
        computed=stamp.computed,
        removed=stamp.removed,
        whole=stamp.made_from is None,
        took_s=round(seconds, 1),
    )
