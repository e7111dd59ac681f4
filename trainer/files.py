"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
