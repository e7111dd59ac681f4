"""Writes files that are there whole or not at all, with the right permissions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PRIVATE = 0o077
_before: list[int] = []
"""The umask before `keep_private` set another."""


def keep_private() -> None:
    """From now on files of this process are readable by their owner alone, except what is made `shared`."""
    found = os.umask(_PRIVATE)
    if not _before:
        _before.append(found)


@contextmanager
def shared() -> Iterator[None]:
    """Files made inside are readable as the umask of this machine permits."""
    private = os.umask(_before[0]) if _before else None
    try:
        yield
    finally:
        if private is not None:
            os.umask(private)


def share(folder: Path) -> None:
    """Make a folder and its content readable as the umask of this machine permits."""
    with shared():
        umask = os.umask(_PRIVATE)
        os.umask(umask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces `path` once it is written and on disk; on an error nothing changes."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk needs the room
        raise
    flush_folder(path.parent)


def lengthen(path: Path, size: int) -> None:
    """Make a file at least `size` bytes long, filled up with zeros, to be mapped into memory; see `take_room`."""
    with path.open("ab") as file:
        take_room(file, size)


def take_room(file: IO[bytes], size: int) -> None:
    """Make an open file at least `size` bytes long, filled up with zeros, to be mapped into memory.

    The room is taken here, where a full disk is an OSError; while a mapping is written, a full disk kills the process.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:  # macOS takes the room when the file is written
        file.truncate(max(size, os.fstat(file.fileno()).st_size))


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename into the folder survives a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
