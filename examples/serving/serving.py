"""Takes the champion: its worker is started beside the old one, then one assignment makes it the one that is asked.

With a folder of vector sets the same happens when another set counts. A champion whose queries must not meet that set
waits for the next one, and the old model goes on answering by the old vectors.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from pydantic import ValidationError

from examples.serving.events import Champion
from examples.serving.matching import NotYetError, look
from examples.serving.served import Place, Served
from examples.serving.worker import Answer, NotLoadedError, Worker, WorkerDiedError

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class Serving:
    """Answers by the champion, and takes the next one meanwhile. Any thread may ask and tell.

    Args:
        place: where versions, rows and vectors lie.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._active: Worker | None = None
        self._before: int | None = None  # the version whose worker was killed
        self._waiting: str | None = None
        self._switch = threading.Lock()  # held for an assignment, never while something is loaded
        self._wanted: Champion | None = None
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)
        self._thread.start()

    @property
    def served(self) -> Served | None:
        """The model and the vectors that answer now; None before the first are ready."""
        active = self._active
        return None if active is None else active.served

    @property
    def waiting(self) -> str | None:
        """Why the champion, or the newest set, does not answer yet; None where nothing is in the way."""
        return self._waiting

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
            self._told.wait(None if self._place.vectors is None else _LOOK_SECONDS)
            self._told.clear()
            with self._switch:
                wanted = self._wanted
            if wanted is None or self._stopping.is_set():
                continue
            try:
                self._follow(wanted.version)
                self._waiting = None
            except NotYetError as problem:  # looked for again in a moment
                self._wait(problem)
            except (NotLoadedError, OSError, ValidationError) as problem:
                self._wait(problem)
                self._stopping.wait(_RETRY_SECONDS)
                self._told.set()

    def _follow(self, version: int) -> None:
        """Serve a version by the vectors that count now, unless it is done already.

        Raises:
            NotYetError, NotLoadedError, OSError, ValidationError: it cannot be served yet.
        """
        try:
            found = look(self._place, version)
        except NotYetError:
            if self.served is None and self._before is not None and self._before != version:
                with suppress(NotYetError):
                    self._follow(self._before)  # what answered until its process was killed
            raise
        if found != self.served:
            self._take(Worker(self._place, version))

    def _wait(self, problem: Exception) -> None:
        """What answers goes on; say why, once."""
        if self._waiting != str(problem):
            self._waiting = str(problem)
            log.warning("%s", problem)

    def _lost(self, worker: Worker) -> None:
        """Load the version again whose process was killed."""
        with self._switch:
            if self._active is worker:
                self._active, self._before = None, worker.served.version
                self._told.set()

    def _take(self, worker: Worker) -> None:
        with self._switch:
            before, self._active = self._active, worker
        taken = worker.served
        log.warning("version %s answers now, by vectors of version %s", taken.version, taken.vectors)
        if before is not None:
            before.retire()
