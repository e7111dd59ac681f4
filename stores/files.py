"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PRIVATE = 0o077
_before: list[int] = []
"""The umask of this machine, where `keep_private` has set another."""


def keep_private() -> None:
    """What this process makes from now on is for its owner alone, but for what it makes `shared`."""
    found = os.umask(_PRIVATE)
    if not _before:
        _before.append(found)


@contextmanager
def shared() -> Iterator[None]:
    """What is made meanwhile is for all whom the umask of this machine lets read it."""
    private = os.umask(_before[0]) if _before else None
    try:
        yield
    finally:
        if private is not None:
            os.umask(private)


def share(folder: Path) -> None:
    """Let a folder, with all that is in it, be read by all whom the umask of this machine lets read."""
    with shared():
        umask = os.umask(_PRIVATE)
        os.umask(umask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` once it is written and on disk; on an error nothing changes."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # where the disk is full, half a file is the last thing it needs
        raise
    flush_folder(path.parent)


def lengthen(path: Path, size: int) -> None:
    """Make a file at least `size` bytes long, of zeros, for being mapped into memory.

    The room is taken here, where a full disk is an OSError; one that is met while writing into a mapping kills.
    """
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:  # macOS: the room is taken when it is written to
            file.truncate(max(size, path.stat().st_size))


def flush_folder(folder: Path) -> None:
    """Have a folder's entries on disk, so that what was renamed into it is still there after a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
