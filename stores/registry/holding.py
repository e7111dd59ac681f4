"""Who has which folder of a version open: a lock on the folder that ends with its holder, whatever ends that."""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Holding:
    """The folders that one object has given to readers. They stay held as long as the object lives, or its process."""

    def __init__(self) -> None:
        self._handles: dict[Path, int] = {}
        weakref.finalize(self, _let_go, self._handles)

    def hold(self, folder: Path) -> bool:
        """Hold a folder; False where it is not there, or is taken away at this moment."""
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        _lock(handle, fcntl.LOCK_SH)
        if not _leads_to(folder, handle):
            os.close(handle)
            return False
        _let_go({folder: before} if (before := self._handles.pop(folder, None)) is not None else {})
        self._handles[folder] = handle
        return True


@contextmanager
def nobody_holds(folder: Path) -> Iterator[bool]:
    """Whether nobody holds a folder; as long as the block lasts, nobody begins to."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    """Lock an open folder; False where another holds it. A file system without such locks protects no reader."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _leads_to(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _let_go(handles: dict[Path, int]) -> None:
    for handle in handles.values():
        os.close(handle)
