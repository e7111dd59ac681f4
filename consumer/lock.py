"""One process at a time works on a state folder. The lock goes with its process, however that ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from consumer.errors import AlreadyRunning, StateFolderError
from schemas.private import private_file, private_folder


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state folder while the block runs.

    Raises:
        AlreadyRunning: another process holds the folder.
        StateFolderError: the folder cannot be written.
    """
    with _lock_file(state_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another retrainer works on {state_dir}; stop it, or set RETRAINER_STATE_DIR"
            ) from None
        yield


def _lock_file(state_dir: Path) -> IO[str]:
    try:
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        private_folder(state_dir, kept=_way_through(state_dir))
        return private_file(state_dir / "retrainer.lock").open("w")
    except OSError as error:
        raise StateFolderError(
            f"cannot write the state folder {state_dir}: {error.strerror}; make it writable or make room, "
            "or set RETRAINER_STATE_DIR"
        ) from None


def _way_through(state_dir: Path) -> int:
    """The right to pass through stays with others where they serve models from here, or write the feature store."""
    shared = any((state_dir / name).exists() for name in ("registry", "feature_store.db"))
    return 0o011 if shared else 0
