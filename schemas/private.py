"""Files and folders that only their owner may read: ledger, status, requests and results hold what people did.

Modes are given where a file is made, so that it is never open to others for a moment; what an earlier release left open
is closed where it is ours. The model registry and the feature store are no part of this: others read them on purpose.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o600


def private_file(path: Path, *, new: bool = False) -> Path:
    """Have an empty file where there is none, and in any case the owner's alone; gives its path.

    One that is there is not opened: to close it again would take away the locks that SQLite has on it in this process.

    Args:
        path: the file.
        new: refuse one that is there, be it a link that somebody else has put there.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE))
    except FileExistsError:
        if new:
            raise
        narrow(path, FILE)
    return path


def private_folder(path: Path, kept: int = 0) -> None:
    """Have a folder, and what is missing above it, for the owner alone.

    Args:
        path: the folder.
        kept: rights of others that stay where a folder is there and has them.

    Raises:
        OSError: it cannot be made.
    """
    for missing in [above for above in reversed(path.parents) if not above.exists()]:
        missing.mkdir(FOLDER, exist_ok=True)
    path.mkdir(FOLDER, exist_ok=True)
    narrow(path, FOLDER | kept)


def narrow(path: Path, allowed: int) -> None:
    """Take from others what is beyond the `allowed` rights, where the file is there and ours."""
    with suppress(OSError):  # it is gone, or the disk cannot be written: then nothing of ours is added to it either
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        ordinary = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        if ordinary and found.st_uid == os.geteuid() and mode & ~allowed & 0o077:
            path.chmod(mode & (allowed | ~0o077))
