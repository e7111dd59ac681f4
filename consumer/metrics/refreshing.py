"""A reading that may hang: it is made in a thread of its own, and nobody waits for it longer than said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What was read, when by the clock of the reader, and how long it took."""

    value: T
    at: float
    took: float


class Refreshing(Generic[T]):
    """Reads at most one at a time, and not again while the last one is young enough. Safe to use from any thread.

    Args:
        read: makes a reading; what it raises counts as no answer.
        young: seconds for which a reading is used again.
        failed: called with what `read` raised, and with None when it answered.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(
        self,
        read: Callable[[], T],
        young: float,
        failed: Callable[[Exception | None], None] = lambda _error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._young = young
        self._failed = failed
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Read[T] | None = None
        self._under_way: threading.Thread | None = None

    def now(self, patience: float) -> Read[T] | None:
        """A young reading, or one that was made meanwhile; None where there is none within `patience` seconds."""
        began = self._clock()
        found = self.latest(patience)
        return found if found is not None and (found.at >= began or self._is_young(found)) else None

    def latest(self, patience: float) -> Read[T] | None:
        """A young reading or, where there is none within `patience` seconds, the last one; None before the first."""
        with self._lock:
            if self._last is not None and self._is_young(self._last):
                return self._last
            if self._under_way is None:
                self._under_way = threading.Thread(target=self._make, name="metrics", daemon=True)
                self._under_way.start()
            under_way = self._under_way
        under_way.join(patience)
        return self._last

    def _is_young(self, found: Read[T]) -> bool:
        return self._clock() - found.at < self._young

    def _make(self) -> None:
        began = self._clock()
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001  (whatever is wrong with one reading, the page is served)
            self._failed(error)
        else:
            ended = self._clock()
            self._last = Read(value, ended, ended - began)
            self._failed(None)
        finally:
            with self._lock:
                self._under_way = None
