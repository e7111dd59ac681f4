"""A thread that works until it is told to stop, and may be started and stopped any number of times."""

from __future__ import annotations

import threading
from collections.abc import Callable

_STOP_SECONDS = 3.0
_TRIES = 6


class Routine:
    """A follower that runs a function in a thread: see `consumer.followers.Follower`.

    Args:
        name: of the thread.
        run: works until the event that it is given is set.
        give_up: ends, from another thread, what `run` is about to do or does; called until the thread has ended, for
            three seconds at most.
    """

    def __init__(
        self, name: str, run: Callable[[threading.Event], None], give_up: Callable[[], None] = lambda: None
    ) -> None:
        self._thread_name = name
        self._work = run
        self._give_up = give_up
        self._running: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work from now on; does nothing where it runs already."""
        if self._running is None:
            self._running = threading.Event()
            self._thread = threading.Thread(
                target=self._work, args=(self._running,), name=self._thread_name, daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop. The thread gives up within seconds what it waits for."""
        if self._running is not None and self._thread is not None:
            self._running.set()
            for _ in range(_TRIES):  # the thread may be just about to begin something
                self._give_up()
                self._thread.join(_STOP_SECONDS / _TRIES)
                if not self._thread.is_alive():
                    break
            self._running = self._thread = None
