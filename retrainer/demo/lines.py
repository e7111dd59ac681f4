"""Lines of JSON from the children's pipes, in one queue, in the order they arrive."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line: who wrote it and what it says; None when the pipe has been closed."""

    source: str
    record: dict[str, Any] | None


class Lines:
    """Reads any number of pipes, each in a thread of its own that ends with its pipe."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Line] = SimpleQueue()

    def follow(self, source: str, pipe: IO[bytes], copy: Path) -> None:
        """Read a pipe to its end. Everything goes to the file `copy`; what is no JSON object goes there alone."""
        threading.Thread(target=self._read, args=(source, pipe, copy), name=f"{source}-lines", daemon=True).start()

    def within(self, seconds: float) -> Iterator[Line]:
        """The lines that are there, waiting at most `seconds` for the first."""
        try:
            yield self._queue.get(timeout=max(0.0, seconds))
            while True:
                yield self._queue.get_nowait()
        except Empty:
            return

    def _read(self, source: str, pipe: IO[bytes], copy: Path) -> None:
        with pipe, copy.open("ab", buffering=0) as kept:
            for line in pipe:
                kept.write(line)
                if (record := _decoded(line)) is not None:
                    self._queue.put(Line(source, record))
        self._queue.put(Line(source, None))


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
