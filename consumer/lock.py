"""One process at a time works on a state folder. The lock goes with its process, however that ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer.errors import AlreadyRunning


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state folder.

    Raises:
        AlreadyRunning: another process holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "retrainer.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another retrainer works on {state_dir}; stop it, or set RETRAINER_STATE_DIR"
            ) from None
        yield
