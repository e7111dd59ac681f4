"""One trainer at a time on a work folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.private import private_folder
from trainer.errors import TrainerError

_LOCK_FILE = "trainer.lock"
_LOOK_EVERY = 0.1


def only_trainer(work_dir: Path, patience: float = 30.0) -> IO[str]:
    """The work folder's lock, held while the file is open. Waits for a trainer that is still ending.

    Raises:
        TrainerError: the other trainer does not end within `patience` seconds. A trainer stopped by a signal does not
            notice that its consumer is gone.
    """
    private_folder(work_dir)
    lock = (work_dir / _LOCK_FILE).open("a+")
    deadline = time.monotonic() + patience
    while not _taken(lock):
        if time.monotonic() >= deadline:
            lock.seek(0)
            holder = lock.read()
            lock.close()
            raise TrainerError(f"another trainer, process {holder}, holds {lock.name}, and does not end: kill it")
        time.sleep(_LOOK_EVERY)
    lock.truncate(0)
    print(os.getpid(), end="", file=lock, flush=True)
    return lock


@contextmanager
def no_trainer(work_dir: Path, patience: float = 5.0) -> Iterator[bool]:
    """Whether no trainer works in a folder, and none begins during the block; False where one works all the time.

    Readers share the lock, and write nothing. A trainer that starts meanwhile waits: the block is to end in seconds.
    """
    try:
        lock = (work_dir / _LOCK_FILE).open()
    except FileNotFoundError:
        yield True  # no trainer has ever worked here
        return
    with lock:
        deadline = time.monotonic() + patience
        while not (taken := _taken(lock, fcntl.LOCK_SH)) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        yield taken


def _taken(lock: IO[str], how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
