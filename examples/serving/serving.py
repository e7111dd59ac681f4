"""Takes the champion: its worker is started beside the old one, then one assignment makes it the one that is asked."""

from __future__ import annotations

import logging
import threading

from examples.serving.events import Champion
from examples.serving.worker import Answer, NotLoadedError, Place, Worker, WorkerDiedError

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class Serving:
    """Answers by the champion, and takes the next one meanwhile. Any thread may ask and tell.

    Args:
        place: where versions and rows lie.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._active: Worker | None = None
        self._switch = threading.Lock()  # held for an assignment, never while something is loaded
        self._wanted: Champion | None = None
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)
        self._thread.start()

    @property
    def version(self) -> int | None:
        """The version that answers now; None before the first is ready."""
        active = self._active
        return None if active is None else active.version

    def serve(self, champion: Champion) -> None:
        """Take this version as soon as it is loaded; returns at once. An older promotion than the last is dropped."""
        with self._switch:
            if self._wanted is None or champion.promotion > self._wanted.promotion:
                self._wanted = champion
        self._told.set()

    def similar(self, user: str, count: int) -> Answer | None:
        """Who is similar to a user, by one version from the query to the vectors; None while there is no version.

        Raises:
            QueryFailedError: the query cannot be answered.
        """
        with self._switch:
            worker = self._active
            if worker is None:
                return None
            worker.hold()  # before anybody can retire it
        try:
            return worker.ask(user, count)
        except WorkerDiedError:
            self._lost(worker)
            return None
        finally:
            worker.release()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        self._told.set()
        self._thread.join()
        if self._active is not None:
            self._active.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._told.wait()
            self._told.clear()
            with self._switch:
                wanted = self._wanted
            if wanted is None or wanted.version == self.version or self._stopping.is_set():
                continue
            try:
                self._take(Worker(self._place, wanted.version))
            except NotLoadedError as problem:  # the old version goes on answering
                log.warning("%s", problem)
                self._stopping.wait(_RETRY_SECONDS)
                self._told.set()

    def _lost(self, worker: Worker) -> None:
        """Load the version again whose process was killed."""
        with self._switch:
            if self._active is worker:
                self._active = None
                self._told.set()

    def _take(self, worker: Worker) -> None:
        with self._switch:
            before, self._active = self._active, worker
        log.warning("version %s answers now", worker.version)
        if before is not None:
            before.retire()
